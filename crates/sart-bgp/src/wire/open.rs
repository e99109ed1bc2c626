//! OPEN (RFC 4271 section 4.2, RFC 5492, RFC 9072). Reads and writes it; must never judge the neighbour's AS or id.

use core::net::Ipv4Addr;

use super::capability::Capability;
use super::message::{HEADER_LEN, MAX_LEN, MessageKind, frame};
use super::notification::Notification;
use super::reader::Reader;

/// The version of the protocol.
const VERSION: u8 = 4;
/// The optional parameter that holds capabilities (RFC 5492 section 4).
const PARAMETER_CAPABILITIES: u8 = 2;
/// Length and type that announce extended parameters (RFC 9072 section 2).
const EXTENDED: u8 = 255;
/// Different capabilities remembered of one OPEN; further ones are ignored like unknown ones. Four times what is
/// registered, so that no OPEN can make us remember much.
const MAX_CAPABILITIES: usize = 256;
/// Stands for an AS number that does not fit two octets (RFC 6793 section 9).
pub(crate) const AS_TRANS: u16 = 23456;

/// An OPEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The sender's AS number: the capability's, else the two-octet field's.
    pub asn: u32,
    /// Proposed hold time in seconds.
    pub hold_time: u16,
    /// BGP identifier.
    pub router_id: Ipv4Addr,
    /// Capabilities in wire order. A sender with a larger AS number than 65535 must list it here too.
    pub capabilities: Vec<Capability>,
}

/// An OPEN that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another version of BGP.
    #[error("the neighbor speaks BGP version {version}, not 4")]
    Version {
        /// Its version.
        version: u8,
    },
    /// An optional parameter other than capabilities.
    #[error("optional parameter {code} is not supported")]
    Parameter {
        /// Its type.
        code: u8,
    },
    /// Lengths that contradict each other.
    #[error("the lengths inside the OPEN contradict each other")]
    Malformed,
}

impl OpenError {
    /// The answer on the wire.
    #[must_use]
    pub fn notification(self) -> Notification {
        match self {
            Self::Version { .. } => Notification::with_data(Notification::BAD_VERSION, &[0, VERSION]),
            Self::Parameter { .. } => Notification::new(Notification::BAD_PARAMETER),
            Self::Malformed => Notification::new(Notification::OPEN_MALFORMED),
        }
    }
}

impl Open {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn decode(body: &[u8]) -> Result<Self, OpenError> {
        let mut reader = Reader::new(body);
        let version = reader.u8().ok_or(OpenError::Malformed)?;
        if version != VERSION {
            return Err(OpenError::Version { version });
        }
        let (asn, hold_time, router_id) = decode_fixed(&mut reader).ok_or(OpenError::Malformed)?;
        let capabilities = decode_parameters(reader)?;
        let four_octet = capabilities.iter().find_map(|capability| match capability {
            Capability::FourOctetAs(asn) => Some(*asn),
            _ => None,
        });
        Ok(Self { asn: four_octet.unwrap_or(u32::from(asn)), hold_time, router_id, capabilities })
    }

    /// The message. Capabilities that do not fit 4096 octets are left out from the end.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = vec![VERSION];
        let asn = u16::try_from(self.asn).unwrap_or(AS_TRANS);
        body.extend(asn.to_be_bytes());
        body.extend(self.hold_time.to_be_bytes());
        body.extend(self.router_id.octets());
        encode_parameters(&self.capabilities, &mut body);
        frame(MessageKind::Open, &body)
    }
}

fn decode_fixed(reader: &mut Reader<'_>) -> Option<(u16, u16, Ipv4Addr)> {
    Some((reader.u16()?, reader.u16()?, Ipv4Addr::from(reader.u32()?)))
}

fn decode_parameters(mut reader: Reader<'_>) -> Result<Vec<Capability>, OpenError> {
    let len = reader.u8().ok_or(OpenError::Malformed)?;
    // The type alone decides; a sender should set the length to 255 as well, but need not be held to it.
    let extended = len != 0 && reader.rest().first() == Some(&EXTENDED);
    let block =
        if extended { reader.take(1).and_then(|_| reader.block16()) } else { reader.take(usize::from(len)) };
    let block = block.filter(|_| reader.is_empty()).ok_or(OpenError::Malformed)?;
    let mut parameters = Reader::new(block);
    let mut capabilities = Vec::new();
    while !parameters.is_empty() {
        let code = parameters.u8().ok_or(OpenError::Malformed)?;
        let value = if extended { parameters.block16() } else { parameters.block8() };
        let value = value.ok_or(OpenError::Malformed)?;
        if code != PARAMETER_CAPABILITIES {
            return Err(OpenError::Parameter { code });
        }
        decode_capabilities(value, &mut capabilities).ok_or(OpenError::Malformed)?;
    }
    Ok(capabilities)
}

fn decode_capabilities(value: &[u8], capabilities: &mut Vec<Capability>) -> Option<()> {
    let mut reader = Reader::new(value);
    while !reader.is_empty() {
        let code = reader.u8()?;
        let capability = Capability::decode(code, reader.block8()?);
        // The same one again says nothing new (RFC 5492 section 4).
        if capabilities.len() < MAX_CAPABILITIES && !capabilities.contains(&capability) {
            capabilities.push(capability);
        }
    }
    Some(())
}

fn encode_parameters(capabilities: &[Capability], body: &mut Vec<u8>) {
    // Room for the extended form's six octets of lengths and types.
    let room = MAX_LEN - HEADER_LEN - body.len() - 7;
    let mut value = Vec::new();
    for capability in capabilities {
        let before = value.len();
        capability.encode(&mut value);
        if value.len() > room {
            value.truncate(before);
            break;
        }
    }
    match (value.len(), u8::try_from(value.len() + 2)) {
        (0, _) => body.push(0),
        (len, Ok(total)) if total < EXTENDED => {
            body.extend([total, PARAMETER_CAPABILITIES, len as u8]);
        }
        (len, _) => {
            body.extend([EXTENDED, EXTENDED]);
            body.extend((len as u16 + 3).to_be_bytes());
            body.push(PARAMETER_CAPABILITIES);
            body.extend((len as u16).to_be_bytes());
        }
    }
    body.extend(value);
}
