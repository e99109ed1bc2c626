//! ROUTE-REFRESH (RFC 2918, RFC 7313): asks for routes again, and marks where a refresh begins and ends. Must never
//! decide what is sent again.

use super::message::{HEADER_LEN, MessageKind, frame};
use super::notification::Notification;
use crate::family::Family;

/// A ROUTE-REFRESH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteRefresh {
    /// The family it is about.
    pub family: Family,
    /// What it says.
    pub subtype: RefreshSubtype,
}

/// What a ROUTE-REFRESH says (RFC 7313 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshSubtype {
    /// Send everything again.
    Request,
    /// BoRR: from here on everything comes again.
    Begin,
    /// EoRR: what has not come again is gone.
    End,
}

impl RefreshSubtype {
    const fn code(self) -> u8 {
        match self {
            Self::Request => 0,
            Self::Begin => 1,
            Self::End => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Request,
            1 => Self::Begin,
            2 => Self::End,
            _ => return None,
        })
    }
}

impl RouteRefresh {
    /// Asks for all routes of a family.
    #[must_use]
    pub const fn request(family: Family) -> Self {
        Self { family, subtype: RefreshSubtype::Request }
    }

    /// The message.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let [high, low] = self.family.afi.to_be_bytes();
        frame(MessageKind::RouteRefresh, &[high, low, self.subtype.code(), self.family.safi])
    }

    /// Reads a body. Without `enhanced` the subtype's octet is reserved, so that it means a request whatever it says
    /// (RFC 2918 section 3); with it, `None` is an unknown subtype, to be ignored (RFC 7313 section 5).
    ///
    /// # Errors
    /// The answer to a body of another length than four octets.
    pub fn decode(body: &[u8], enhanced: bool) -> Result<Option<Self>, Notification> {
        let &[high, low, subtype, safi] = body else { return Err(bad_length(body, enhanced)) };
        let family = Family { afi: u16::from_be_bytes([high, low]), safi };
        let subtype =
            if enhanced { RefreshSubtype::from_code(subtype) } else { Some(RefreshSubtype::Request) };
        Ok(subtype.map(|subtype| Self { family, subtype }))
    }
}

/// RFC 7313 section 5 returns the whole message where it marks a refresh; else the header's length is to blame.
fn bad_length(body: &[u8], enhanced: bool) -> Notification {
    if enhanced && matches!(body.get(2), Some(1 | 2)) {
        return Notification::with_data(
            Notification::REFRESH_LENGTH,
            &frame(MessageKind::RouteRefresh, body),
        );
    }
    let length = (HEADER_LEN + body.len()) as u16;
    Notification::with_data(Notification::BAD_LENGTH, &length.to_be_bytes())
}
