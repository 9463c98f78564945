//! Passwords: SCRAM-SHA-256, the server's side, and the verifier that is kept instead of the password.
//!
//! ```text
//! client-first   n,,n=user,r=<client nonce>
//! server-first   r=<client nonce><server nonce>,s=<salt>,i=<iterations>
//! client-final   c=biws,r=<both nonces>,p=<proof>
//! server-final   v=<server signature>
//! ```
//!
//! The exchange is pure: nonces are arguments. A role that does not exist goes through the same exchange with a salt derived from its name and a secret
//! of the cluster, so that neither the messages nor the work tell it apart from a wrong password; the answer is refused at the end.
//! There is no channel binding, since there is no TLS yet; a client that believes otherwise is refused.
//! Source: RFC 5802, RFC 7677; PostgreSQL 15, "SASL Authentication" and `pg_authid.rolpassword`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};

use super::error_response::PgError;
use super::frontend::Body;

/// The only mechanism offered.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// Iterations of new verifiers. Source: PostgreSQL 15, `SCRAM_DEFAULT_ITERATIONS`, which RFC 7677 names as the least.
pub const ITERATIONS: NonZeroU32 = NonZeroU32::new(4_096).expect("not zero");
/// Random bytes in a verifier's salt.
pub const SALT_BYTES: usize = 16;
/// Random bytes in a server nonce.
pub const NONCE_BYTES: usize = 18;
/// Bytes of a SHA-256 digest.
const KEY_BYTES: usize = digest::SHA256_OUTPUT_LEN;
/// Longest salt of a verifier in bytes.
const SALT_BYTES_MAX: usize = 1_024;

/// What is kept of a password: enough to check a proof, not enough to make one.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    stored_key: [u8; KEY_BYTES],
    server_key: [u8; KEY_BYTES],
}

/// The text is not a verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SCRAM-SHA-256 verifier")]
pub struct NotAVerifier;

impl Verifier {
    /// The verifier of a password, with a random salt.
    pub fn of_password(password: &str, salt: [u8; SALT_BYTES]) -> Verifier {
        Verifier::with_iterations(password, salt.to_vec(), ITERATIONS)
    }

    fn with_iterations(password: &str, salt: Vec<u8>, iterations: NonZeroU32) -> Verifier {
        let mut salted = [0; KEY_BYTES];
        let prepared = prepare(password);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            &salt,
            prepared.as_bytes(),
            &mut salted,
        );
        let client_key = hmac_sha256(&salted, b"Client Key");
        Verifier {
            iterations,
            salt,
            stored_key: sha256(&client_key),
            server_key: hmac_sha256(&salted, b"Server Key"),
        }
    }

    /// A verifier that no password satisfies, the same for the same role each time.
    fn of_nobody(user: &str, cluster_secret: &[u8]) -> Verifier {
        let salt = labelled(cluster_secret, b"salt", user)[..SALT_BYTES].to_vec();
        Verifier {
            iterations: ITERATIONS,
            salt,
            stored_key: labelled(cluster_secret, b"stored", user),
            server_key: labelled(cluster_secret, b"server", user),
        }
    }
}

/// The form that PostgreSQL keeps: `SCRAM-SHA-256$4096:salt$stored key:server key`.
impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{MECHANISM}${}:{}${}:{}",
            self.iterations,
            BASE64.encode(&self.salt),
            BASE64.encode(self.stored_key),
            BASE64.encode(self.server_key)
        )
    }
}

impl FromStr for Verifier {
    type Err = NotAVerifier;

    fn from_str(text: &str) -> Result<Verifier, NotAVerifier> {
        let rest = text.strip_prefix(MECHANISM).and_then(|rest| rest.strip_prefix('$'));
        let (parameters, keys) = rest.and_then(|rest| rest.split_once('$')).ok_or(NotAVerifier)?;
        let (iterations, salt) = parameters.split_once(':').ok_or(NotAVerifier)?;
        let (stored, server) = keys.split_once(':').ok_or(NotAVerifier)?;
        let salt = BASE64.decode(salt).map_err(|_| NotAVerifier)?;
        if salt.is_empty() || salt.len() > SALT_BYTES_MAX {
            return Err(NotAVerifier);
        }
        Ok(Verifier {
            iterations: iterations.parse().map_err(|_| NotAVerifier)?,
            salt,
            stored_key: decode_key(stored).ok_or(NotAVerifier)?,
            server_key: decode_key(server).ok_or(NotAVerifier)?,
        })
    }
}

/// Never shows the keys: they would let a reader of a log impersonate the server.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// Whether the client's proof fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// By its proof.
    ByProof,
    /// Never: there is no such role, or it has no password.
    Never,
}

/// One exchange, the server's side.
pub struct ScramExchange {
    verifier: Verifier,
    verdict: Verdict,
    state: ScramState,
}

#[derive(Debug)]
enum ScramState {
    Begun,
    /// `auth_prefix` is the client's first message without its header, a comma, and ours: what the proof signs.
    Challenged {
        header: &'static str,
        nonce: String,
        auth_prefix: String,
    },
    Ended,
}

/// How an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScramError {
    /// The proof is wrong, or nothing would have been right.
    WrongPassword,
    /// The message breaks the protocol.
    Protocol(PgError),
}

impl fmt::Debug for ScramExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramExchange").finish_non_exhaustive()
    }
}

impl ScramExchange {
    /// An exchange that succeeds with the verifier's password.
    pub fn with_verifier(verifier: Verifier) -> ScramExchange {
        ScramExchange { verifier, verdict: Verdict::ByProof, state: ScramState::Begun }
    }

    /// An exchange that never succeeds, for a role that has no verifier.
    pub fn of_nobody(user: &str, cluster_secret: &[u8]) -> ScramExchange {
        let verifier = Verifier::of_nobody(user, cluster_secret);
        ScramExchange { verifier, verdict: Verdict::Never, state: ScramState::Begun }
    }

    /// Whether the client's first message has been answered.
    pub fn is_challenged(&self) -> bool {
        matches!(self.state, ScramState::Challenged { .. })
    }

    /// Answers the client's first message.
    ///
    /// # Errors
    /// [`ScramError::Protocol`] for a message that breaks the protocol or asks for channel binding.
    pub fn challenge(
        &mut self,
        client_first: &[u8],
        server_nonce: [u8; NONCE_BYTES],
    ) -> Result<String, ScramError> {
        if !matches!(self.state, ScramState::Begun) {
            return Err(malformed("The first message was sent twice."));
        }
        let message = printable(client_first)?;
        let (header, bare) = split_header(message)?;
        let mut attributes = bare.split(',');
        attribute(&mut attributes, 'n')?;
        let client_nonce = attribute(&mut attributes, 'r')?;
        if client_nonce.is_empty() || !client_nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed("Non-printable characters in SCRAM nonce."));
        }
        // What follows are optional extensions, which RFC 5802 says to ignore.
        let nonce = format!("{client_nonce}{}", BASE64.encode(server_nonce));
        let salt = BASE64.encode(&self.verifier.salt);
        let server_first = format!("r={nonce},s={salt},i={}", self.verifier.iterations);
        let auth_prefix = format!("{bare},{server_first}");
        self.state = ScramState::Challenged { header, nonce, auth_prefix };
        Ok(server_first)
    }

    /// Checks the client's final message; returns the server's, which proves that it knows the verifier.
    ///
    /// # Errors
    /// [`ScramError::WrongPassword`], or [`ScramError::Protocol`] for a message that breaks the protocol or carries another nonce.
    pub fn verify(&mut self, client_final: &[u8]) -> Result<String, ScramError> {
        let state = std::mem::replace(&mut self.state, ScramState::Ended);
        let ScramState::Challenged { header, nonce, auth_prefix } = state else {
            return Err(malformed("The final message came before the first."));
        };
        let message = printable(client_final)?;
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or_else(|| malformed("There is no proof."))?;
        let proof = decode_key(proof).ok_or_else(|| malformed("Malformed proof."))?;
        let mut attributes = without_proof.split(',');
        if attribute(&mut attributes, 'c')? != BASE64.encode(header) {
            return Err(protocol(
                "unexpected SCRAM channel-binding attribute in client-final-message",
            ));
        }
        if attribute(&mut attributes, 'r')? != nonce {
            return Err(protocol("invalid SCRAM response").map_detail("Nonce does not match."));
        }
        let signed = format!("{auth_prefix},{without_proof}");
        let signature = hmac_sha256(&self.verifier.stored_key, signed.as_bytes());
        let mut client_key = proof;
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let proof_fits = equal_in_constant_time(&sha256(&client_key), &self.verifier.stored_key);
        if !proof_fits || self.verdict == Verdict::Never {
            return Err(ScramError::WrongPassword);
        }
        let server_signature = hmac_sha256(&self.verifier.server_key, signed.as_bytes());
        Ok(format!("v={}", BASE64.encode(server_signature)))
    }
}

impl ScramError {
    fn map_detail(self, detail: &str) -> ScramError {
        match self {
            ScramError::Protocol(error) => ScramError::Protocol(error.detail(detail)),
            ScramError::WrongPassword => ScramError::WrongPassword,
        }
    }
}

/// The client's first answer: a mechanism and, unless it wants to be asked first, its first message.
///
/// # Errors
/// 08P01 for a broken body or a mechanism that was not offered.
pub fn decode_initial_response(body: &[u8]) -> Result<Option<&[u8]>, PgError> {
    let mut body = Body(body);
    if body.text()? != MECHANISM {
        return Err(PgError::protocol("client selected an invalid SASL authentication mechanism"));
    }
    let length = body.i32()?;
    let message = match usize::try_from(length) {
        Ok(bytes) => Some(body.take(bytes)?),
        Err(_) if length == -1 => None,
        Err(_) => return Err(PgError::protocol("invalid message format")),
    };
    body.end()?;
    Ok(message)
}

/// Splits off the header that says what the client thinks of channel binding.
fn split_header(message: &str) -> Result<(&'static str, &str), ScramError> {
    if message.starts_with("p=") {
        let text = "client requires SCRAM channel binding, but it is not supported";
        return Err(protocol(text));
    }
    for header in ["n,,", "y,,"] {
        if let Some(bare) = message.strip_prefix(header) {
            return Ok((header, bare));
        }
    }
    if message.starts_with("n,a=") || message.starts_with("y,a=") {
        let text = "client uses authorization identity, but it is not supported";
        return Err(ScramError::Protocol(PgError::new(
            types::SqlState::FEATURE_NOT_SUPPORTED,
            text,
        )));
    }
    Err(malformed("Unexpected channel-binding flag."))
}

fn attribute<'a>(
    attributes: &mut impl Iterator<Item = &'a str>,
    name: char,
) -> Result<&'a str, ScramError> {
    let found = attributes.next().and_then(|text| text.strip_prefix(name));
    found
        .and_then(|text| text.strip_prefix('='))
        .ok_or_else(|| malformed(format!("Expected attribute \"{name}\".")))
}

fn printable(message: &[u8]) -> Result<&str, ScramError> {
    match std::str::from_utf8(message) {
        Ok(text) if !text.is_empty() && !text.contains('\0') => Ok(text),
        _ => Err(malformed("The message is empty or not text.")),
    }
}

fn malformed(detail: impl Into<String>) -> ScramError {
    ScramError::Protocol(PgError::protocol("malformed SCRAM message").detail(detail))
}

fn protocol(text: &str) -> ScramError {
    ScramError::Protocol(PgError::protocol(text))
}

fn decode_key(text: &str) -> Option<[u8; KEY_BYTES]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

/// A password as both sides must see it: SASLprep, or as it is where that does not apply, as in PostgreSQL.
fn prepare(password: &str) -> std::borrow::Cow<'_, str> {
    match stringprep::saslprep(password) {
        Ok(prepared) if !prepared.is_empty() => prepared,
        _ => password.into(),
    }
}

fn sha256(bytes: &[u8]) -> [u8; KEY_BYTES] {
    let found = digest::digest(&digest::SHA256, bytes);
    found.as_ref().try_into().expect("SHA-256 has this length")
}

fn hmac_sha256(key: &[u8], bytes: &[u8]) -> [u8; KEY_BYTES] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, bytes).as_ref().try_into().expect("HMAC-SHA-256 has this length")
}

fn labelled(secret: &[u8], label: &[u8], user: &str) -> [u8; KEY_BYTES] {
    hmac_sha256(secret, &[label, b"\0", user.as_bytes()].concat())
}

/// Looks at every byte whatever it finds, so that the time taken tells nothing of where the first difference is.
pub(crate) fn equal_in_constant_time(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let differing = left.iter().zip(right).fold(0, |bits, (l, r)| bits | (l ^ r));
    std::hint::black_box(differing) == 0
}

#[cfg(test)]
pub(crate) mod tests;
