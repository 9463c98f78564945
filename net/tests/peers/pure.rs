//! The pure parts: frames, credit, liveness, identities and the handshake.

use std::net::SocketAddr;

use net::limits::{
    FRAME_PAYLOAD_BYTES_MAX, HEARTBEAT_MILLIS, LINK_QUEUE_BYTES_MAX, SILENCE_MILLIS_MAX,
};
use net::peer::frame::{Destination, FrameHead, FrameKind, HEADER_BYTES, write_frame};
use net::peer::handshake::{Greeting, Refusal, RefusalCode, Versions};
use net::peer::identity::{ClusterId, Incarnation, NodeIdentity, PeerBook, PeerCore, StartNumber};
use net::peer::receiving::{ReceiveError, ReceiveWindow, Receiving};
use net::peer::sending::{Absence, QueueError, Sending};
use types::checksum::{checksum, checksum_append};
use types::prng::Prng;
use types::{NodeId, ShardId};

use crate::{Case, ensure};

pub const CASES: &[Case] = &[
    ("frames survive every cut", frames_survive_every_cut),
    ("every damaged bit is noticed", every_damaged_bit_is_noticed),
    ("a missing or repeated frame is noticed", a_missing_or_repeated_frame_is_noticed),
    ("lengths are bounded", lengths_are_bounded),
    ("noise is refused", noise_is_refused),
    ("credit bounds and returns", credit_bounds_and_returns),
    ("a full queue says so", a_full_queue_says_so),
    ("absence is noticed both ways", absence_is_noticed_both_ways),
    ("the past is recognised", the_past_is_recognised),
    ("strangers are refused", strangers_are_refused),
];

const VERSION: u8 = 1;
const MILLI: u64 = 1_000_000;

fn sending(window: u64) -> Sending {
    let mut sending = Sending::new(0);
    sending.agree(VERSION, window, 0);
    sending
}

fn receiving() -> Receiving {
    let mut receiving = Receiving::new();
    receiving.agree(VERSION);
    receiving
}

type Message = (Destination, Vec<u8>);

fn draw(prng: &mut Prng) -> Message {
    let destination = match prng.below(3) {
        0 => Destination::Link,
        1 => Destination::Range(prng.next_u64()),
        _ => Destination::Core(prng.next_u64()),
    };
    let mut payload = vec![0; prng.index(300)];
    prng.fill(&mut payload);
    (destination, payload)
}

/// Everything that the bytes hold, in arrival order, and what ended it.
fn receive(
    receiving: &mut Receiving,
    window: &mut ReceiveWindow,
    bytes: &[u8],
    into: &mut Vec<Message>,
) -> Result<(), ReceiveError> {
    receiving.buffer().extend_from_slice(bytes);
    while let Some(frame) = receiving.next(window)? {
        let bytes = frame.frame_bytes();
        if frame.kind == FrameKind::Message {
            into.push((frame.destination, frame.payload.to_vec()));
            let _told = window.consume(bytes);
        }
    }
    Ok(())
}

fn batch(prng: &mut Prng, count: usize) -> (Vec<Message>, Vec<u8>) {
    let mut sending = sending(u64::MAX);
    let messages: Vec<Message> = (0..count).map(|_| draw(prng)).collect();
    for (destination, payload) in &messages {
        sending.message(*destination, payload).expect("room enough");
    }
    let mut bytes = Vec::new();
    assert_eq!(sending.take(&mut bytes), count as u64);
    (messages, bytes)
}

fn frames_survive_every_cut() -> Result<(), String> {
    for seed in 0..200 {
        let prng = &mut Prng::new(seed);
        let (messages, bytes) = batch(prng, 1 + prng.clone().index(8));
        let (mut receiving, mut window) = (receiving(), ReceiveWindow::new(1 << 30));
        let (mut heard, mut rest) = (Vec::new(), &bytes[..]);
        while !rest.is_empty() {
            let most = if seed % 2 == 0 { 1 } else { rest.len() };
            let (now, later) = rest.split_at(1 + prng.index(most));
            let received = receive(&mut receiving, &mut window, now, &mut heard);
            ensure(received.is_ok(), format!("seed {seed}: {received:?}"))?;
            rest = later;
        }
        ensure(heard == messages, format!("seed {seed}: other messages arrive"))?;
        ensure(receiving.held_bytes() < 4_096, "a buffer is kept for nothing")?;
    }
    Ok(())
}

fn every_damaged_bit_is_noticed() -> Result<(), String> {
    let prng = &mut Prng::new(7);
    let (messages, bytes) = batch(prng, 3);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let (mut receiving, mut window) = (receiving(), ReceiveWindow::new(1 << 30));
        let mut heard = Vec::new();
        let received = receive(&mut receiving, &mut window, &damaged, &mut heard);
        ensure(received.is_err(), format!("bit {bit} is damaged and nobody notices"))?;
        ensure(messages.starts_with(&heard), format!("bit {bit} changes a message"))?;
        ensure(receiving.next(&mut window).is_err(), "a broken stream heals")?;
    }
    Ok(())
}

fn frame(sequence: u64, payload: &[u8]) -> Vec<u8> {
    let (kind, destination) = (FrameKind::Message, Destination::Link);
    let mut bytes = Vec::new();
    write_frame(FrameHead { version: VERSION, kind, destination, sequence }, payload, &mut bytes);
    bytes
}

fn a_missing_or_repeated_frame_is_noticed() -> Result<(), String> {
    for numbers in [[0, 2], [0, 0], [1, 0]] {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| frame(*number, b"x")).collect();
        let (mut receiving, mut window) = (receiving(), ReceiveWindow::new(1 << 30));
        let received = receive(&mut receiving, &mut window, &bytes, &mut Vec::new());
        let noticed = matches!(received, Err(ReceiveError::Sequence { .. }));
        ensure(noticed, format!("frames {numbers:?} are taken: {received:?}"))?;
    }
    Ok(())
}

/// A header that is whole and asks for more than may be: nothing is reserved for it.
fn lengths_are_bounded() -> Result<(), String> {
    let mut bytes = frame(0, b"");
    bytes[0..4].copy_from_slice(&(FRAME_PAYLOAD_BYTES_MAX as u32 + 1).to_le_bytes());
    let own = checksum(&bytes[..24]);
    bytes[24..28].copy_from_slice(&own.to_le_bytes());
    let whole = checksum_append(own, &bytes[24..28]);
    bytes[28..32].copy_from_slice(&whole.to_le_bytes());
    let (mut receiving, mut window) = (receiving(), ReceiveWindow::new(1 << 30));
    let received = receive(&mut receiving, &mut window, &bytes, &mut Vec::new());
    ensure(received.is_err(), "a frame longer than the bound is waited for")
}

fn noise_is_refused() -> Result<(), String> {
    let prng = &mut Prng::new(3);
    for _ in 0..2_000 {
        let mut noise = vec![0; prng.index(400)];
        prng.fill(&mut noise);
        let (mut receiving, mut window) = (receiving(), ReceiveWindow::new(1 << 20));
        let mut heard = Vec::new();
        let received = receive(&mut receiving, &mut window, &noise, &mut heard);
        ensure(heard.is_empty(), "noise is taken for a message")?;
        ensure(noise.len() < HEADER_BYTES || received.is_err(), "noise is waited for")?;
        let _greeting = Greeting::decode(&noise);
    }
    Ok(())
}

/// Whatever the order in which one side sends and the other consumes: never more is under way than the window and one frame, and all arrives.
fn credit_bounds_and_returns() -> Result<(), String> {
    for seed in 0..60 {
        let prng = &mut Prng::new(seed);
        let window_bytes = 200 + prng.below(3_000);
        let (mut sending, mut receiving) = (sending(window_bytes), receiving());
        let mut window = ReceiveWindow::new(window_bytes);
        let (mut sent, mut heard, mut unconsumed) = (Vec::new(), Vec::new(), Vec::new());
        let mut wire = Vec::new();
        for _ in 0..4_000 {
            if sent.len() < 300 && prng.below(3) == 0 {
                let message = draw(prng);
                if sending.message(message.0, &message.1).is_ok() {
                    sent.push(message);
                }
            }
            if sending.has_output() {
                let mut bytes = Vec::new();
                sending.take(&mut bytes);
                wire.extend(bytes);
            }
            let (now, later) = wire.split_at(prng.index(wire.len() + 1));
            receiving.buffer().extend_from_slice(now);
            wire = later.to_vec();
            loop {
                match receiving.next(&mut window) {
                    Ok(Some(frame)) => {
                        unconsumed.push(frame.frame_bytes());
                        heard.push((frame.destination, frame.payload.to_vec()));
                    }
                    Ok(None) => break,
                    Err(error) => return Err(format!("seed {seed}: {error}")),
                }
            }
            let bound = window_bytes + (HEADER_BYTES + 300) as u64;
            ensure(window.held_bytes() <= bound, format!("seed {seed}: credit is overdrawn"))?;
            while !unconsumed.is_empty() && prng.below(2) == 0 {
                if let Some(granted) = window.consume(unconsumed.remove(0)) {
                    sending.grant(granted);
                }
            }
        }
        ensure(sent.len() == 300 && heard == sent, format!("seed {seed}: messages are stuck"))?;
    }
    Ok(())
}

fn a_full_queue_says_so() -> Result<(), String> {
    let mut sending = sending(0);
    let payload = vec![1; 100_000];
    let mut taken = 0;
    let refused = loop {
        match sending.message(Destination::Link, &payload) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        ensure(taken <= LINK_QUEUE_BYTES_MAX / payload.len() + 1, "a queue grows for ever")?;
    };
    ensure(matches!(refused, QueueError::Full { .. }), format!("refused as {refused:?}"))?;
    ensure(sending.queued_frames() == taken as u64, "a message was taken and is not there")?;
    sending.grant(u64::MAX);
    let mut left = 0;
    while sending.has_output() {
        let mut bytes = Vec::new();
        left += sending.take(&mut bytes);
    }
    ensure(left == taken as u64, "a message was taken and does not leave")
}

/// An end that hears nothing goes; one that is heard and does not answer goes, too.
fn absence_is_noticed_both_ways() -> Result<(), String> {
    let silence = SILENCE_MILLIS_MAX * MILLI;
    let step = HEARTBEAT_MILLIS * MILLI;
    let mut lonely = sending(0);
    let mut now = 0;
    let gone = loop {
        match lonely.tick(now) {
            Ok(()) => now += step,
            Err(gone) => break gone,
        }
        ensure(now < 4 * silence, "silence is not noticed")?;
    };
    ensure(matches!(gone, Absence::Silent { .. }), format!("silence is {gone:?}"))?;
    let mut unheard = sending(0);
    now = 0;
    let gone = loop {
        unheard.heard(now);
        match unheard.tick(now) {
            Ok(()) => now += step,
            Err(gone) => break gone,
        }
        ensure(now < 8 * silence, "an end that does not hear us is not noticed")?;
    };
    ensure(matches!(gone, Absence::Unanswered { .. }), format!("deafness is {gone:?}"))?;
    let mut healthy = sending(0);
    for round in 0..40 {
        let now = round * step;
        healthy.heard(now);
        healthy.tick(now).map_err(|gone| format!("a healthy peer is {gone}"))?;
        healthy.answered(now, now + 300);
    }
    ensure(healthy.round_trip_nanos() == Some(300), "a round trip is not measured")
}

fn identity(node: u32, incarnation: u64, start: u64) -> NodeIdentity {
    NodeIdentity {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
        start: StartNumber(start),
        address: SocketAddr::from(([127, 0, 0, 1], 7_000 + node as u16 * 10)),
        shard_count: 2,
    }
}

fn the_past_is_recognised() -> Result<(), String> {
    let mut book = PeerBook::new([identity(2, 5, 50)]);
    ensure(book.meet(identity(2, 4, 40)).is_err(), "a restored disk takes part")?;
    ensure(book.meet(identity(2, 5, 51)).is_err(), "a cloned directory takes part")?;
    ensure(book.meet(identity(2, 5, 50)).is_ok(), "a known node is refused")?;
    ensure(book.meet(identity(2, 6, 60)).is_ok(), "an honest restart is refused")?;
    ensure(book.meet(identity(2, 5, 50)).is_err(), "the past comes back")
}

fn greeting(cluster: u128, node: u32, other: PeerCore) -> Greeting {
    Greeting {
        cluster: ClusterId(cluster),
        versions: Versions { oldest: 2, newest: 4 },
        identity: identity(node, 1, u64::from(node)),
        core: PeerCore::Shard(NodeId(node), ShardId(0)),
        other,
        window_bytes: 1_000,
    }
}

fn strangers_are_refused() -> Result<(), String> {
    let (here, there) =
        (PeerCore::Shard(NodeId(1), ShardId(0)), PeerCore::Shard(NodeId(2), ShardId(0)));
    let own = greeting(9, 1, there);
    let ask = |hello: &Greeting, certified: bool| {
        own.answer(hello, &mut PeerBook::default(), |_| certified)
    };
    let good = greeting(9, 2, here);
    let code = |answer: Result<_, Refusal>| answer.err().map(|refusal: Refusal| refusal.code());
    ensure(ask(&good, true).is_ok(), "a peer is refused")?;
    let expected = [
        (ask(&greeting(8, 2, here), true), RefusalCode::WrongCluster),
        (ask(&greeting(9, 2, there), true), RefusalCode::WrongCore),
        (ask(&greeting(9, 1, here), true), RefusalCode::IsThisNode),
        (ask(&good, false), RefusalCode::Certificate),
        (
            ask(&Greeting { versions: Versions { oldest: 5, newest: 9 }, ..good }, true),
            RefusalCode::NoCommonVersion,
        ),
        (
            ask(&Greeting { versions: Versions { oldest: 1, newest: 1 }, ..good }, true),
            RefusalCode::NoCommonVersion,
        ),
    ];
    for (answer, expected) in expected {
        let found = code(answer.map(drop));
        ensure(found == Some(expected), format!("{found:?} where {expected:?} is due"))?;
    }
    let newer = Greeting { versions: Versions { oldest: 3, newest: 7 }, ..good };
    let chosen = ask(&newer, true).map(|(welcome, _)| welcome.versions.newest);
    ensure(chosen == Ok(4), format!("version {chosen:?} is chosen"))
}
