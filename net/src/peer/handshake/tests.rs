//! Every way in which a handshake can go wrong, and the bytes of those that go well.

use types::prng::Prng;

use super::*;

fn identity(node: u32, incarnation: u64, start: u64) -> NodeIdentity {
    NodeIdentity {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
        start: StartNumber(start),
        address: SocketAddr::from(([10, 0, 0, node as u8], 7000)),
        shard_count: 4,
    }
}

fn greeting(node: u32, other: PeerCore) -> Greeting {
    Greeting {
        cluster: ClusterId(77),
        versions: Versions { oldest: 2, newest: 4 },
        identity: identity(node, 5, 50),
        core: PeerCore::Shard(NodeId(node), ShardId(1)),
        other,
        window_bytes: 1 << 20,
    }
}

/// A dialler of node 1 and an acceptor of node 2 that fit together.
fn pair() -> (Greeting, Greeting) {
    let (one, two) =
        (PeerCore::Shard(NodeId(1), ShardId(1)), PeerCore::Shard(NodeId(2), ShardId(1)));
    (greeting(1, two), greeting(2, one))
}

#[test]
fn ends_that_fit_agree_on_the_newest_common_version() {
    for (here, there, chosen) in [
        ((1, 1), (1, 1), Some(1)),
        ((1, 3), (2, 5), Some(3)),
        ((2, 5), (1, 3), Some(3)),
        ((1, 2), (3, 4), None),
        ((3, 4), (1, 2), None),
    ] {
        let (mut dialler, mut acceptor) = pair();
        dialler.versions = Versions { oldest: here.0, newest: here.1 };
        acceptor.versions = Versions { oldest: there.0, newest: there.1 };
        let hello = Greeting::decode(&dialler.encode()).expect("ours");
        assert_eq!(hello, dialler);
        let answer = acceptor.answer(&hello, &mut PeerBook::default(), |_| true);
        let Some(chosen) = chosen else {
            let refusal = answer.expect_err("nothing in common");
            assert_eq!(refusal.code(), RefusalCode::NoCommonVersion);
            continue;
        };
        let (welcome, sighting) = answer.expect("they fit");
        assert_eq!(sighting, Sighting::Raised);
        let welcome = Greeting::decode(&welcome.encode()).expect("ours");
        let accepted = dialler.accept(&welcome, &mut PeerBook::default(), |_| true);
        assert_eq!(accepted, Ok((chosen, Sighting::Raised)));
    }
}

#[test]
fn every_mismatch_is_refused_with_its_own_reason_and_teaches_nothing() {
    type Change = fn(&mut Greeting);
    let cases: [(Change, RefusalCode); 6] = [
        (|hello| hello.cluster = ClusterId(78), RefusalCode::WrongCluster),
        (|hello| hello.other = PeerCore::Shard(NodeId(2), ShardId(0)), RefusalCode::WrongCore),
        (|hello| hello.other = PeerCore::Control(NodeId(2)), RefusalCode::WrongCore),
        (|hello| hello.other = PeerCore::Shard(NodeId(3), ShardId(1)), RefusalCode::WrongCore),
        (|hello| hello.identity = identity(1, 4, 50), RefusalCode::Restored),
        (|hello| hello.identity = identity(1, 5, 51), RefusalCode::Cloned),
    ];
    for (change, code) in cases {
        let (mut dialler, acceptor) = pair();
        let mut book = PeerBook::new([dialler.identity]);
        let known = book.clone();
        change(&mut dialler);
        let refusal = acceptor.answer(&dialler, &mut book, |_| true).expect_err("a mismatch");
        assert_eq!(refusal.code(), code, "{refusal}");
        assert_eq!(book, known);
        let heard = HeardRefusal::decode(&refusal.encode()).expect("ours");
        assert_eq!(heard, HeardRefusal { code, sentence: refusal.to_string() });
        assert!(!heard.sentence.contains('\n'));
    }
    let (mut dialler, acceptor) = pair();
    let refused = acceptor.answer(&dialler, &mut PeerBook::default(), |node| node != NodeId(1));
    assert_eq!(refused.expect_err("another's certificate").code(), RefusalCode::Certificate);
    dialler.identity.node = NodeId(2);
    let refused = acceptor.answer(&dialler, &mut PeerBook::default(), |_| true);
    assert_eq!(refused.expect_err("ourselves").code(), RefusalCode::IsThisNode);
}

#[test]
fn a_dialler_checks_who_answers() {
    let (dialler, acceptor) = pair();
    let answer = acceptor.answer(&dialler, &mut PeerBook::default(), |_| true);
    let (welcome, _) = answer.expect("they fit");
    let refused = |welcome: Greeting, book: &mut PeerBook| {
        dialler.accept(&welcome, book, |_| true).expect_err("a mismatch").code()
    };
    let none = &mut PeerBook::default();
    let other_node = Greeting {
        identity: identity(3, 1, 1),
        core: PeerCore::Shard(NodeId(3), ShardId(1)),
        ..welcome
    };
    assert_eq!(refused(other_node, none), RefusalCode::WrongCore);
    let other_caller = Greeting { other: PeerCore::Control(NodeId(1)), ..welcome };
    assert_eq!(refused(other_caller, none), RefusalCode::WrongCore);
    let other_version = Greeting { versions: Versions { oldest: 9, newest: 9 }, ..welcome };
    assert_eq!(refused(other_version, none), RefusalCode::NoCommonVersion);
    let range = Greeting { versions: Versions { oldest: 1, newest: 9 }, ..welcome };
    assert_eq!(refused(range, none), RefusalCode::NoCommonVersion);
    let old = &mut PeerBook::new([identity(2, 6, 1)]);
    assert_eq!(refused(welcome, old), RefusalCode::Restored);
    assert!(dialler.accept(&welcome, none, |_| false).is_err());
}

#[test]
fn cut_and_changed_payloads_are_errors_and_longer_ones_are_fine() {
    let (dialler, _) = pair();
    let whole = dialler.encode();
    for end in 0..whole.len() {
        assert!(Greeting::decode(&whole[..end]).is_err(), "cut at {end}");
    }
    let mut longer = whole.clone();
    longer.extend_from_slice(b"what a later version adds");
    assert_eq!(Greeting::decode(&longer), Ok(dialler));
    let mut prng = Prng::new(1);
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + prng.index(4) {
            let at = prng.index(bytes.len());
            bytes[at] = prng.next_u64() as u8;
        }
        // Any answer, and no panic; what is read can be written again.
        if let Ok(read) = Greeting::decode(&bytes) {
            assert_eq!(Greeting::decode(&read.encode()), Ok(read));
        }
        let _ = HeardRefusal::decode(&bytes);
    }
    let refusal = Refusal::Full.encode();
    for end in 0..refusal.len() {
        assert!(HeardRefusal::decode(&refusal[..end]).is_err(), "cut at {end}");
    }
    let mut later = refusal;
    later[8] = 99;
    let heard = HeardRefusal::decode(&later).expect("codes of later versions are heard");
    assert_eq!(heard.code, RefusalCode::Other(99));
}
