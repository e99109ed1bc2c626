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

impl AttachmentKey {
    /// 64 bits of FNV-1a over the three parts, for names that must fit 15 characters. Not secret, only spread.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let parts = [self.network.as_bytes(), &[0], self.container.as_bytes(), &[0], self.ifname.as_bytes()];
        parts.concat().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

impl std::fmt::Display for AttachmentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container, self.ifname)
    }
}
