//! The links that other cores dial.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use platform::{Listener, SchedulingClass, Socket, accept, recv, send, sleep, spawn};

use super::super::frame::{Destination, FrameHead, FrameKind, HANDSHAKE_VERSION, write_frame};
use super::super::handshake::{Greeting, GreetingError, Refusal};
use super::super::identity::PeerCore;
use super::super::receiving::{ReceiveWindow, Receiving};
use super::conversation::{Conversation, Outbox, within};
use super::shared::LinkShared;
use super::{LinkChange, LinkEnd, LinkSecurity, LinksInner};
use crate::limits::{LINKS_ACCEPTED_MAX, LINKS_IN_HANDSHAKE_MAX};
use crate::tls::{TlsError, TlsSocket};

/// How long to wait after a failed accept: the usual cause is the limit of open files, which closing connections heals.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn accept_for_ever(inner: &Rc<LinksInner>, listener: Rc<dyn Listener>) {
    while !inner.is_stopping.get() {
        let Ok(socket) = accept(&*listener).await else {
            sleep(&inner.platform.spawner, ACCEPT_PAUSE).await;
            continue;
        };
        let is_allowed = inner.options.security.allows(socket.peer_address());
        let has_room = inner.accepted_count.get() < LINKS_ACCEPTED_MAX
            && inner.handshake_count.get() < LINKS_IN_HANDSHAKE_MAX;
        // A stranger from another machine, or too many at once: closed unread.
        if !is_allowed || !has_room || inner.is_stopping.get() {
            continue;
        }
        let place = Place::take(inner);
        let serving = serve(inner.clone(), socket, place);
        let class = SchedulingClass::Foreground;
        spawn(&*inner.platform.spawner, class, "peer link accepted", serving);
    }
}

/// An accepted connection's place among those of the core, and, until its handshake is over, among those.
struct Place {
    inner: Rc<LinksInner>,
    is_in_handshake: bool,
}

impl Place {
    fn take(inner: &Rc<LinksInner>) -> Place {
        inner.accepted_count.set(inner.accepted_count.get() + 1);
        inner.handshake_count.set(inner.handshake_count.get() + 1);
        Place { inner: inner.clone(), is_in_handshake: true }
    }

    fn handshake_over(&mut self) {
        if std::mem::replace(&mut self.is_in_handshake, false) {
            self.inner.handshake_count.set(self.inner.handshake_count.get() - 1);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.handshake_over();
        self.inner.accepted_count.set(self.inner.accepted_count.get() - 1);
    }
}

async fn serve(inner: Rc<LinksInner>, socket: Rc<dyn Socket>, mut place: Place) {
    let address = socket.peer_address();
    let ended = |peer, reason| {
        inner.events.changed(LinkChange::AcceptedEnded { peer, address, reason });
    };
    let set_up = set_up(&inner, socket, address);
    let set_up = within(&inner.platform.spawner, LinksInner::setup_time(), set_up).await;
    place.handshake_over();
    let conversation = match set_up.unwrap_or(Err(LinkEnd::SetupTooLong)) {
        Ok(conversation) => conversation,
        Err(reason) => return ended(None, reason),
    };
    let (peer, shared) = (conversation.peer, conversation.shared.clone());
    let before = inner.accepted.borrow_mut().insert(peer, shared.clone());
    if let Some(before) = before {
        // It dials one link; that it dials anew says that it has given the other up.
        before.end(LinkEnd::Superseded);
    }
    inner.events.changed(LinkChange::Accepted { peer });
    let registered = Registered { inner: inner.clone(), peer, shared };
    let reason = conversation.run().await;
    drop(registered);
    ended(Some(peer), reason);
}

/// A link's place in the table, for as long as it lives.
struct Registered {
    inner: Rc<LinksInner>,
    peer: PeerCore,
    shared: Rc<LinkShared>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let _lost = self.shared.fall(self.inner.now());
        let mut accepted = self.inner.accepted.borrow_mut();
        if accepted.get(&self.peer).is_some_and(|known| Rc::ptr_eq(known, &self.shared)) {
            accepted.remove(&self.peer);
        }
    }
}

/// Agrees on TLS and answers the Hello.
async fn set_up(
    inner: &Rc<LinksInner>,
    plain: Rc<dyn Socket>,
    address: SocketAddr,
) -> Result<Conversation, LinkEnd> {
    let options = &inner.options;
    let (socket, tls): (Rc<dyn Socket>, _) = match &options.security {
        LinkSecurity::Tls(tls) => {
            let connection = tls.accept().map_err(|error| {
                LinkEnd::Tls(TlsError::Protocol { source: std::sync::Arc::new(error) })
            })?;
            let secured = Rc::new(TlsSocket::shake_hands(plain, connection).await?);
            (secured.clone(), Some(secured))
        }
        LinkSecurity::LoopbackOnly | LinkSecurity::TrustedNetwork => (plain, None),
    };
    let mut receiving = Receiving::new();
    let mut window = ReceiveWindow::new(options.window_bytes);
    let hello = hear_hello(&*socket, &mut receiving, &mut window).await?;
    let names = |node| tls.as_ref().is_none_or(|tls| tls.is_node(node));
    let own = options.greeting(hello.core);
    let answer = own.answer(&hello, &mut inner.book.borrow_mut(), names);
    let (welcome, sighting) = match answer {
        Ok(answer) => answer,
        Err(refusal) => return Err(refuse(&*socket, refusal).await),
    };
    let version = welcome.versions.newest;
    let mut out = Vec::new();
    write_frame(handshake_head(FrameKind::Welcome), &welcome.encode(), &mut out);
    let buffer = send(&*socket, out).await?;
    receiving.agree(version);
    // Before the link is up, or it would end itself.
    inner.met(&hello.identity, sighting);
    let shared = Rc::new(LinkShared::new(inner.now(), address));
    shared.sending(|sending| sending.handshake_sent());
    shared.rise(hello.identity, version, hello.window_bytes, inner.now());
    Ok(Conversation {
        socket,
        spawner: inner.platform.spawner.clone(),
        events: inner.events.clone(),
        shared,
        peer: hello.core,
        receiving,
        window: Rc::new(RefCell::new(window)),
        outbox: Outbox::with_buffer(buffer),
    })
}

fn handshake_head(kind: FrameKind) -> FrameHead {
    let destination = Destination::Link;
    FrameHead { version: HANDSHAKE_VERSION, kind, destination, sequence: 0 }
}

async fn refuse(socket: &dyn Socket, refusal: Refusal) -> LinkEnd {
    let mut out = Vec::new();
    write_frame(handshake_head(FrameKind::Refuse), &refusal.encode(), &mut out);
    // Who does not listen any more does not hear why; we know.
    let _told = send(socket, out).await;
    LinkEnd::Refuses(refusal)
}

async fn hear_hello(
    socket: &dyn Socket,
    receiving: &mut Receiving,
    window: &mut ReceiveWindow,
) -> Result<Greeting, LinkEnd> {
    loop {
        if let Some(frame) = receiving.next(window)? {
            return match frame.kind {
                FrameKind::Hello => Ok(Greeting::decode(frame.payload)?),
                _ => Err(LinkEnd::Greeting(GreetingError::NotAPeer)),
            };
        }
        if recv(socket, receiving.buffer()).await? == 0 {
            return Err(LinkEnd::Closed);
        }
    }
}
