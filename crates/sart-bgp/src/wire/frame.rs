//! Cuts a byte stream into messages (RFC 4271 section 4.1 and 6.1). Survives any segmentation; must never look into a
//! message's body.

use super::message::{HEADER_LEN, MARKER, MAX_LEN, MessageKind};
use super::notification::Notification;
use super::reader::Reader;

/// Collects bytes and gives out whole messages.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    consumed: usize,
}

/// One message without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The kind.
    pub kind: MessageKind,
    /// What follows the header.
    pub body: Vec<u8>,
}

/// A header that ends the session: the next message cannot be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The marker is not all ones.
    #[error("the message marker is not all ones")]
    NotSynchronized,
    /// The length is out of range for any message, or for this kind.
    #[error("message length {length} is out of range")]
    BadLength {
        /// The length field.
        length: u16,
    },
    /// The type is unknown.
    #[error("message type {code} is unknown")]
    BadType {
        /// The type field.
        code: u8,
    },
}

impl HeaderError {
    /// The answer on the wire.
    #[must_use]
    pub fn notification(self) -> Notification {
        match self {
            Self::NotSynchronized => Notification::new(Notification::NOT_SYNCHRONIZED),
            Self::BadLength { length } => {
                Notification::with_data(Notification::BAD_LENGTH, &length.to_be_bytes())
            }
            Self::BadType { code } => Notification::with_data(Notification::BAD_TYPE, &[code]),
        }
    }
}

impl Framer {
    /// Adds bytes as they came from the connection.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    /// If the header is wrong; the stream is lost then and every further call says the same.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, HeaderError> {
        let mut reader = Reader::new(self.buffer.get(self.consumed..).unwrap_or_default());
        let Some(header) = reader.array::<HEADER_LEN>() else { return Ok(None) };
        let (kind, length) = check_header(header)?;
        let Some(body) = reader.take(length - HEADER_LEN) else { return Ok(None) };
        let frame = Frame { kind, body: body.to_vec() };
        self.consumed += length;
        Ok(Some(frame))
    }
}

fn check_header(header: [u8; HEADER_LEN]) -> Result<(MessageKind, usize), HeaderError> {
    let [marker @ .., high, low, code] = header;
    if marker != MARKER {
        return Err(HeaderError::NotSynchronized);
    }
    let length = u16::from_be_bytes([high, low]);
    let bad_length = Err(HeaderError::BadLength { length });
    if !(HEADER_LEN..=MAX_LEN).contains(&usize::from(length)) {
        return bad_length;
    }
    let kind = MessageKind::from_code(code).ok_or(HeaderError::BadType { code })?;
    let exact = matches!(kind, MessageKind::Keepalive | MessageKind::RouteRefresh);
    let fits =
        if exact { usize::from(length) == kind.min_len() } else { usize::from(length) >= kind.min_len() };
    if fits { Ok((kind, usize::from(length))) } else { bad_length }
}
