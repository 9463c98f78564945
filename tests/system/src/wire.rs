//! A client that speaks the protocol by hand, and may lie.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take before the test fails. A server that hangs is what these tests look for.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
pub struct Wire(TcpStream);

/// A message of the server: its letter and body.
pub type Message = (u8, Vec<u8>);

/// A frame with a type letter.
pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[kind], length.as_slice(), body].concat()
}

/// A simple query.
pub fn query(text: &str) -> Vec<u8> {
    frame(b'Q', &[text.as_bytes(), b"\0"].concat())
}

/// Parse of the unnamed statement.
pub fn parse(text: &str) -> Vec<u8> {
    frame(b'P', &[b"\0", text.as_bytes(), b"\0\0\0"].concat())
}

/// A startup packet.
pub fn startup(user: &str) -> Vec<u8> {
    let body = [b"\0\x03\0\0user\0", user.as_bytes(), b"\0database\0ringfence\0\0"].concat();
    [(body.len() as u32 + 4).to_be_bytes().as_slice(), &body].concat()
}

/// The SQLSTATE of an ErrorResponse.
pub fn sqlstate(body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0);
    let code = fields.filter_map(|field| field.strip_prefix(b"C")).next();
    String::from_utf8_lossy(code.unwrap_or_default()).into_owned()
}

impl Wire {
    /// A connection that has said nothing yet.
    ///
    /// # Errors
    /// The socket's.
    pub fn open(address: SocketAddr) -> Result<Wire> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire(stream))
    }

    /// A session.
    ///
    /// # Errors
    /// The socket's, or that the server refuses.
    pub fn session(address: SocketAddr) -> Result<Wire> {
        let mut wire = Wire::open(address)?;
        wire.send(&startup("ringfence"))?;
        let answer = wire.until_ready()?;
        match answer.iter().find(|(kind, _)| *kind == b'E') {
            Some((_, body)) => Err(Error::new(ErrorKind::ConnectionRefused, sqlstate(body))),
            None => Ok(wire),
        }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The socket's.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes)
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// The socket's.
    pub fn finish(&mut self) -> Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    /// The next message; nothing when the server has closed.
    ///
    /// # Errors
    /// The socket's; a server that is silent is an error too.
    pub fn receive(&mut self) -> Result<Option<Message>> {
        let mut head = [0u8; 5];
        match self.0.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if is_closed(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = vec![0; (length as usize).saturating_sub(4)];
        self.0.read_exact(&mut body)?;
        Ok(Some((head[0], body)))
    }

    /// Everything up to ReadyForQuery, or to the server's closing.
    ///
    /// # Errors
    /// The socket's.
    pub fn until_ready(&mut self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        while let Some(message) = self.receive()? {
            let ready = message.0 == b'Z';
            messages.push(message);
            if ready {
                break;
            }
        }
        Ok(messages)
    }

    /// Sends and gives letters of the answer up to ReadyForQuery or the end, errors with their SQLSTATE: `"T D C Z"`, `"E42601 Z"`.
    ///
    /// # Errors
    /// The socket's.
    pub fn ask(&mut self, bytes: &[u8]) -> Result<String> {
        // A server that has closed already says why in what can still be read.
        let _gone = self.send(bytes);
        let words = self.until_ready()?.into_iter().map(|(kind, body)| match kind {
            b'E' => format!("E{}", sqlstate(&body)),
            kind => char::from(kind).to_string(),
        });
        Ok(words.collect::<Vec<_>>().join(" "))
    }
}

fn is_closed(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}
