//! What the trial of both families applies.

use serde_json::{Value, json};

use crate::lab::topology::{SPINES, ipv6};

/// Namespace whose pods have both families.
pub(super) const BOTH: &str = "families-both";
/// Namespace whose pods have IPv6 alone.
pub(super) const SIX: &str = "families-ipv6";
/// The Service of both families, in [`BOTH`].
pub(super) const BOTH_SERVICE: &str = "both";
/// The LoadBalancer Service of IPv6 alone, in [`SIX`].
pub(super) const SIX_SERVICE: &str = "six";
/// Pool of pods' IPv6 addresses.
pub(super) const POD_POOL: &str = "families-pod-pool";
/// Pool of Services' IPv6 addresses.
pub(super) const LB_POOL: &str = "families-lb-pool";
/// Its prefix.
pub(super) const LB_POOL_NET: &str = "fd00:20::/112";

/// The samples' pool of IPv4 addresses.
const FIRST_POOL: &str = "default-pod-pool";
const GROUP: &str = "sart.terassyi.net/v1alpha2";

/// Sessions over IPv6 and pools; deleted last.
pub(super) fn network() -> String {
    let name = |spine: &crate::lab::topology::Spine| format!("families-{}", spine.name);
    let templates = SPINES.iter().map(|spine| {
        json!({"apiVersion": GROUP, "kind": "BGPPeerTemplate", "metadata": {"name": name(spine)},
               "spec": {"asn": spine.asn, "addr": ipv6::loopback(spine).to_string(),
                        "groups": [format!("to-{}", spine.name)]}})
    });
    let peers: Vec<Value> = SPINES
        .iter()
        .map(|spine| json!({"peerTemplateRef": name(spine), "nodeBGPSelector": {"bgp": "a"}}))
        .collect();
    let cluster = json!({
        "apiVersion": GROUP, "kind": "ClusterBGP", "metadata": {"name": "families"},
        "spec": {"nodeSelector": {"bgp": "a"}, "asnSelector": {"from": "label"},
                 "routerIdSelector": {"from": "internalAddress"},
                 "speaker": {"path": "127.0.0.1:5000", "multipath": true}, "peers": peers},
    });
    let pool = |name: &str, spec: Value| json!({"apiVersion": GROUP, "kind": "AddressPool", "metadata": {"name": name}, "spec": spec});
    let pods = json!({"cidr": "fd00:10:1::/112", "type": "pod", "allocType": "bit", "blockSize": 124, "autoAssign": false});
    let services = json!({"cidr": LB_POOL_NET, "type": "service", "allocType": "bit", "autoAssign": false});
    let pools = [pool(POD_POOL, pods), pool(LB_POOL, services)];
    items(templates.chain([cluster]).chain(pools).collect())
}

/// Name and manifest of each namespace; its annotation chooses its pods' families.
pub(super) fn namespaces() -> [(&'static str, String); 2] {
    let namespace = |name: &str, pools: String| {
        json!({"apiVersion": "v1", "kind": "Namespace",
               "metadata": {"name": name, "annotations": {"sart.terassyi.net/addresspool": pools}}})
        .to_string()
    };
    [(BOTH, namespace(BOTH, format!("{FIRST_POOL},{POD_POOL}"))), (SIX, namespace(SIX, POD_POOL.to_owned()))]
}

/// A pod of each kind on every node, and the Services they serve.
pub(super) fn workloads() -> String {
    let both = json!({"ipFamilyPolicy": "RequireDualStack"});
    let six = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Cluster",
                     "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]});
    items(vec![
        daemon_set(BOTH),
        daemon_set(SIX),
        service(BOTH, BOTH_SERVICE, json!({}), both),
        service(SIX, SIX_SERVICE, json!({"sart.terassyi.net/addresspool": LB_POOL}), six),
    ])
}

fn daemon_set(namespace: &str) -> Value {
    let image = concat!("sart.terassyi.net/test-server:", env!("CARGO_PKG_VERSION"));
    let labels = json!({"app": "families"});
    json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "app", "namespace": namespace},
           "spec": {"selector": {"matchLabels": labels}, "template": {
               "metadata": {"labels": labels},
               "spec": {"tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 1,
                        "containers": [{"name": "app", "image": image, "imagePullPolicy": "IfNotPresent"}]}}}})
}

fn service(namespace: &str, name: &str, annotations: Value, mut spec: Value) -> Value {
    spec["selector"] = json!({"app": "families"});
    spec["ports"] = json!([{"name": "http", "port": 80, "targetPort": 8080}]);
    json!({"apiVersion": "v1", "kind": "Service",
           "metadata": {"name": name, "namespace": namespace, "annotations": annotations}, "spec": spec})
}

fn items(items: Vec<Value>) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}
