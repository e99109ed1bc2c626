//! Cuts a byte stream into messages (RFC 4271 section 4.1 and 6.1). Survives any segmentation; must never look into a
//! message's body.

use super::message::{EXTENDED_MAX_LEN, HEADER_LEN, MARKER, MAX_LEN, MessageKind};
use super::notification::Notification;
use super::reader::Reader;

/// Collects bytes and gives out whole messages.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    consumed: usize,
    extended: bool,
}

/// One message without its header, still in the buffer it arrived in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRef<'a> {
    /// The kind.
    pub kind: MessageKind,
    /// What follows the header.
    pub body: &'a [u8],
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

/// Cuts the first message off `bytes`: the message and how many octets it took; `None` if it is not whole yet.
/// `extended` allows what RFC 8654 section 4 does.
///
/// # Errors
/// If the header is wrong; nothing behind it can be found then.
pub fn cut(bytes: &[u8], extended: bool) -> Result<Option<(FrameRef<'_>, usize)>, HeaderError> {
    let mut reader = Reader::new(bytes);
    let Some(header) = reader.array::<HEADER_LEN>() else { return Ok(None) };
    let (kind, length) = check_header(header, extended)?;
    let Some(body) = reader.take(length - HEADER_LEN) else { return Ok(None) };
    Ok(Some((FrameRef { kind, body }, length)))
}

impl Framer {
    /// From now on messages may have up to 65535 octets, but for OPEN and KEEPALIVE (RFC 8654 section 4).
    pub fn allow_extended(&mut self) {
        self.extended = true;
    }

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
        let next = self.next_ref()?;
        Ok(next.map(|frame| Frame { kind: frame.kind, body: frame.body.to_vec() }))
    }

    /// The next whole message in its place, if there is one.
    ///
    /// # Errors
    /// As [`Framer::next_frame`].
    pub fn next_ref(&mut self) -> Result<Option<FrameRef<'_>>, HeaderError> {
        let next = cut(self.buffer.get(self.consumed..).unwrap_or_default(), self.extended)?;
        Ok(next.map(|(frame, length)| {
            self.consumed += length;
            frame
        }))
    }
}

fn check_header(header: [u8; HEADER_LEN], extended: bool) -> Result<(MessageKind, usize), HeaderError> {
    let [marker @ .., high, low, code] = header;
    if marker != MARKER {
        return Err(HeaderError::NotSynchronized);
    }
    let field = u16::from_be_bytes([high, low]);
    let length = usize::from(field);
    let bad_length = Err(HeaderError::BadLength { length: field });
    if !(HEADER_LEN..=if extended { EXTENDED_MAX_LEN } else { MAX_LEN }).contains(&length) {
        return bad_length;
    }
    let kind = MessageKind::from_code(code).ok_or(HeaderError::BadType { code })?;
    let fits = match kind {
        MessageKind::Keepalive => length == kind.min_len(),
        MessageKind::Open => (kind.min_len()..=MAX_LEN).contains(&length),
        // One that marks a refresh has an answer of its own to a wrong length (RFC 7313 section 5).
        MessageKind::Update | MessageKind::Notification | MessageKind::RouteRefresh => {
            length >= kind.min_len()
        }
    };
    if fits { Ok((kind, length)) } else { bad_length }
}
