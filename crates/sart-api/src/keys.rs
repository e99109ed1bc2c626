//! Annotation, label and finalizer keys: ours, upstream's, and the ones we read from others.

/// Annotation of Service, Pod, Namespace: pools to allocate from (comma-separated on a Service). Label of blocks and claims: their pool.
pub const ADDRESS_POOL: &str = "sart.terassyi.net/addresspool";
/// Annotation of Service: requested addresses, comma-separated.
pub const LOADBALANCER_IPS: &str = "sart.terassyi.net/loadBalancerIPs";
/// Annotation of Service: peer groups that carry its prefixes, comma-separated.
pub const PEER_GROUP: &str = "bgppeer.sart.terassyi.net/group";
/// Label of BGPPeer: the node whose agent runs the session.
pub const PEER_NODE: &str = "bgppeer.sart.terassyi.net/node";
/// Label of AddressBlock (pod) and BlockRequest: the node that uses it.
pub const BLOCK_NODE: &str = "addressblock.sart.terassyi.net/node";
/// Label of AddressBlock (pod): its node is gone or out of service; agents look for routes to it.
pub const BLOCK_LOST: &str = "addressblock.sart.terassyi.net/lost";
/// Taint of Node that says it is shut down for good (Kubernetes: non-graceful node shutdown).
pub const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// Label of Node: its ASN, for `asnSelector.from: label`.
pub const NODE_ASN: &str = "sart.terassyi.net/asn";
/// Label of Node: its router id, for `routerIdSelector.from: label`.
pub const NODE_ROUTER_ID: &str = "sart.terassyi.net/router-id";
/// Label of BGPAdvertisement: the Service it belongs to.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The load-balancer class that is ours; a Service without a class is ours as well.
pub const LOADBALANCER_CLASS: &str = "sart.terassyi.net/lb";
/// Condition type on a Service: whether its addresses are allocated, and if not, why.
pub const SERVICE_ALLOCATED: &str = "sart.terassyi.net/Allocated";

/// MetalLB's pool annotation, current and old prefix.
pub const METALLB_ADDRESS_POOL: [&str; 2] = ["metallb.io/address-pool", "metallb.universe.tf/address-pool"];
/// MetalLB's address annotation, current and old prefix.
pub const METALLB_LOADBALANCER_IPS: [&str; 2] =
    ["metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs"];

/// Finalizers upstream put on objects; a takeover clears them, nothing here ever adds one.
pub const UPSTREAM_FINALIZERS: [&str; 11] = [
    "clusterbgp.sart.terassyi.net/finalizer",
    "nodebgp.sart.terassyi.net/finalizer",
    "bgppeer.sart.terassyi.net/finalizer",
    "bgpadvertisement.sart.terassyi.net/finalizer",
    "addresspool.sart.terassyi.net/finalizer",
    "controller.addressblock.sart.terassyi.net/finalizer",
    "agent.addressblock.sart.terassyi.net/finalizer",
    "blockrequest.sart.terassyi.net/finalizer",
    "service.sart.terassyi.net/finalizer",
    "endpointslice.sart.terassyi.net/finalizer",
    "node.sart.terassyi.net/finalizer",
];

/// The entries of a comma-separated annotation, in order, without blanks and repeats.
#[must_use]
pub fn csv(value: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for entry in value.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        if !entries.iter().any(|seen| seen == entry) {
            entries.push(entry.to_owned());
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_csv_annotation_keeps_order_and_drops_blanks_and_repeats() {
        assert_eq!(super::csv(" b, a,,b , "), ["b", "a"]);
        assert!(super::csv("").is_empty());
    }
}
