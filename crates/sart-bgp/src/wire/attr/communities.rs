//! COMMUNITIES, EXTENDED_COMMUNITIES and LARGE_COMMUNITY: lists of numbers of one size (RFC 1997, 4360, 8092). Any
//! number of values is kept; a length that is zero or no multiple is malformed (RFC 7606 sections 7.8 and 7.14).

use crate::wire::fault::Problem;

/// Splits a value into numbers of `N` octets.
pub(crate) fn decode<const N: usize, T>(value: &[u8], from: fn([u8; N]) -> T) -> Result<Vec<T>, Problem> {
    let (chunks, rest) = value.as_chunks::<N>();
    if chunks.is_empty() || !rest.is_empty() {
        return Err(Problem::Length);
    }
    Ok(chunks.iter().map(|chunk| from(*chunk)).collect())
}

pub(crate) fn large_from_octets(octets: [u8; 12]) -> [u32; 3] {
    let mut parts = [0; 3];
    for (part, chunk) in parts.iter_mut().zip(octets.as_chunks::<4>().0) {
        *part = u32::from_be_bytes(*chunk);
    }
    parts
}

pub(crate) fn large_to_octets(parts: &[u32; 3]) -> impl Iterator<Item = u8> + '_ {
    parts.iter().flat_map(|part| part.to_be_bytes())
}
