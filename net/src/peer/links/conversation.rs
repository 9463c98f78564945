//! One connection from its handshake to its end: receives, hands on, answers, sends, keeps time.
//!
//! One task does all of it in one poll: receive what there is, hand it on, tick, and send if nothing is on its way. Before a send it lets every task
//! that is ready run once more, so that what they queue leaves in the same send.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use platform::{MonotonicNanos, Sleep, Socket, Spawner, sleep_until};

use super::super::frame::{Destination, FrameKind};
use super::super::identity::PeerCore;
use super::super::receiving::{ReceiveWindow, ReceivedFrame, Receiving};
use super::shared::LinkShared;
use super::{LinkEnd, PeerEvents};

/// Receives in one poll, after which others have their turn.
const RECEIVES_A_POLL_MAX: u32 = 4;
/// A deadline that has passed is looked at again after this, so that a task cannot spin on it.
const TICK_NANOS_MIN: u64 = 1_000_000;

/// A message that has arrived whole.
pub struct Received<'a> {
    /// Who sent it.
    pub from: PeerCore,
    /// Whom it is for.
    pub destination: Destination,
    /// What it is.
    pub payload: &'a [u8],
    /// Keep it until the message has been dealt with.
    pub credit: Credit,
}

/// The room that a message takes in its sender's window. Dropping it says that the message has been consumed, so that the sender may go on.
pub struct Credit {
    bytes: u64,
    window: Rc<RefCell<ReceiveWindow>>,
    shared: Rc<LinkShared>,
}

impl Drop for Credit {
    fn drop(&mut self) {
        let granted = self.window.borrow_mut().consume(self.bytes);
        if let Some(granted) = granted {
            self.shared.grant(granted);
        }
    }
}

/// What a poll of the receiving side found.
enum Arrival {
    Nothing,
    /// There may be more.
    Some,
}

/// A connection after its handshake.
pub(super) struct Conversation {
    pub(super) socket: Rc<dyn Socket>,
    pub(super) spawner: Rc<dyn Spawner>,
    pub(super) events: Rc<dyn PeerEvents>,
    pub(super) shared: Rc<LinkShared>,
    pub(super) peer: PeerCore,
    pub(super) receiving: Receiving,
    pub(super) window: Rc<RefCell<ReceiveWindow>>,
    pub(super) outbox: Outbox,
}

/// The sending side of a connection's socket.
pub(super) struct Outbox {
    is_in_flight: bool,
    /// Everybody who was ready has had a turn since there was something to send.
    has_waited: bool,
    buffer: Vec<u8>,
}

impl Outbox {
    /// Nothing on its way, and memory to begin with.
    pub(super) fn with_buffer(buffer: Vec<u8>) -> Outbox {
        Outbox { is_in_flight: false, has_waited: false, buffer }
    }
}

impl Conversation {
    /// Until the connection ends; gives the reason.
    ///
    /// # Cancel safety
    /// Dropping it ends the connection.
    pub(super) async fn run(mut self) -> LinkEnd {
        // What came behind the handshake.
        if let Err(end) = self.hand_on() {
            return end;
        }
        let mut alarm: Option<(u64, Sleep)> = None;
        poll_fn(|cx| {
            self.shared.wait(cx.waker());
            match self.turn(cx, &mut alarm) {
                Ok(()) => Poll::Pending,
                Err(end) => Poll::Ready(end),
            }
        })
        .await
    }

    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        alarm: &mut Option<(u64, Sleep)>,
    ) -> Result<(), LinkEnd> {
        if let Some(end) = self.shared.take_wanted_end() {
            return Err(end);
        }
        for receives in 1.. {
            if let Arrival::Nothing = self.receive(cx)? {
                break;
            }
            if receives == RECEIVES_A_POLL_MAX {
                cx.waker().wake_by_ref();
                break;
            }
        }
        self.tick(cx, alarm)?;
        self.send(cx)?;
        let is_over = self.shared.is_stopping()
            && !self.outbox.is_in_flight
            && self.shared.sending(|sending| !sending.has_output());
        if is_over { Err(LinkEnd::Stopping) } else { Ok(()) }
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> Result<Arrival, LinkEnd> {
        let buffer = self.receiving.buffer();
        let bytes = match self.socket.poll_recv(cx, buffer) {
            Poll::Pending => return Ok(Arrival::Nothing),
            Poll::Ready(Ok(0)) => return Err(LinkEnd::Closed),
            Poll::Ready(received) => received?,
        };
        self.shared.count(|figures| figures.bytes_received += bytes as u64);
        let now = self.spawner.now().0;
        self.shared.sending(|sending| sending.heard(now));
        self.hand_on()?;
        Ok(Arrival::Some)
    }

    /// Deals with every whole frame.
    fn hand_on(&mut self) -> Result<(), LinkEnd> {
        loop {
            let next = self.receiving.next(&mut self.window.borrow_mut())?;
            let Some(frame) = next else { return Ok(()) };
            match frame.kind {
                FrameKind::Message => {
                    let bytes = frame.frame_bytes();
                    let (window, shared) = (self.window.clone(), self.shared.clone());
                    let credit = Credit { bytes, window, shared };
                    self.shared.count(|figures| figures.messages_received += 1);
                    let ReceivedFrame { destination, payload, .. } = frame;
                    let from = self.peer;
                    self.events.received(Received { from, destination, payload, credit });
                }
                FrameKind::Heartbeat => {
                    let sent_at = frame.number();
                    self.shared.sending(|sending| {
                        sending.control(FrameKind::HeartbeatAnswer, &sent_at.to_le_bytes());
                    });
                }
                FrameKind::HeartbeatAnswer => {
                    let (sent_at, now) = (frame.number(), self.spawner.now().0);
                    self.shared.sending(|sending| sending.answered(sent_at, now));
                }
                FrameKind::Credit => {
                    let granted = frame.number();
                    self.shared.sending(|sending| sending.grant(granted));
                }
                FrameKind::Goodbye => return Err(LinkEnd::Goodbye),
                FrameKind::Hello | FrameKind::Welcome | FrameKind::Refuse => {
                    unreachable!("refused by the receiving half once a version is agreed on")
                }
            }
        }
    }

    /// Keeps time, and asks to be woken when there is more to do.
    fn tick(
        &mut self,
        cx: &mut Context<'_>,
        alarm: &mut Option<(u64, Sleep)>,
    ) -> Result<(), LinkEnd> {
        let now = self.spawner.now().0;
        let deadline = self.shared.sending(|sending| {
            sending.tick(now)?;
            Ok::<u64, LinkEnd>(sending.next_deadline().max(now + TICK_NANOS_MIN))
        })?;
        // An alarm that is early does no harm, so it is set anew only when it has rung or is late.
        if alarm.as_ref().is_none_or(|(set, _)| *set > deadline || *set <= now) {
            let sleep = sleep_until(&self.spawner, MonotonicNanos(deadline));
            *alarm = Some((deadline, sleep));
        }
        let (_, sleep) = alarm.as_mut().expect("just set");
        if Pin::new(sleep).poll(cx).is_ready() {
            *alarm = None;
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), LinkEnd> {
        let outbox = &mut self.outbox;
        if outbox.is_in_flight {
            match self.socket.poll_sent(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(sent) => outbox.buffer = sent?,
            }
            outbox.is_in_flight = false;
        }
        if !self.shared.sending(|sending| sending.has_output()) {
            outbox.has_waited = false;
            return Ok(());
        }
        if !std::mem::replace(&mut outbox.has_waited, true) {
            cx.waker().wake_by_ref();
            return Ok(());
        }
        outbox.has_waited = false;
        let mut batch = std::mem::take(&mut outbox.buffer);
        let messages = self.shared.sending(|sending| sending.take(&mut batch));
        self.shared.count(|figures| {
            figures.messages_sent += messages;
            figures.bytes_sent += batch.len() as u64;
            figures.sends += 1;
        });
        self.socket.start_send(batch);
        outbox.is_in_flight = true;
        // Leaves the waker there.
        if let Poll::Ready(sent) = self.socket.poll_sent(cx) {
            outbox.buffer = sent?;
            outbox.is_in_flight = false;
            cx.waker().wake_by_ref();
        }
        Ok(())
    }
}

/// Gives a future so much time; `None` if it was not enough.
pub(super) async fn within<T>(
    spawner: &Rc<dyn Spawner>,
    time: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut deadline = std::pin::pin!(platform::sleep(spawner, time));
    poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        deadline.as_mut().poll(cx).map(|()| None)
    })
    .await
}
