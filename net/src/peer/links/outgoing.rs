//! The links that this core dials.

use std::cell::RefCell;
use std::mem::{Discriminant, discriminant};
use std::rc::Rc;

use platform::{Socket, connect, recv, send, sleep};
use types::mutants::live;

use super::super::backoff::Backoff;
use super::super::frame::{Destination, FrameHead, FrameKind, HANDSHAKE_VERSION, write_frame};
use super::super::handshake::{Greeting, GreetingError, HeardRefusal};
use super::super::identity::PeerCore;
use super::super::receiving::{ReceiveWindow, Receiving};
use super::conversation::{Conversation, Outbox, within};
use super::shared::LinkShared;
use super::{LinkChange, LinkEnd, LinkSecurity, LinksInner};
use crate::mutants;
use crate::tls::TlsSocket;

/// A link is taken for healthy, and its backoff forgotten, once it has been up for this long.
const HEALTHY_NANOS: u64 = 2_000_000_000;

/// Dials, converses, waits, and dials again, until it is cancelled or the node stops.
pub(super) async fn dial_for_ever(
    inner: Rc<LinksInner>,
    target: PeerCore,
    shared: Rc<LinkShared>,
    mut backoff: Backoff,
) {
    let mut last_failure: Option<Discriminant<LinkEnd>> = None;
    while !inner.is_stopping.get() {
        shared.begin(inner.now());
        let set_up = set_up(&inner, target, &shared);
        let set_up = within(&inner.platform.spawner, LinksInner::setup_time(), set_up).await;
        let wait = match set_up.unwrap_or(Err(LinkEnd::SetupTooLong)) {
            Ok((conversation, up)) => {
                let began = inner.now();
                inner.events.changed(up);
                let reason = conversation.run().await;
                let messages_lost = shared.fall(inner.now());
                last_failure = None;
                let is_said = !live(mutants::DOWN_NOT_SAID);
                if is_said {
                    inner.events.changed(LinkChange::Down { peer: target, reason, messages_lost });
                }
                if inner.now().saturating_sub(began) >= HEALTHY_NANOS {
                    backoff.succeeded();
                }
                backoff.failed()
            }
            Err(reason) => {
                let wait = match &reason {
                    LinkEnd::Refused(refusal) if !refusal.code.is_passing() => backoff.refused(),
                    LinkEnd::Refuses(_) => backoff.refused(),
                    _ => backoff.failed(),
                };
                // Said once, and again when it fails for another kind of reason.
                let kind = discriminant(&reason);
                if last_failure.replace(kind) != Some(kind) {
                    let change = LinkChange::Down { peer: target, reason, messages_lost: 0 };
                    inner.events.changed(change);
                }
                wait
            }
        };
        sleep(&inner.platform.spawner, wait).await;
    }
}

/// Connects, agrees on TLS, shakes hands.
async fn set_up(
    inner: &Rc<LinksInner>,
    target: PeerCore,
    shared: &Rc<LinkShared>,
) -> Result<(Conversation, LinkChange), LinkEnd> {
    let (platform, options) = (&inner.platform, &inner.options);
    let (network, spawner) = (&*platform.network, &platform.spawner);
    let plain = connect(network, spawner, shared.address(), LinksInner::setup_time()).await?;
    let (socket, tls): (Rc<dyn Socket>, _) = match &options.security {
        LinkSecurity::Tls(tls) => {
            let connection = tls.dial(target.node()).map_err(|error| {
                LinkEnd::Tls(crate::tls::TlsError::Protocol { source: std::sync::Arc::new(error) })
            })?;
            let secured = Rc::new(TlsSocket::shake_hands(plain, connection).await?);
            (secured.clone(), Some(secured))
        }
        LinkSecurity::LoopbackOnly | LinkSecurity::TrustedNetwork => (plain, None),
    };
    let hello = options.greeting(target);
    let mut out = Vec::new();
    let (kind, destination) = (FrameKind::Hello, Destination::Link);
    let head = FrameHead { version: HANDSHAKE_VERSION, kind, destination, sequence: 0 };
    write_frame(head, &hello.encode(), &mut out);
    let buffer = send(&*socket, out).await?;
    // The frame that was just written was the first of its lane.
    let mut receiving = Receiving::new();
    let mut window = ReceiveWindow::new(options.window_bytes);
    let welcome = hear_answer(&*socket, &mut receiving, &mut window).await?;
    let names = |node| tls.as_ref().is_none_or(|tls| tls.is_node(node));
    let (version, sighting) = hello.accept(&welcome, &mut inner.book.borrow_mut(), names)?;
    receiving.agree(version);
    // Before the link is up, or it would end itself.
    inner.met(&welcome.identity, sighting);
    shared.sending(|sending| sending.handshake_sent());
    shared.rise(welcome.identity, version, welcome.window_bytes, inner.now());
    let up = LinkChange::Up { peer: target, identity: welcome.identity, version };
    let conversation = Conversation {
        socket,
        spawner: spawner.clone(),
        events: inner.events.clone(),
        shared: shared.clone(),
        peer: target,
        receiving,
        window: Rc::new(RefCell::new(window)),
        outbox: Outbox::with_buffer(buffer),
    };
    Ok((conversation, up))
}

/// What the other end answers to a Hello.
async fn hear_answer(
    socket: &dyn Socket,
    receiving: &mut Receiving,
    window: &mut ReceiveWindow,
) -> Result<Greeting, LinkEnd> {
    loop {
        if let Some(frame) = receiving.next(window)? {
            return match frame.kind {
                FrameKind::Welcome => Ok(Greeting::decode(frame.payload)?),
                FrameKind::Refuse => Err(LinkEnd::Refused(HeardRefusal::decode(frame.payload)?)),
                _ => Err(LinkEnd::Greeting(GreetingError::NotAPeer)),
            };
        }
        if recv(socket, receiving.buffer()).await? == 0 {
            return Err(LinkEnd::Closed);
        }
    }
}
