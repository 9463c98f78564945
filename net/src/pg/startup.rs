//! How a conversation begins: the first packet, the protocol version, the client's settings, and the settings that it is told.
//!
//! The first packet has no type byte. Its first word is a protocol version or one of three magic numbers:
//!
//! ```text
//! int32 length | int32 1234.5679 TLS asked | 1234.5680 GSS asked
//! int32 length | int32 1234.5678 cancel    | int32 process id | 4…256 bytes secret
//! int32 length | int32 3.minor             | (name 0 value 0)* 0
//! ```
//!
//! TLS is not built: it is refused with `N`, and a client that insists leaves. A minor version or a `_pq_.` option that we do not know is answered
//! with NegotiateProtocolVersion.
//! Source: PostgreSQL 15 and 18, "Start-up" and "Supported protocol versions".

use pgwire::messages::startup::{
    GssEncRequest, NegotiateProtocolVersion, ParameterStatus, SslRequest,
};
use types::SqlState;
use types::limits::IDENTIFIER_BYTES_MAX;

use super::connection::Negotiated;
use super::error_response::PgError;
use super::frontend::utf8;
use super::response::ResponseWriter;

/// The version that clients are told; drivers parse the number in front and choose their queries by it.
pub const SERVER_VERSION: &str = concat!("15.0 (Ringfence ", env!("CARGO_PKG_VERSION"), ")");
/// The same as a number, for `SHOW server_version_num`.
pub const SERVER_VERSION_NUMBER: u32 = 150_000;

/// Major version 1234, minor version 5678.
const CANCEL_REQUEST_CODE: u32 = 80_877_102;
const PROTOCOL_MAJOR: u16 = 3;
const PROTOCOL_MINOR_MAX: u16 = 2;
/// From this minor version on the secret of a cancel key is long.
const LONG_SECRET_MINOR: u16 = 2;
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 4..=256;

/// The startup packet, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupRequest {
    /// The minor protocol version spoken from here on.
    pub minor_version: u16,
    /// The role that wants in.
    pub user: String,
    /// The database; the role's name if the client named none.
    pub database: String,
    /// Settings in the order in which they apply: those of `options` first.
    pub settings: Vec<(String, String)>,
    /// What must be refused before authentication goes on, if anything.
    pub negotiate: Option<Negotiate>,
}

/// What the client asked for and does not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiate {
    /// Protocol options that we do not know.
    pub unknown_options: Vec<String>,
}

impl StartupRequest {
    /// Whether cancel keys of this conversation have long secrets.
    pub fn has_long_secret(&self) -> bool {
        self.minor_version >= LONG_SECRET_MINOR
    }

    /// The last value of a setting.
    pub fn setting(&self, name: &str) -> Option<&str> {
        let mut found =
            self.settings.iter().rev().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }
}

/// The first packet.
#[derive(Debug)]
pub(crate) enum FirstPacket<'a> {
    Encryption(Negotiated),
    Cancel { process_id: u32, secret: &'a [u8] },
    Startup(StartupRequest),
}

/// Decodes the first packet behind its length field.
///
/// # Errors
/// 08P01 for a broken packet, 0A000 for a version or mode that is not spoken, 28000 for a missing role, 22021 for text that is not UTF-8.
pub(crate) fn decode_first_packet(
    body: &[u8],
    negotiated: Negotiated,
) -> Result<FirstPacket<'_>, PgError> {
    let Some((code, rest)) = body.split_first_chunk::<4>() else {
        return Err(PgError::protocol("invalid length of startup packet"));
    };
    let code = u32::from_be_bytes(*code);
    if code == SslRequest::BODY_MAGIC_NUMBER as u32 && !negotiated.tls {
        end_of_packet(rest)?;
        return Ok(FirstPacket::Encryption(Negotiated { tls: true, ..negotiated }));
    }
    if code == GssEncRequest::BODY_MAGIC_NUMBER as u32 && !negotiated.gss {
        end_of_packet(rest)?;
        return Ok(FirstPacket::Encryption(Negotiated { gss: true, ..negotiated }));
    }
    if code == CANCEL_REQUEST_CODE {
        return match rest.split_first_chunk::<4>() {
            Some((process_id, secret)) if SECRET_BYTES.contains(&secret.len()) => {
                Ok(FirstPacket::Cancel { process_id: u32::from_be_bytes(*process_id), secret })
            }
            _ => Err(PgError::protocol("invalid length of cancel request packet")),
        };
    }
    let (major, minor) = ((code >> 16) as u16, code as u16);
    if major != PROTOCOL_MAJOR {
        let text = format!(
            "unsupported frontend protocol {major}.{minor}: server supports \
             {PROTOCOL_MAJOR}.0 to {PROTOCOL_MAJOR}.{PROTOCOL_MINOR_MAX}"
        );
        return Err(PgError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
    }
    decode_parameters(rest, minor).map(FirstPacket::Startup)
}

fn end_of_packet(rest: &[u8]) -> Result<(), PgError> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(PgError::protocol("invalid length of startup packet"))
}

fn decode_parameters(bytes: &[u8], minor: u16) -> Result<StartupRequest, PgError> {
    let mut user = None;
    let mut database = None;
    let mut from_options = Vec::new();
    let mut settings = Vec::new();
    let mut unknown_options = Vec::new();
    for (name, value) in parameter_pairs(bytes)? {
        match name {
            "user" => user = Some(value),
            "database" => database = Some(value),
            "options" => from_options = parse_options(value)?,
            "replication" => refuse_replication(value)?,
            _ if name.starts_with("_pq_.") => unknown_options.push(name.to_owned()),
            _ => settings.push((name.to_owned(), value.to_owned())),
        }
    }
    let user = user.filter(|user| !user.is_empty()).ok_or_else(|| {
        let text = "no PostgreSQL user name specified in startup packet";
        PgError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, text)
    })?;
    let database = database.filter(|database| !database.is_empty()).unwrap_or(user);
    from_options.append(&mut settings);
    let negotiate = (minor > PROTOCOL_MINOR_MAX || !unknown_options.is_empty())
        .then_some(Negotiate { unknown_options });
    Ok(StartupRequest {
        minor_version: minor.min(PROTOCOL_MINOR_MAX),
        user: cut_identifier(user).to_owned(),
        database: cut_identifier(database).to_owned(),
        settings: from_options,
        negotiate,
    })
}

/// Splits `(name 0 value 0)* 0`, to the last byte.
fn parameter_pairs(mut bytes: &[u8]) -> Result<Vec<(&str, &str)>, PgError> {
    let mut pairs = Vec::new();
    loop {
        let name = take_cstring(&mut bytes)?;
        if name.is_empty() {
            break;
        }
        pairs.push((name, take_cstring(&mut bytes)?));
    }
    if bytes.is_empty() { Ok(pairs) } else { Err(bad_layout()) }
}

fn take_cstring<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, PgError> {
    let end = bytes.iter().position(|byte| *byte == 0).ok_or_else(bad_layout)?;
    let text = utf8(&bytes[..end])?;
    *bytes = &bytes[end + 1..];
    Ok(text)
}

fn bad_layout() -> PgError {
    PgError::protocol("invalid startup packet layout: expected terminator as last byte")
}

fn refuse_replication(value: &str) -> Result<(), PgError> {
    match value.to_ascii_lowercase().as_str() {
        "false" | "off" | "no" | "0" => Ok(()),
        _ => {
            let text = "the replication protocol is not supported";
            Err(PgError::new(SqlState::FEATURE_NOT_SUPPORTED, text))
        }
    }
}

/// Cuts a name as PostgreSQL does, at a character boundary.
fn cut_identifier(name: &str) -> &str {
    let mut end = name.len().min(IDENTIFIER_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// The settings in a command line: `-c name=value`, `-cname=value`, `--name=value`; a backslash takes the next character as it is.
///
/// # Errors
/// 42601 for anything else.
pub fn parse_options(text: &str) -> Result<Vec<(String, String)>, PgError> {
    let mut settings = Vec::new();
    let mut words = split_words(text).into_iter();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next()
        } else {
            word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).map(str::to_owned)
        };
        match setting.as_deref().and_then(|setting| setting.split_once('=')) {
            Some((name, value)) if !name.is_empty() => {
                settings.push((name.replace('-', "_"), value.to_owned()));
            }
            _ => {
                let text = format!("invalid command-line argument for server process: {word}");
                return Err(PgError::new(SqlState::SYNTAX_ERROR, text));
            }
        }
    }
    Ok(settings)
}

fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let word = word.get_or_insert_default();
                word.extend(characters.next());
            }
            _ if character.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

/// Answers what could not be granted.
pub(crate) fn write_negotiation(request: &StartupRequest, out: &mut ResponseWriter) {
    if let Some(negotiate) = &request.negotiate {
        let version = i32::from(PROTOCOL_MAJOR) << 16 | i32::from(request.minor_version);
        let unknown = negotiate.unknown_options.clone();
        out.handshake(&NegotiateProtocolVersion::new(version, unknown));
    }
}

/// The settings that a client is told when its session begins; later changes are told by [`ResponseWriter::parameter_status`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedSettings<'a> {
    /// The name that the client gave itself.
    pub application_name: &'a str,
    /// The encoding that the client speaks.
    pub client_encoding: &'a str,
    /// How dates are printed.
    pub date_style: &'a str,
    /// How intervals are printed.
    pub interval_style: &'a str,
    /// The time zone of the session.
    pub time_zone: &'a str,
    /// Whether transactions of this session are read only unless they say otherwise.
    pub default_transaction_read_only: bool,
    /// Whether the role may do everything.
    pub is_superuser: bool,
    /// The role.
    pub session_authorization: &'a str,
}

impl Default for ReportedSettings<'_> {
    fn default() -> Self {
        ReportedSettings {
            application_name: "",
            client_encoding: "UTF8",
            date_style: "ISO, MDY",
            interval_style: "postgres",
            time_zone: "UTC",
            default_transaction_read_only: false,
            is_superuser: true,
            session_authorization: "ringfence",
        }
    }
}

impl ReportedSettings<'_> {
    /// Writes one ParameterStatus a setting.
    pub fn write(&self, out: &mut ResponseWriter) {
        let on_off = |is_on: bool| if is_on { "on" } else { "off" };
        let settings = [
            ("application_name", self.application_name),
            ("client_encoding", self.client_encoding),
            ("DateStyle", self.date_style),
            ("default_transaction_read_only", on_off(self.default_transaction_read_only)),
            ("in_hot_standby", "off"),
            ("integer_datetimes", "on"),
            ("IntervalStyle", self.interval_style),
            ("is_superuser", on_off(self.is_superuser)),
            ("server_encoding", "UTF8"),
            ("server_version", SERVER_VERSION),
            ("session_authorization", self.session_authorization),
            ("standard_conforming_strings", "on"),
            ("TimeZone", self.time_zone),
        ];
        for (name, value) in settings {
            out.handshake(&ParameterStatus::new(name.to_owned(), value.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests;
