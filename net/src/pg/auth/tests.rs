//! The vector of RFC 7677, the verifier's text, and every way in which an exchange must fail.

use super::*;

const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
/// The vector's server nonce is text of its own; ours is always the Base64 of random bytes, so the exchange below has its own nonce.
const RFC_SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const RFC_WITHOUT_PROOF: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

fn rfc_verifier() -> Verifier {
    let salt = BASE64.decode(SALT).expect("the vector's salt");
    Verifier::with_iterations("pencil", salt, ITERATIONS)
}

/// An exchange of the vector after the server's first message.
fn rfc_challenged() -> ScramExchange {
    let bare = CLIENT_FIRST.strip_prefix("n,,").expect("the vector's header");
    let mut exchange = ScramExchange::with_verifier(rfc_verifier());
    exchange.state = ScramState::Challenged {
        header: "n,,",
        nonce: "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned(),
        auth_prefix: format!("{bare},{RFC_SERVER_FIRST}"),
    };
    exchange
}

#[test]
fn the_vector_of_rfc_7677() {
    let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let client_final = format!("{RFC_WITHOUT_PROOF},p={proof}");
    let server_final = rfc_challenged().verify(client_final.as_bytes());
    let expected = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    assert_eq!(server_final.as_deref(), Ok(expected));
}

/// The client's side, for the tests.
pub(crate) fn client_final(
    password: &str,
    client_first: &str,
    server_first: &str,
    gs2: &str,
) -> String {
    let field = |name: &str| {
        let mut fields = server_first.split(',').filter_map(|field| field.strip_prefix(name));
        fields.next().expect("the server's field").to_owned()
    };
    let salt = BASE64.decode(field("s=")).expect("Base64");
    let iterations: NonZeroU32 = field("i=").parse().expect("a number");
    let mut salted = [0; KEY_BYTES];
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, iterations, &salt, prepare(password).as_bytes(), &mut salted);
    let client_key = hmac_sha256(&salted, b"Client Key");
    let without_proof = format!("c={},r={}", BASE64.encode(gs2), field("r="));
    let bare = &client_first[gs2.len()..];
    let signed = format!("{bare},{server_first},{without_proof}");
    let signature = hmac_sha256(&sha256(&client_key), signed.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, mask)| key ^ mask).collect();
    format!("{without_proof},p={}", BASE64.encode(proof))
}

fn challenge(exchange: &mut ScramExchange, client_first: &str) -> String {
    exchange.challenge(client_first.as_bytes(), [7; NONCE_BYTES]).expect("a sound first message")
}

#[test]
fn the_right_password_and_no_other() {
    for (kept, given, fits) in [
        ("secret", "secret", true),
        ("secret", "Secret", false),
        ("secret", "", false),
        // SASLprep: a soft hyphen vanishes, a compatibility letter is its plain form, a no-break space is a space.
        ("I\u{ad}X", "IX", true),
        ("\u{aa}", "a", true),
        ("a\u{a0}b", "a b", true),
        // Not preparable: taken as it is.
        ("\u{7}bell", "\u{7}bell", true),
    ] {
        let verifier = Verifier::of_password(kept, [3; SALT_BYTES]);
        for gs2 in ["n,,", "y,,"] {
            let first = format!("{gs2}n=,r=abc");
            let mut exchange = ScramExchange::with_verifier(verifier.clone());
            let server_first = challenge(&mut exchange, &first);
            let last = client_final(given, &first, &server_first, gs2);
            let verified = exchange.verify(last.as_bytes());
            assert_eq!(verified.is_ok(), fits, "{kept:?} {given:?}");
            if !fits {
                assert_eq!(verified, Err(ScramError::WrongPassword));
            }
        }
    }
}

#[test]
fn a_verifier_is_kept_as_postgresql_keeps_it() {
    let text = rfc_verifier().to_string();
    let expected = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    assert_eq!(text, expected);
    assert_eq!(text.parse(), Ok(rfc_verifier()));
    assert!(!format!("{:?}", rfc_verifier()).contains("WG5d8o"), "keys stay out of logs");
    for wrong in [
        "",
        "md5abc",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==",
        "SCRAM-SHA-256$0:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    ] {
        assert_eq!(wrong.parse::<Verifier>(), Err(NotAVerifier), "{wrong}");
    }
}

#[test]
fn nobody_is_asked_the_same_each_time_and_never_gets_in() {
    let first = "n,,n=,r=abc";
    let mut seen = Vec::new();
    for (user, secret) in [("ghost", b"k1"), ("ghost", b"k1"), ("other", b"k1"), ("ghost", b"k2")] {
        let mut exchange = ScramExchange::of_nobody(user, secret);
        let server_first = challenge(&mut exchange, first);
        for password in ["", "ghost"] {
            let mut again = ScramExchange::of_nobody(user, secret);
            challenge(&mut again, first);
            let last = client_final(password, first, &server_first, "n,,");
            assert_eq!(again.verify(last.as_bytes()), Err(ScramError::WrongPassword));
        }
        seen.push(server_first);
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0], seen[2]);
    assert_ne!(seen[0], seen[3]);
    // Even the proof that fits the made-up keys does not open.
    let mut exchange = ScramExchange::of_nobody("ghost", b"k1");
    exchange.verifier = rfc_verifier();
    let server_first = challenge(&mut exchange, first);
    let last = client_final("pencil", first, &server_first, "n,,");
    assert_eq!(exchange.verify(last.as_bytes()), Err(ScramError::WrongPassword));
}

#[test]
fn broken_first_messages_are_refused() {
    for wrong in [
        "",
        "n",
        "n,,",
        "n,,r=abc",
        "n,,n=u",
        "n,,n=u,r=",
        "n,,n=u,r=a b",
        "n,,m=x,n=u,r=abc",
        "n,a=admin,n=u,r=abc",
        "p=tls-server-end-point,,n=u,r=abc",
        "x,,n=u,r=abc",
        "n,,n=u,r=a\0",
    ] {
        let mut exchange = ScramExchange::with_verifier(rfc_verifier());
        let answer = exchange.challenge(wrong.as_bytes(), [0; NONCE_BYTES]);
        assert!(matches!(answer, Err(ScramError::Protocol(_))), "{wrong}: {answer:?}");
    }
    let mut exchange = ScramExchange::with_verifier(rfc_verifier());
    assert!(exchange.challenge(b"n,,n=\xff,r=abc", [0; NONCE_BYTES]).is_err());
}

#[test]
fn tampered_final_messages_are_refused() {
    let first = "n,,n=,r=abc";
    let sound = |exchange: &mut ScramExchange| {
        let server_first = challenge(exchange, first);
        client_final("pencil", first, &server_first, "n,,")
    };
    let fresh = || ScramExchange::with_verifier(rfc_verifier());
    type Tamper = fn(&str) -> String;
    let tampering: &[(&str, Tamper)] = &[
        ("another nonce", |text| text.replace("r=abc", "r=abd")),
        ("a nonce cut short", |text| text.replacen("r=abc", "r=ab", 1)),
        ("a claim of channel binding", |text| text.replace("c=biws", "c=eSws")),
        ("no channel-binding field", |text| text.replace("c=biws,", "")),
        ("junk behind the proof", |text| format!("{text}AAAA")),
        ("a field behind the proof", |text| format!("{text},x=y")),
        ("no proof", |text| text[..text.find(",p=").expect("a proof")].to_owned()),
        ("a short proof", |text| format!("{},p=AAAA", &text[..text.find(",p=").expect("a proof")])),
        ("nothing", |_| String::new()),
    ];
    for (what, tamper) in tampering {
        let mut exchange = fresh();
        let text = tamper(&sound(&mut exchange));
        let answer = exchange.verify(text.as_bytes());
        assert!(matches!(answer, Err(ScramError::Protocol(_))), "{what}: {answer:?}");
    }
    // A final message is good once, and only in its own exchange.
    let mut exchange = fresh();
    let text = sound(&mut exchange);
    assert!(exchange.verify(text.as_bytes()).is_ok());
    assert!(exchange.verify(text.as_bytes()).is_err());
    let mut other = fresh();
    other.challenge(first.as_bytes(), [8; NONCE_BYTES]).expect("sound");
    assert!(other.verify(text.as_bytes()).is_err());
    assert!(fresh().verify(text.as_bytes()).is_err());
}

#[test]
fn the_initial_response_is_checked() {
    let body = |mechanism: &str, length: i32, data: &[u8]| {
        [mechanism.as_bytes(), b"\0", &length.to_be_bytes(), data].concat()
    };
    assert_eq!(decode_initial_response(&body(MECHANISM, 3, b"abc")), Ok(Some(&b"abc"[..])));
    assert_eq!(decode_initial_response(&body(MECHANISM, -1, b"")), Ok(None));
    for wrong in [
        body("SCRAM-SHA-256-PLUS", 3, b"abc"),
        body(MECHANISM, 4, b"abc"),
        body(MECHANISM, 2, b"abc"),
        body(MECHANISM, -2, b""),
        b"SCRAM-SHA-256".to_vec(),
        vec![],
    ] {
        assert!(decode_initial_response(&wrong).is_err(), "{wrong:?}");
    }
}
