//! Attributes made of types, lengths and values that this crate does not use: AIGP (RFC 7311), BGP-LS (RFC 9552) and
//! PREFIX_SID (RFC 8669). Decides only whether they hold together; a malformed one must not travel on.

use crate::wire::fault::{Discard, Problem};
use crate::wire::reader::Reader;

/// AIGP: an octet of type, two of a length that counts all three (RFC 7311 section 3). The TLV of type 1 has eight
/// octets of value.
pub(crate) fn check_aigp(value: &[u8]) -> Result<(), Discard> {
    let mut reader = Reader::new(value);
    while !reader.is_empty() {
        let header = reader.u8().zip(reader.u16());
        let (kind, len) = header.ok_or(Discard(Problem::Length))?;
        let rest = usize::from(len).checked_sub(3).filter(|rest| kind != 1 || *rest == 8);
        rest.and_then(|rest| reader.take(rest)).ok_or(Discard(Problem::Length))?;
    }
    Ok(())
}

/// BGP-LS: two octets of type, two of length (RFC 9552 section 5.1).
pub(crate) fn check_link_state(value: &[u8]) -> Result<(), Discard> {
    let mut reader = Reader::new(value);
    while !reader.is_empty() {
        reader.u16().and_then(|_| reader.block16()).ok_or(Discard(Problem::Length))?;
    }
    Ok(())
}

/// PREFIX_SID: an octet of type, two of length (RFC 8669 section 3). A Label-Index has seven octets, and an
/// Originator SRGB flags and ranges of six octets.
pub(crate) fn check_prefix_sid(value: &[u8]) -> Result<(), Discard> {
    let mut reader = Reader::new(value);
    if reader.is_empty() {
        return Err(Discard(Problem::Length));
    }
    while !reader.is_empty() {
        let kind = reader.u8().ok_or(Discard(Problem::Length))?;
        let len = reader.block16().ok_or(Discard(Problem::Length))?.len();
        let fits = match kind {
            1 => len == 7,
            3 => len >= 2 && (len - 2).is_multiple_of(6),
            _ => true,
        };
        if !fits {
            return Err(Discard(Problem::Length));
        }
    }
    Ok(())
}
