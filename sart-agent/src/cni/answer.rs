//! An attachment as the result that the runtime gets.

use sart_cni::result::{Attached, Interface, Ip, Route};

use super::attachment::{self, Attachment, mac_text};

/// Index of the container's link in the interfaces: the host's is first.
pub const CONTAINER: usize = 1;

/// The result of ADD; `netns` is `CNI_NETNS` as it came.
#[must_use]
pub fn attached(attachment: &Attachment, netns: &str) -> Attached {
    let link = |name: String, mac, sandbox| Interface {
        name,
        mac: Some(mac_text(mac)),
        mtu: Some(attachment.mtu),
        sandbox,
    };
    Attached {
        interfaces: vec![
            link(attachment.link(), attachment.host_mac, None),
            link(attachment.key.ifname.clone(), attachment.pod_mac, Some(netns.to_owned())),
        ],
        ips: attachment
            .ips()
            .map(|address| Ip {
                address: attachment::host_prefix(address).to_string(),
                gateway: Some(attachment::gateway(address)),
                interface: Some(CONTAINER),
            })
            .collect(),
        routes: attachment
            .ips()
            .map(|address| Route {
                dst: if address.is_ipv4() { "0.0.0.0/0" } else { "::/0" }.to_owned(),
                gw: Some(attachment::gateway(address)),
            })
            .collect(),
        dns: None,
    }
}
