//! The workloads: Deployment of the controller, DaemonSets of the agent and of the speaker with the route manager.
//!
//! All run on the host network, because they must start before any pod has one, and none is privileged: each container
//! gets the capabilities it uses and a read-only root filesystem.

use serde_json::{Value, json};

use super::rbac::NAMESPACE;

/// Health ports; they listen on loopback, which the kubelet shares with a pod on the host network.
const CONTROLLER_PORT: u16 = 8080;
const AGENT_PORT: u16 = 8000;
const SPEAKER_PORT: u16 = 8001;
const FIB_PORT: u16 = 8002;

/// Where the plugin and its configuration go, and where the journal of pods stays over restarts.
const CNI_FOLDERS: [(&str, &str); 3] =
    [("cni-bin", "/opt/cni/bin"), ("cni-conf", "/etc/cni/net.d"), ("state", "/var/lib/sart")];

/// File name and documents per workload of a mode: `lb`, `cni` or `dual`.
pub fn files(mode: &str) -> Vec<(&'static str, Vec<Value>)> {
    vec![
        ("sart-controller", vec![controller(mode)]),
        ("sartd-agent", vec![agent(mode)]),
        ("sartd-bgp", vec![fib_config(), speaker()]),
    ]
}

fn controller(mode: &str) -> Value {
    let labels = json!({"app": "sart-controller"});
    let container = json!({
        "name": "controller",
        "image": image("sart-controller"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["/sart-controller"],
        "args": [format!("--mode={mode}"), format!("--http-port={CONTROLLER_PORT}")],
        "env": [from_field("POD_NAME", "metadata.name"), from_field("POD_NAMESPACE", "metadata.namespace")],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "securityContext": security(&[]),
        "livenessProbe": probe("/healthz", CONTROLLER_PORT),
        "readinessProbe": probe("/readyz", CONTROLLER_PORT),
    });
    let mut pod = pod("sart-controller", true, vec![container], json!([]));
    pod["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
    ]}});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "sart-controller", "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            // The anti-affinity is required: a surge pod could not be placed beside the old one on a small cluster.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    })
}

fn agent(mode: &str) -> Value {
    let labels = json!({"app": "sart-agent"});
    let mut container = json!({
        "name": "agent",
        "image": image("sart-agent"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["/sart-agent"],
        "args": [format!("--mode={mode}"), format!("--http-port={AGENT_PORT}")],
        "env": [from_field("NODE_NAME", "spec.nodeName")],
        // The request is also the weight in a race for the CPU (cgroups(7), cpu.weight), and the scheduler's deadline
        // grows as the weight shrinks: with 50m a withdrawal waits some 60 ms behind busy neighbours.
        "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}},
        "securityContext": security(&["NET_ADMIN", "BPF", "PERFMON"]),
        "livenessProbe": probe("/healthz", AGENT_PORT),
        "readinessProbe": probe("/readyz", AGENT_PORT),
        "volumeMounts": [
            {"name": "run-sart", "mountPath": "/run/sart"},
            {"name": "bpffs", "mountPath": "/sys/fs/bpf", "mountPropagation": "HostToContainer"},
        ],
    });
    let mut volumes =
        json!([run_sart(), {"name": "bpffs", "hostPath": {"path": "/sys/fs/bpf", "type": "Directory"}}]);
    if mode != "lb" {
        for (name, path) in CNI_FOLDERS {
            push(&mut container["volumeMounts"], json!({"name": name, "mountPath": path}));
            push(
                &mut volumes,
                json!({"name": name, "hostPath": {"path": path, "type": "DirectoryOrCreate"}}),
            );
        }
    }
    daemon_set("sartd-agent", &labels, pod("sartd-agent", true, vec![container], volumes))
}

fn push(list: &mut Value, entry: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(entry);
    }
}

fn speaker() -> Value {
    let labels = json!({"app": "sartd", "component": "bgp"});
    let run = json!({"name": "run-sart", "mountPath": "/run/sart"});
    let bgp = json!({
        "name": "bgp",
        "image": image("sart-bgpd"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["/sart-bgpd"],
        "args": [format!("--http-port={SPEAKER_PORT}")],
        // As for the agent: keepalives and withdrawals must not wait behind the node's pods.
        "resources": {"requests": {"cpu": "250m", "memory": "32Mi"}},
        "securityContext": security(&["NET_BIND_SERVICE"]),
        "livenessProbe": probe("/healthz", SPEAKER_PORT),
        "readinessProbe": probe("/readyz", SPEAKER_PORT),
        "volumeMounts": [run],
    });
    let fib = json!({
        "name": "fib",
        "image": image("sart-bgpd"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["/sart-fibd"],
        "args": ["--file=/etc/sartd/config.yaml", format!("--http-port={FIB_PORT}")],
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}},
        "securityContext": security(&["NET_ADMIN"]),
        "livenessProbe": probe("/healthz", FIB_PORT),
        "readinessProbe": probe("/readyz", FIB_PORT),
        "volumeMounts": [run, {"name": "config", "mountPath": "/etc/sartd", "readOnly": true}],
    });
    let volumes = json!([run_sart(), {"name": "config", "configMap": {"name": "sartd-fib-config"}}]);
    daemon_set("sartd-bgp", &labels, pod("sartd-bgp", false, vec![bgp, fib], volumes))
}

/// Upstream's shipped channel for each family: what BGP learns goes into the main table (254).
fn fib_config() -> Value {
    let channel = |name: &str, family: &str| {
        format!(
            "- name: {name}\n  ip_version: {family}\n  subscribers:\n  - protocol: bgp\n    endpoint: \
             /run/sart/bgpd.sock\n  publishers:\n  - protocol: kernel\n    tables: [254]\n"
        )
    };
    let config =
        format!("channels:\n{}{}", channel("bgp-to-kernel", "ipv4"), channel("bgp-to-kernel-ipv6", "ipv6"));
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "sartd-fib-config", "namespace": NAMESPACE},
        "data": {"config.yaml": config},
    })
}

fn daemon_set(name: &str, labels: &Value, pod: Value) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    })
}

fn pod(account: &str, token: bool, containers: Vec<Value>, volumes: Value) -> Value {
    json!({
        "serviceAccountName": account,
        "automountServiceAccountToken": token,
        "hostNetwork": true,
        "dnsPolicy": "ClusterFirstWithHostNet",
        "priorityClassName": if account == "sart-controller" { "system-cluster-critical" } else { "system-node-critical" },
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 10,
        "containers": containers,
        "volumes": volumes,
    })
}

fn image(name: &str) -> String {
    format!("sart.terassyi.net/{name}:{}", env!("CARGO_PKG_VERSION"))
}

fn from_field(name: &str, path: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}})
}

fn security(capabilities: &[&str]) -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "privileged": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"], "add": capabilities},
    })
}

fn probe(path: &str, port: u16) -> Value {
    json!({"httpGet": {"host": "127.0.0.1", "path": path, "port": port}, "periodSeconds": 5, "failureThreshold": 3})
}

fn run_sart() -> Value {
    json!({"name": "run-sart", "hostPath": {"path": "/run/sart", "type": "DirectoryOrCreate"}})
}
