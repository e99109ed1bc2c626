//! Lists of values of one size: COMMUNITIES (RFC 1997), EXTENDED_COMMUNITIES (RFC 4360), those of IPv6 (RFC 5701),
//! LARGE_COMMUNITY (RFC 8092) and CLUSTER_LIST (RFC 4456). Any number of values is kept.

use crate::wire::fault::{Problem, Withdraw};

/// An empty list, or one that is no multiple, is malformed (RFC 7606 sections 7.8, 7.10, 7.14 and 7.15, RFC 8092
/// section 6).
pub(crate) fn check<const N: usize>(value: &[u8]) -> Result<&[[u8; N]], Withdraw> {
    match value.as_chunks::<N>() {
        (chunks @ [_, ..], []) => Ok(chunks),
        _ => Err(Withdraw(Problem::Length)),
    }
}

/// Appends the values without repeats, which RFC 8092 section 3 asks to drop silently, and says how many are left. The
/// order stays if there are none, and means nothing anyway; nothing is allocated besides.
pub(crate) fn put_unique<const N: usize>(values: &[[u8; N]], out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(values.as_flattened());
    let copy = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<N>().0;
    copy.sort_unstable();
    let mut kept = 0;
    for at in 0..copy.len() {
        if at == 0 || copy.get(at) != copy.get(kept - 1) {
            copy.swap(kept, at);
            kept += 1;
        }
    }
    if kept == values.len() {
        copy.copy_from_slice(values);
    }
    out.truncate(start + kept * N);
    kept
}

pub(crate) fn large_from_octets(octets: &[u8; 12]) -> [u32; 3] {
    let mut parts = [0; 3];
    for (part, chunk) in parts.iter_mut().zip(octets.as_chunks::<4>().0) {
        *part = u32::from_be_bytes(*chunk);
    }
    parts
}

pub(crate) fn large_to_octets(parts: &[u32; 3]) -> impl Iterator<Item = u8> + '_ {
    parts.iter().flat_map(|part| part.to_be_bytes())
}
