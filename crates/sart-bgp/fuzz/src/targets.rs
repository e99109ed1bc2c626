//! The targets: each takes any bytes, feeds them to one part of the speaker and asserts what must hold.

use core::str::FromStr;

use sart_bgp::wire::notification::Notification;
use sart_bgp::wire::open::Open;
use sart_bgp::wire::refresh::RouteRefresh;
use sart_bgp::wire::update::Scratch;

mod messages;
mod session;
mod update;

pub(crate) use self::session::framed;

/// Octets that reading one message may allocate, all allocations added up.
pub const MAX_ALLOCATED: usize = 64 * 1024;

/// A part of the speaker under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The body of an OPEN.
    Open,
    /// A byte of negotiation, then the body of an UPDATE.
    Update,
    /// The body of a NOTIFICATION.
    Notification,
    /// A byte of negotiation, then the body of a ROUTE-REFRESH.
    Refresh,
    /// A byte stream: framing and every message in it.
    Stream,
    /// A script of connection events, messages and time for a whole speaker.
    Session,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Update, Self::Notification, Self::Refresh, Self::Stream, Self::Session];

    /// Its name on command lines and in folders.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Notification => "notification",
            Self::Refresh => "refresh",
            Self::Stream => "stream",
            Self::Session => "session",
        }
    }

    /// Only reads `bytes`, as a speaker does when they arrive: this is what may allocate no more than
    /// [`MAX_ALLOCATED`], a session's scratch buffer growing included. Nothing for a script, whose routes are kept.
    pub fn read(self, bytes: &[u8], scratch: &mut Scratch) {
        match self {
            Self::Open => drop(Open::decode(bytes)),
            Self::Update => update::read(bytes, scratch),
            Self::Notification => drop(Notification::decode(bytes)),
            Self::Refresh => drop(RouteRefresh::decode(bytes, true)),
            Self::Stream => messages::read_stream(bytes),
            Self::Session => {}
        }
    }

    /// Feeds `bytes`.
    ///
    /// # Panics
    /// If a property does not hold: that is the finding.
    pub fn run(self, bytes: &[u8]) {
        match self {
            Self::Open => messages::open(bytes),
            Self::Update => update::run(bytes),
            Self::Notification => messages::notification(bytes),
            Self::Refresh => messages::refresh(bytes),
            Self::Stream => messages::stream(bytes),
            Self::Session => session::run(bytes),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names: Vec<_> = Self::ALL.iter().map(|target| target.name()).collect();
        let found = Self::ALL.into_iter().find(|target| target.name() == name);
        found.ok_or_else(|| format!("no target {name:?}; there are {}", names.join(", ")))
    }
}
