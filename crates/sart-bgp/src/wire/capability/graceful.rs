//! The graceful restart capability (RFC 4724 section 3, RFC 8538 section 2). Only its bytes.

use crate::family::Family;
use crate::wire::reader::Reader;

/// The sender is restarting.
const RESTARTING: u16 = 0x8000;
/// The sender keeps routes through NOTIFICATIONs.
const NOTIFICATION: u16 = 0x4000;
/// The two flags without a meaning.
const RESERVED: u16 = 0x3000;
/// The restart time.
const TIME: u16 = 0x0fff;
/// Forwarding state of a family was kept.
const FORWARDING: u8 = 0x80;

/// What a speaker says about its restarts. Without families it only promises an End-of-RIB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GracefulRestart {
    /// R: the sender has restarted and waits for End-of-RIB markers.
    pub restarting: bool,
    /// N: routes are also kept when a NOTIFICATION ends the session (RFC 8538).
    pub notification: bool,
    /// Seconds until the sender means to be back, at most 4095.
    pub time: u16,
    /// Families, each with whether its forwarding state was kept (F).
    pub families: Vec<(Family, bool)>,
}

impl GracefulRestart {
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let flags = reader.u16()?;
        let mut families = Vec::new();
        while !reader.is_empty() {
            let family = Family { afi: reader.u16()?, safi: reader.u8()? };
            families.push((family, reader.u8()? & FORWARDING != 0));
        }
        Some(Self {
            restarting: flags & RESTARTING != 0,
            notification: flags & NOTIFICATION != 0,
            time: flags & TIME,
            families,
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut flags = self.time.min(TIME) & !RESERVED;
        if self.restarting {
            flags |= RESTARTING;
        }
        if self.notification {
            flags |= NOTIFICATION;
        }
        let mut value = flags.to_be_bytes().to_vec();
        for (family, kept) in &self.families {
            value.extend(family.afi.to_be_bytes());
            value.extend([family.safi, if *kept { FORWARDING } else { 0 }]);
        }
        value
    }
}
