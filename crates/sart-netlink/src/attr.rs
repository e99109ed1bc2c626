//! Netlink framing: message headers and type-length-value attributes (netlink(7)), read without trusting a length and
//! written aligned. Knows nothing of what the attributes mean.

/// Length of `struct nlmsghdr`.
pub(crate) const HEADER_LEN: usize = 16;
/// The low 14 bits of an attribute type; the upper two are flags.
const TYPE_MASK: u16 = 0x3fff;
pub(crate) const NESTED: u16 = 0x8000;

pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;

/// One received message, borrowed from the datagram.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) seq: u32,
    /// Whose request caused it (for notifications), or ours.
    pub(crate) port: u32,
    pub(crate) body: &'a [u8],
}

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attr<'a> {
    pub(crate) kind: u16,
    pub(crate) value: &'a [u8],
}

/// The messages of a datagram; a length that does not fit ends the walk.
pub(crate) fn messages(mut buf: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let len = u32_at(buf, 0)? as usize;
        let body = buf.get(HEADER_LEN..len)?;
        let message = Message {
            kind: u16_at(buf, 4)?,
            flags: u16_at(buf, 6)?,
            seq: u32_at(buf, 8)?,
            port: u32_at(buf, 12)?,
            body,
        };
        buf = buf.get(align(len)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes of a buffer; a length that does not fit ends the walk.
pub(crate) fn attrs(mut buf: &[u8]) -> impl Iterator<Item = Attr<'_>> {
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(buf, 0)?);
        let attr = Attr { kind: u16_at(buf, 2)? & TYPE_MASK, value: buf.get(4..len)? };
        buf = buf.get(align(len)..).unwrap_or_default();
        Some(attr)
    })
}

/// The attributes behind a fixed header of `skip` bytes.
pub(crate) fn attrs_after(body: &[u8], skip: usize) -> impl Iterator<Item = Attr<'_>> {
    attrs(body.get(skip..).unwrap_or_default())
}

/// The value of the first attribute of a type.
pub(crate) fn find(buf: &[u8], kind: u16) -> Option<&[u8]> {
    attrs(buf).find(|attr| attr.kind == kind).map(|attr| attr.value)
}

/// A NUL-terminated string without its end.
pub(crate) fn text(value: &[u8]) -> &str {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).unwrap_or_default()
}

impl Attr<'_> {
    pub(crate) fn u32(&self) -> Option<u32> {
        u32_at(self.value, 0)
    }
}

pub(crate) fn u16_at(buf: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(buf.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(buf: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(buf.get(at..at + 4)?.try_into().ok()?))
}

/// Netlink pads messages and attributes to 4 bytes.
pub(crate) fn align(len: usize) -> usize {
    len.next_multiple_of(4)
}

/// A request being written.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    buf: Vec<u8>,
}

impl Request {
    /// A message with the fixed header of its family (`rtmsg`, `nfgenmsg`, …) as `body`.
    pub(crate) fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut buf = Vec::with_capacity(128);
        buf.extend_from_slice(&[0; 4]);
        buf.extend_from_slice(&kind.to_ne_bytes());
        buf.extend_from_slice(&flags.to_ne_bytes());
        buf.extend_from_slice(&[0; 8]);
        buf.extend_from_slice(body);
        Self { buf }
    }

    pub(crate) fn attr(mut self, kind: u16, value: &[u8]) -> Self {
        push_attr(&mut self.buf, kind, value);
        self
    }

    pub(crate) fn attr_u32(self, kind: u16, value: u32) -> Self {
        self.attr(kind, &value.to_ne_bytes())
    }

    pub(crate) fn nested(self, kind: u16, value: &[u8]) -> Self {
        self.attr(kind | NESTED, value)
    }

    pub(crate) fn add_flags(&mut self, flags: u16) {
        let now = u16::from_ne_bytes([self.buf[6], self.buf[7]]);
        self.buf[6..8].copy_from_slice(&(now | flags).to_ne_bytes());
    }

    /// The bytes, with length and sequence number filled in.
    pub(crate) fn finish(mut self, seq: u32) -> Vec<u8> {
        let len = u32::try_from(self.buf.len()).unwrap_or(u32::MAX);
        self.buf[0..4].copy_from_slice(&len.to_ne_bytes());
        self.buf[8..12].copy_from_slice(&seq.to_ne_bytes());
        self.buf
    }
}

/// Appends one attribute, padded.
pub(crate) fn push_attr(buf: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    buf.extend_from_slice(&len.to_ne_bytes());
    buf.extend_from_slice(&kind.to_ne_bytes());
    buf.extend_from_slice(value);
    buf.resize(align(buf.len()), 0);
}

#[cfg(test)]
mod tests;
