//! Frontend messages: the body of one frame, checked and lent as a typed view. Nothing is copied and nothing allocates.
//!
//! A body that breaks the format is an ERROR, as in PostgreSQL: the frame around it was sound, so the conversation can go on. Every view has been
//! checked whole when it is handed out; iterating it cannot fail.
//! Source: PostgreSQL 15, "Message Formats".

use types::SqlState;

use super::error_response::PgError;
use super::response::Format;

/// A message of the query phase, borrowed from the receive buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrontendMessage<'a> {
    /// Simple query: one text, any number of statements.
    Query(&'a str),
    /// Prepare a statement.
    Parse(Parse<'a>),
    /// Make a portal of a statement and values.
    Bind(Bind<'a>),
    /// Ask what a statement or portal takes and returns.
    Describe(Target<'a>),
    /// Run a portal.
    Execute(Execute<'a>),
    /// Forget a statement or portal.
    Close(Target<'a>),
    /// Send what there is.
    Flush,
    /// End of an extended-query exchange.
    Sync,
    /// Copied bytes.
    CopyData(&'a [u8]),
    /// End of copied bytes.
    CopyDone,
    /// The client gives the copy up, and why.
    CopyFail(&'a str),
    /// A call by function oid, which is not built.
    FunctionCall,
    /// The client leaves.
    Terminate,
}

/// Parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The statement's name; empty for the unnamed one.
    pub statement: &'a str,
    /// The statement's text.
    pub text: &'a str,
    /// Types that the client has chosen, by position; zero or missing ones are inferred.
    pub parameter_types: ParameterTypes<'a>,
}

/// Type oids of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParameterTypes<'a>(&'a [u8]);

impl<'a> ParameterTypes<'a> {
    /// The oids in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = u32> + 'a {
        self.0.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid))
    }
}

/// Bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal's name; empty for the unnamed one.
    pub portal: &'a str,
    /// The prepared statement's name.
    pub statement: &'a str,
    /// Formats of the parameters.
    pub parameter_formats: FormatCodes<'a>,
    /// Values of the parameters.
    pub parameters: Parameters<'a>,
    /// Formats that the results are asked in.
    pub result_formats: FormatCodes<'a>,
}

/// A list of format codes: none means text for all, one holds for all, else one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FormatCodes<'a>(&'a [u8]);

impl FormatCodes<'_> {
    /// How many codes were sent.
    pub fn count(self) -> usize {
        self.0.len() / 2
    }

    /// The format of the value at `index`.
    ///
    /// # Panics
    /// When more than one code was sent and `index` is past them; [`FormatCodes::check_results`] and decoding check the count.
    #[inline]
    pub fn get(self, index: usize) -> Format {
        let at = match self.0.len() {
            0 => return Format::Text,
            2 => 0,
            _ => index * 2,
        };
        if self.0[at + 1] == 1 { Format::Binary } else { Format::Text }
    }

    /// Checks the count of result formats against the columns of the statement.
    ///
    /// # Errors
    /// 08P01 as in PostgreSQL.
    pub fn check_results(self, column_count: usize) -> Result<(), PgError> {
        let count = self.count();
        if count > 1 && count != column_count {
            let text = format!(
                "bind message has {count} result formats but query has {column_count} columns"
            );
            return Err(PgError::protocol(text));
        }
        Ok(())
    }
}

/// Values of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parameters<'a> {
    count: u16,
    bytes: &'a [u8],
}

impl<'a> Parameters<'a> {
    /// How many there are.
    pub fn count(self) -> usize {
        usize::from(self.count)
    }

    /// The values in order; `None` is NULL.
    #[inline]
    pub fn iter(self) -> ParameterIter<'a> {
        ParameterIter { left: self.count, bytes: self.bytes }
    }
}

/// Iterates over parameter values.
#[derive(Debug, Clone)]
pub struct ParameterIter<'a> {
    left: u16,
    bytes: &'a [u8],
}

impl<'a> Iterator for ParameterIter<'a> {
    type Item = Option<&'a [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (length, rest) = self.bytes.split_first_chunk::<4>().expect("checked when decoded");
        match usize::try_from(i32::from_be_bytes(*length)) {
            Err(_) => {
                self.bytes = rest;
                Some(None)
            }
            Ok(bytes) => {
                let (value, rest) = rest.split_at(bytes);
                self.bytes = rest;
                Some(Some(value))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for ParameterIter<'_> {}

/// Execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The portal's name.
    pub portal: &'a str,
    /// How many rows at most; `None` is all.
    pub row_count_max: Option<u32>,
}

/// What Describe and Close are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// A prepared statement by name.
    Statement(&'a str),
    /// A portal by name.
    Portal(&'a str),
}

/// The kinds of message of the query phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Query,
    Parse,
    Bind,
    Describe,
    Execute,
    Close,
    Flush,
    Sync,
    CopyData,
    CopyDone,
    CopyFail,
    FunctionCall,
    Terminate,
}

impl Kind {
    /// The kind behind a type byte, if there is one.
    #[inline]
    pub(crate) fn of(byte: u8) -> Option<Kind> {
        Some(match byte {
            b'Q' => Kind::Query,
            b'P' => Kind::Parse,
            b'B' => Kind::Bind,
            b'D' => Kind::Describe,
            b'E' => Kind::Execute,
            b'C' => Kind::Close,
            b'H' => Kind::Flush,
            b'S' => Kind::Sync,
            b'd' => Kind::CopyData,
            b'c' => Kind::CopyDone,
            b'f' => Kind::CopyFail,
            b'F' => Kind::FunctionCall,
            b'X' => Kind::Terminate,
            _ => return None,
        })
    }

    /// Whether the message may be long.
    pub(crate) fn is_large(self) -> bool {
        matches!(self, Kind::Query | Kind::Parse | Kind::Bind | Kind::CopyData | Kind::FunctionCall)
    }

    /// Whether an error in it makes the server skip to the next Sync.
    pub(crate) fn is_extended(self) -> bool {
        matches!(self, Kind::Parse | Kind::Bind | Kind::Describe | Kind::Execute | Kind::Close)
    }
}

/// Decodes the body of one frame.
///
/// # Errors
/// 08P01 for a body that breaks the format, 22021 for text that is not UTF-8, 22023 for an unknown format code.
#[inline]
pub(crate) fn decode(kind: Kind, body: &[u8]) -> Result<FrontendMessage<'_>, PgError> {
    let mut body = Body(body);
    let message = match kind {
        Kind::Bind => FrontendMessage::Bind(decode_bind(&mut body)?),
        Kind::Execute => FrontendMessage::Execute(decode_execute(&mut body)?),
        Kind::Query => FrontendMessage::Query(body.text()?),
        Kind::Parse => FrontendMessage::Parse(decode_parse(&mut body)?),
        Kind::Describe => FrontendMessage::Describe(decode_target(&mut body, "DESCRIBE")?),
        Kind::Close => FrontendMessage::Close(decode_target(&mut body, "CLOSE")?),
        Kind::Flush => FrontendMessage::Flush,
        Kind::Sync => FrontendMessage::Sync,
        Kind::CopyData => return Ok(FrontendMessage::CopyData(body.0)),
        Kind::CopyDone => FrontendMessage::CopyDone,
        Kind::CopyFail => FrontendMessage::CopyFail(body.text()?),
        Kind::FunctionCall => return Ok(FrontendMessage::FunctionCall),
        Kind::Terminate => return Ok(FrontendMessage::Terminate),
    };
    body.end()?;
    Ok(message)
}

fn decode_parse<'a>(body: &mut Body<'a>) -> Result<Parse<'a>, PgError> {
    let statement = body.text()?;
    let text = body.text()?;
    let count = usize::from(body.u16()?);
    let parameter_types = ParameterTypes(body.take(count * 4)?);
    Ok(Parse { statement, text, parameter_types })
}

#[inline]
fn decode_bind<'a>(body: &mut Body<'a>) -> Result<Bind<'a>, PgError> {
    let portal = body.text()?;
    let statement = body.text()?;
    let parameter_formats = decode_formats(body)?;
    let count = body.u16()?;
    let formats = parameter_formats.count();
    if formats > 1 && formats != usize::from(count) {
        let text = format!("bind message has {formats} parameter formats but {count} parameters");
        return Err(PgError::protocol(text));
    }
    let values = body.0;
    for _ in 0..count {
        let length = body.i32()?;
        if length >= 0 {
            body.take(length as usize)?;
        } else if length != -1 {
            return Err(insufficient());
        }
    }
    let parameters = Parameters { count, bytes: &values[..values.len() - body.0.len()] };
    let result_formats = decode_formats(body)?;
    Ok(Bind { portal, statement, parameter_formats, parameters, result_formats })
}

#[inline]
fn decode_formats<'a>(body: &mut Body<'a>) -> Result<FormatCodes<'a>, PgError> {
    let count = usize::from(body.u16()?);
    let codes = body.take(count * 2)?;
    for code in codes.as_chunks::<2>().0 {
        let code = i16::from_be_bytes(*code);
        if !(0..=1).contains(&code) {
            let text = format!("unsupported format code: {code}");
            return Err(PgError::new(SqlState::INVALID_PARAMETER_VALUE, text));
        }
    }
    Ok(FormatCodes(codes))
}

#[inline]
fn decode_execute<'a>(body: &mut Body<'a>) -> Result<Execute<'a>, PgError> {
    let portal = body.text()?;
    // PostgreSQL takes zero and negative numbers as "all".
    let row_count_max = u32::try_from(body.i32()?).ok().filter(|rows| *rows > 0);
    Ok(Execute { portal, row_count_max })
}

fn decode_target<'a>(body: &mut Body<'a>, message: &str) -> Result<Target<'a>, PgError> {
    let kind = body.take(1)?[0];
    let name = body.text()?;
    match kind {
        b'S' => Ok(Target::Statement(name)),
        b'P' => Ok(Target::Portal(name)),
        other => Err(PgError::protocol(format!("invalid {message} message subtype {other}"))),
    }
}

/// What is left of a body.
pub(crate) struct Body<'a>(pub(crate) &'a [u8]);

impl<'a> Body<'a> {
    #[inline]
    pub(crate) fn take(&mut self, bytes: usize) -> Result<&'a [u8], PgError> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or_else(insufficient)?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, PgError> {
        let (bytes, rest) = self.0.split_first_chunk::<2>().ok_or_else(insufficient)?;
        self.0 = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn i32(&mut self) -> Result<i32, PgError> {
        let (bytes, rest) = self.0.split_first_chunk::<4>().ok_or_else(insufficient)?;
        self.0 = rest;
        Ok(i32::from_be_bytes(*bytes))
    }

    /// A C string in UTF-8.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, PgError> {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| PgError::protocol("invalid string in message"))?;
        let text = utf8(&self.0[..end])?;
        self.0 = &self.0[end + 1..];
        Ok(text)
    }

    #[inline]
    pub(crate) fn end(&self) -> Result<(), PgError> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(PgError::protocol("invalid message format"))
    }
}

#[cold]
fn insufficient() -> PgError {
    PgError::protocol("insufficient data left in message")
}

/// Text from a client.
///
/// # Errors
/// 22021 with the offending bytes, as PostgreSQL prints them.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, PgError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let end = at + error.error_len().unwrap_or(bytes.len() - at);
        let shown: Vec<String> = bytes[at..end].iter().map(|b| format!("0x{b:02x}")).collect();
        let text = format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "));
        PgError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, text)
    })
}
