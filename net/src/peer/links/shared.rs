//! What the task of a link and everybody else on its core share.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::task::Waker;

use super::super::frame::{Destination, FrameKind};
use super::super::identity::NodeIdentity;
use super::super::sending::{QueueError, Sending};
use super::{LinkEnd, LinkStatistics};

/// One link. No borrow is held across a call of somebody else's code.
pub(super) struct LinkShared {
    address: SocketAddr,
    sending: RefCell<Sending>,
    statistics: Cell<LinkStatistics>,
    /// The other end's identity, while the link is up.
    identity: Cell<Option<NodeIdentity>>,
    /// Why the task shall end the connection.
    wanted_end: RefCell<Option<LinkEnd>>,
    is_stopping: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl LinkShared {
    pub(super) fn new(now: u64, address: SocketAddr) -> LinkShared {
        LinkShared {
            address,
            sending: RefCell::new(Sending::new(now)),
            statistics: Cell::default(),
            identity: Cell::new(None),
            wanted_end: RefCell::new(None),
            is_stopping: Cell::new(false),
            waker: RefCell::new(None),
        }
    }

    /// Where it leads, or came from.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    // --- for the link's task

    /// A new connection begins with its handshake.
    pub(super) fn begin(&self, now: u64) {
        self.sending.replace(Sending::new(now));
        self.wanted_end.replace(None);
    }

    /// The handshake is over.
    pub(super) fn rise(&self, identity: NodeIdentity, version: u8, window_bytes: u64, now: u64) {
        self.sending.borrow_mut().agree(version, window_bytes, now);
        self.identity.set(Some(identity));
        self.count(|figures| {
            figures.is_up = true;
            figures.connections += 1;
        });
    }

    /// The connection is over; gives how many messages waited.
    pub(super) fn fall(&self, now: u64) -> u64 {
        let lost = self.sending.replace(Sending::new(now)).queued_frames();
        self.identity.set(None);
        self.count(|figures| {
            figures.is_up = false;
            figures.messages_lost += lost;
            figures.queued_bytes = 0;
        });
        lost
    }

    pub(super) fn sending<T>(&self, work: impl FnOnce(&mut Sending) -> T) -> T {
        work(&mut self.sending.borrow_mut())
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut LinkStatistics)) {
        let mut figures = self.statistics.get();
        change(&mut figures);
        self.statistics.set(figures);
    }

    /// Remembers whom to wake.
    pub(super) fn wait(&self, waker: &Waker) {
        match &mut *self.waker.borrow_mut() {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    pub(super) fn take_wanted_end(&self) -> Option<LinkEnd> {
        self.wanted_end.take()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.get()
    }

    // --- for everybody else

    pub(super) fn is_up(&self) -> bool {
        self.statistics.get().is_up
    }

    pub(super) fn count_refused(&self) {
        self.count(|figures| figures.messages_refused += 1);
    }

    pub(super) fn message(
        &self,
        destination: Destination,
        payload: &[u8],
    ) -> Result<(), QueueError> {
        let was_quiet = {
            let mut sending = self.sending.borrow_mut();
            let was_quiet = sending.queued_bytes() == 0;
            sending.message(destination, payload)?;
            was_quiet
        };
        // The task of a link with a queue has been woken, or waits for credit or for its send.
        if was_quiet {
            self.wake();
        }
        Ok(())
    }

    /// Tells the other end that it may send so much in all; nothing if the link is down.
    pub(super) fn grant(&self, granted: u64) {
        if self.is_up() {
            self.sending(|sending| sending.control(FrameKind::Credit, &granted.to_le_bytes()));
            self.wake();
        }
    }

    pub(super) fn end(&self, reason: LinkEnd) {
        if self.is_up() {
            self.wanted_end.replace(Some(reason));
            self.wake();
        }
    }

    /// Ends a connection with an earlier start of the node.
    pub(super) fn end_if_older(&self, identity: &NodeIdentity) {
        let is_older = self.identity.get().is_some_and(|known| {
            known.node == identity.node && known.incarnation < identity.incarnation
        });
        if is_older {
            self.end(LinkEnd::Restarted);
        }
    }

    pub(super) fn stop(&self) {
        if !self.is_stopping.replace(true) && self.is_up() {
            self.sending(|sending| sending.control(FrameKind::Goodbye, &[]));
        }
        self.wake();
    }

    pub(super) fn statistics(&self) -> LinkStatistics {
        let sending = self.sending.borrow();
        LinkStatistics {
            queued_bytes: sending.queued_bytes() as u64,
            round_trip_nanos: sending.round_trip_nanos(),
            ..self.statistics.get()
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}
