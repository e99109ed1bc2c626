//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624), as the kernel's helpers do it. Never reads a
//! packet.

/// Adds two one's complement sums.
#[must_use]
pub const fn add(a: u32, b: u32) -> u32 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(carry as u32)
}

/// Folds a sum to 16 bits and complements it.
#[must_use]
pub const fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff).wrapping_add(sum >> 16);
    let twice = (once & 0xffff).wrapping_add(once >> 16);
    !(twice as u16)
}

/// The checksum after the 32-bit word `from` of the data became `to` (RFC 1624, equation 3). All three as the packet has
/// them.
#[must_use]
pub const fn replace(checksum: u16, from: u32, to: u32) -> u16 {
    let without = add(!(checksum as u32), !from);
    fold(add(without, to))
}

/// The checksum of `data` (as the packet has it), starting from the sum `start`.
#[must_use]
pub fn of(data: &[u8], start: u32) -> u16 {
    let sum = data.chunks(2).fold(start, |sum, pair| {
        let low = pair.first().copied().unwrap_or(0);
        let high = pair.get(1).copied().unwrap_or(0);
        add(sum, u32::from(u16::from_ne_bytes([low, high])))
    });
    fold(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_rfc_1071_section_3_comes_out() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(of(&data, 0).to_be(), !0xddf2);
    }

    #[test]
    fn replacing_a_word_equals_summing_again() {
        let mut data = [0x45, 0, 0, 40, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 0, 1, 0, 10, 9, 8, 7];
        let before = of(&data, 0);
        let (from, to) = ([10, 0, 1, 0], [10, 244, 3, 200]);
        data[12..16].copy_from_slice(&to);
        assert_eq!(replace(before, u32::from_ne_bytes(from), u32::from_ne_bytes(to)), of(&data, 0));
    }

    #[test]
    fn the_example_of_rfc_1624_section_4_comes_out() {
        let (checksum, from, to) = (0xdd2f_u16, 0x5555_u32, 0x3285_u32);
        assert_eq!(replace(checksum.to_be(), from.to_be() >> 16, to.to_be() >> 16).to_be(), 0x0000);
    }
}
