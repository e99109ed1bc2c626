//! What names an attachment. The runtime's own key and nothing else: a pod's name comes back with another container.

use serde::{Deserialize, Serialize};

/// Network, container and interface: the key of everything a pod gets from us (CNI specification 1.1.0, section 2: the
/// three together identify an attachment). Ordered, so that dumps and plans have one order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttachmentKey {
    /// `name` of the network configuration.
    pub network: String,
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
}

impl std::fmt::Display for AttachmentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container, self.ifname)
    }
}
