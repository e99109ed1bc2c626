//! What the CNI server asks of the address ledger. Calls come from threads of their own and may wait until the deadline
//! they carry, never longer; no lock of the ledger may be held while it waits for the API.

use std::net::IpAddr;
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::attachment::AttachmentKey;

/// Pod addresses of this node: which pool a pod takes from, and which address of this node's confirmed blocks it gets.
///
/// Every call is atomic and idempotent by key, and answers from memory whenever this node holds a free address.
pub trait PodAddresses: Send + Sync {
    /// One address per family that the pod's pool serves (at least one, IPv4 first). Asked again for a key that holds
    /// addresses it answers the same ones. Waits for a block only when this node has no free address, and not past
    /// `deadline`.
    ///
    /// # Errors
    /// See [`AddressError`]; nothing stays taken after an error.
    fn allocate(&self, request: &AddressRequest, deadline: Instant) -> Result<Vec<PodAddress>, AddressError>;

    /// After a start, before anything is served: `key` holds these addresses, whatever the ledger thinks of their blocks
    /// (a block not listed yet, or no API server at all, is no reason to refuse).
    ///
    /// # Errors
    /// The address that another key holds already; then nothing is adopted for `key`.
    fn adopt(&self, key: &AttachmentKey, addresses: &[PodAddress]) -> Result<(), IpAddr>;

    /// After a start: this address was released at `released` by an earlier process and cools down from then.
    fn cool(&self, address: &PodAddress, released: SystemTime);

    /// Gives up what `key` holds; the addresses cool down from `now`. Unknown keys are no error.
    fn release(&self, key: &AttachmentKey, now: SystemTime);

    /// What `key` holds; empty if nothing. CHECK compares it with the kernel.
    fn held(&self, key: &AttachmentKey) -> Vec<PodAddress>;

    /// Every address that is held, by key, for whoever compares.
    fn holdings(&self) -> Vec<Holding>;

    /// How full each block of this node is, by name.
    fn blocks(&self) -> Vec<BlockUse>;

    /// Whether [`PodAddresses::allocate`] would succeed now for a pod of the default pool. Must not wait.
    ///
    /// # Errors
    /// Why not.
    fn ready(&self) -> Result<(), NotReady>;
}

/// Who asks for addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRequest {
    /// What the addresses are held by.
    pub key: AttachmentKey,
    /// `K8S_POD_NAMESPACE`; none when the runtime does not say (then only the default pool can serve).
    pub namespace: Option<String>,
    /// `K8S_POD_NAME`.
    pub pod: Option<String>,
    /// `K8S_POD_UID`; some runtimes leave it out.
    pub uid: Option<String>,
}

/// An address with the pool it comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PodAddress {
    /// The address; the pod gets it as /32 or /128.
    pub address: IpAddr,
    /// Name of the AddressPool.
    pub pool: String,
}

/// An address that an attachment holds, as the ledger sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Who holds it.
    pub key: AttachmentKey,
    /// What is held.
    pub address: IpAddr,
    /// This node's block around it; none if it has no such block, or none is listed yet.
    pub block: Option<String>,
    /// No pod of this node has had it for so long that it seems forgotten.
    pub leaked: bool,
}

/// A block of this node and how full it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockUse {
    /// Its pool.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// Addresses that may be given now: none while the block is not open. More than the type counts read as its largest.
    pub free: i64,
    /// Addresses that attachments hold.
    pub held: usize,
    /// Addresses that cool down.
    pub cooling: usize,
}

/// Why a pod gets no address. The message must say what to do; it is shown in the pod's Events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The pod is gone from the API: the runtime should not try again.
    #[error("{0}")]
    PodGone(String),
    /// No pool serves this pod (unknown name, not accepted, none marked `autoAssign`).
    #[error("{0}")]
    NoPool(String),
    /// Every block of the pool is taken; trying again helps only once somebody frees one.
    #[error("{0}")]
    Exhausted(String),
    /// A block was asked for and did not arrive before the deadline, or what is needed to choose is not known yet.
    #[error("{0}")]
    Pending(String),
}

/// Why an ADD would fail now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

impl AddressError {
    /// Label for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::PodGone(_) => "pod_gone",
            Self::NoPool(_) => "no_pool",
            Self::Exhausted(_) => "exhausted",
            Self::Pending(_) => "pending",
        }
    }
}
