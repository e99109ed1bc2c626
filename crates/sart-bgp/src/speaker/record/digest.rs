//! One number for a whole sequence of outputs. Tells whether two runs did the same; must never depend on when outputs were
//! taken, or on a key.

use core::fmt;

use crate::speaker::SpeakerOutput;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a over the printed form of every output, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    hash: u64,
    outputs: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Self { hash: OFFSET, outputs: 0 }
    }
}

impl Digest {
    /// Takes the next output in.
    pub fn add(&mut self, output: &SpeakerOutput) {
        self.outputs += 1;
        if let SpeakerOutput::Send { conn, bytes } = output {
            // Octets as they are: printing a table twice as long first would cost more than all the rest.
            self.octets(&conn.0.to_be_bytes());
            self.octets(bytes);
        } else {
            // Nothing can go wrong: `write_str` below takes everything.
            let _taken = fmt::write(self, format_args!("{output}"));
        }
        self.octets(b"\n");
    }

    /// How many outputs were taken in.
    #[must_use]
    pub const fn outputs(&self) -> u64 {
        self.outputs
    }

    fn octets(&mut self, octets: &[u8]) {
        self.hash =
            octets.iter().fold(self.hash, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(PRIME));
    }
}

impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.octets(text.as_bytes());
        Ok(())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.hash)
    }
}
