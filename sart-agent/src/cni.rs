//! The pod network of this node: serves the CNI plugin, keeps one state machine per attachment, and holds journal, kernel
//! and address ledger equal. It never enters a pod's namespace: the plugin hands over a netlink socket made there.

pub mod addresses;
pub mod answer;
pub mod attachment;
pub mod audit;
pub mod check;
mod collect;
pub mod flows;
pub mod install;
pub mod journal;
pub mod machine;
pub mod metrics;
pub mod network;
pub mod ports;
pub mod reconcile;
pub mod server;
pub mod service;
mod startup;
pub mod turns;

pub use addresses::{AddressError, AddressRequest, BlockUse, Holding, NotReady, PodAddress, PodAddresses};
pub use attachment::AttachmentKey;
pub use install::{InstallError, Installer};
pub use machine::{Fault, Machine, Step};
pub use metrics::Metrics;
pub use ports::{PlainRouting, PodPort, PodPorts, PortError, PortProof};
pub use server::{Server, Settings, StartError};
pub use startup::Summary;
