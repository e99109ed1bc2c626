//! One ServiceAccount per component and the least it may do. The speaker pod talks to no API server at all.

use serde_json::{Value, json};

/// Namespace of every component.
pub const NAMESPACE: &str = "kube-system";
const READ: [&str; 3] = ["get", "list", "watch"];

/// File name and documents per component.
pub fn files() -> Vec<(&'static str, Vec<Value>)> {
    vec![
        ("sart-controller", controller()),
        ("sartd-agent", agent()),
        ("sartd-bgp", vec![account("sartd-bgp")]),
    ]
}

fn controller() -> Vec<Value> {
    let name = "sart-controller";
    let sart = "sart.terassyi.net";
    // Server-side apply of an object that does not exist needs `create` beside `patch`.
    let rules = vec![
        rule("", &["nodes", "services"], &READ),
        rule("", &["services/status"], &["patch"]),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
        rule(sart, &["clusterbgps", "bgppeertemplates", "addresspools"], &READ),
        rule(sart, &["clusterbgps/status", "addresspools/status"], &["patch"]),
        rule(
            sart,
            &["nodebgps", "bgppeers", "bgpadvertisements", "addressblocks", "addressclaims"],
            &["get", "list", "watch", "create", "patch", "delete"],
        ),
        rule(sart, &["blockrequests"], &READ),
        rule(sart, &["nodebgps/status", "bgpadvertisements/status"], &["patch"]),
    ];
    let lease = vec![
        rule("coordination.k8s.io", &["leases"], &["create"]),
        json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [name],
               "verbs": ["get", "update"]}),
    ];
    vec![
        account(name),
        role("ClusterRole", name, rules),
        binding("ClusterRole", name),
        role("Role", name, lease),
        binding("Role", name),
    ]
}

/// What the modes `cni` and `dual` need beside the rest: the controller answers requests for blocks, the agent asks for
/// blocks and reads who its pods are.
pub fn pod_files() -> Vec<(&'static str, Vec<Value>)> {
    let sart = "sart.terassyi.net";
    let controller = vec![rule(sart, &["addressblocks/status", "blockrequests/status"], &["patch"])];
    let agent = vec![
        rule("", &["pods", "namespaces"], &READ),
        rule(sart, &["addresspools", "addressblocks"], &READ),
        rule(sart, &["blockrequests"], &["get", "list", "watch", "create", "patch", "delete"]),
    ];
    let documents = |account: &str, rules: Vec<Value>| {
        let name = format!("{account}-pods");
        let mut binding = binding("ClusterRole", &name);
        binding["subjects"][0]["name"] = json!(account);
        vec![role("ClusterRole", &name, rules), binding]
    };
    vec![
        ("sart-controller", documents("sart-controller", controller)),
        ("sartd-agent", documents("sartd-agent", agent)),
    ]
}

fn agent() -> Vec<Value> {
    let name = "sartd-agent";
    let sart = "sart.terassyi.net";
    let rules = vec![
        rule("", &["nodes", "services"], &READ),
        rule("discovery.k8s.io", &["endpointslices"], &READ),
        rule(sart, &["nodebgps", "bgppeers", "bgpadvertisements"], &READ),
        rule(sart, &["nodebgps/status", "bgppeers/status"], &["patch"]),
    ];
    vec![account(name), role("ClusterRole", name, rules), binding("ClusterRole", name)]
}

fn account(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": NAMESPACE},
        // Pods that need the API ask for the token in their own spec.
        "automountServiceAccountToken": false,
    })
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

fn role(kind: &str, name: &str, rules: Vec<Value>) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata(kind, name),
        "rules": rules,
    })
}

fn binding(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": format!("{kind}Binding"),
        "metadata": metadata(kind, name),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
    })
}

fn metadata(kind: &str, name: &str) -> Value {
    if kind == "Role" { json!({"name": name, "namespace": NAMESPACE}) } else { json!({"name": name}) }
}
