//! Startup packets and the settings told to clients.

use super::*;

fn decode(version: u32, parameters: &[(&str, &str)]) -> Result<StartupRequest, PgError> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        for text in [name, value] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    match decode_first_packet(&body, Negotiated::default())? {
        FirstPacket::Startup(request) => Ok(request),
        other => panic!("a startup packet was sent, not {other:?}"),
    }
}

const VERSION_3_0: u32 = 3 << 16;

#[test]
fn a_client_says_who_it_is() {
    let request = decode(
        VERSION_3_0,
        &[
            ("user", "alice"),
            ("TimeZone", "Asia/Tokyo"),
            ("options", r"-c geqo=off --work-mem=4MB -cDateStyle=ISO,\ DMY"),
            ("application_name", "psql"),
        ],
    )
    .expect("a sound packet");
    assert_eq!(request.user, "alice");
    assert_eq!(request.database, "alice");
    assert_eq!(request.negotiate, None);
    assert!(!request.has_long_secret());
    let settings: Vec<(&str, &str)> =
        request.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("geqo", "off"),
        ("work_mem", "4MB"),
        ("DateStyle", "ISO, DMY"),
        ("TimeZone", "Asia/Tokyo"),
        ("application_name", "psql"),
    ];
    assert_eq!(settings, expected);
    assert_eq!(request.setting("timezone"), Some("Asia/Tokyo"));
    assert_eq!(request.setting("nothing"), None);
}

#[test]
fn names_are_cut_at_a_character() {
    let long = "ü".repeat(40);
    let request = decode(VERSION_3_0, &[("user", &long), ("database", "d")]).expect("sound");
    assert_eq!(request.user, "ü".repeat(31));
    assert_eq!(request.database, "d");
}

#[test]
fn versions_and_options_we_do_not_know_are_negotiated() {
    let written = |version, parameters: &[(&str, &str)]| {
        let request = decode(version, parameters).expect("sound");
        let mut out = ResponseWriter::new(1_000);
        write_negotiation(&request, &mut out);
        (request.minor_version, out.as_bytes().to_vec())
    };
    let user = ("user", "u");
    assert_eq!(written(VERSION_3_0, &[user]), (0, vec![]));
    assert_eq!(written(VERSION_3_0 + 2, &[user]), (2, vec![]));
    let newest = [b'v', 0, 0, 0, 12, 0, 3, 0, 2, 0, 0, 0, 0];
    assert_eq!(written(VERSION_3_0 + 9_999, &[user]), (2, newest.to_vec()));
    let mut unknown = vec![b'v', 0, 0, 0, 19, 0, 3, 0, 0, 0, 0, 0, 1];
    unknown.extend(b"_pq_.x\0");
    assert_eq!(written(VERSION_3_0, &[user, ("_pq_.x", "1")]), (0, unknown));
}

#[test]
fn drivers_can_read_the_version() {
    let mut out = ResponseWriter::new(1_000);
    ReportedSettings::default().write(&mut out);
    let text = String::from_utf8_lossy(out.as_bytes()).into_owned();
    for (name, value) in [
        ("server_version\0", "15.0 (Ringfence"),
        ("client_encoding\0", "UTF8"),
        ("integer_datetimes\0", "on"),
        ("standard_conforming_strings\0", "on"),
        ("DateStyle\0", "ISO, MDY"),
    ] {
        assert!(text.contains(&format!("{name}{value}")), "{name}");
    }
}
