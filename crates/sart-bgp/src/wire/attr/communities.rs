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

/// The list without values that came before (RFC 8092 section 3 asks to drop them silently); `None` if there are none.
pub(crate) fn without_repeats<const N: usize>(values: &[[u8; N]]) -> Option<Vec<u8>> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let (before, mut first) = (sorted.len(), sorted);
    first.dedup();
    if first.len() == before {
        return None;
    }
    let mut seen = vec![false; first.len()];
    let mut kept = Vec::with_capacity(first.len() * N);
    for value in values {
        let place = first.binary_search(value).ok().and_then(|at| seen.get_mut(at));
        if let Some(seen @ false) = place {
            *seen = true;
            kept.extend_from_slice(value);
        }
    }
    Some(kept)
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
