//! The pod network of this node: serves the CNI plugin, keeps one state machine per attachment, and holds journal, kernel
//! and address ledger equal. It never enters a pod's namespace: the plugin hands over a netlink socket made there.

pub mod addresses;
pub mod attachment;
pub mod ports;

pub use addresses::{AddressError, AddressRequest, NotReady, PodAddress, PodAddresses};
pub use attachment::AttachmentKey;
pub use ports::{PlainRouting, PodPort, PodPorts, PortError, PortProof};
