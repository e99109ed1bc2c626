//! Criterion 51: first in a chain, with Debian's portmap and bandwidth behind us.

use std::process::Command;

use serde_json::{Value, json};

use crate::node::{Container, Node, Said, said};

const PLUGINS: &str = "/usr/lib/cni";

/// Why a test that needs these plugins cannot run.
pub fn missing(plugins: &[&str]) -> Option<&'static str> {
    let installed = plugins.iter().all(|name| std::path::Path::new(PLUGINS).join(name).exists());
    (!installed).then_some("containernetworking-plugins is not installed")
}

/// Runs the plugin that a configuration names, as a runtime does.
pub fn next(node: &Node, verb: &str, container: &Container, config: &Value) -> Said {
    let plugin = config["type"].as_str().unwrap();
    let mut command: Command = node.space.command(&format!("{PLUGINS}/{plugin}"));
    command
        .env("CNI_COMMAND", verb)
        .env("CNI_CONTAINERID", &container.id)
        .env("CNI_NETNS", container.netns());
    command.env("CNI_IFNAME", "eth0").env("CNI_PATH", PLUGINS);
    said(command, config.to_string().as_bytes())
}

#[test]
fn cni_criterion_51_portmap_and_bandwidth_work_behind_us_and_pass_their_check() {
    if sart_testkit::skips(missing(&["portmap", "bandwidth", "tuning"])) {
        return;
    }
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    let mut ours = node.config();
    // What Debian's plugins speak.
    ours["cniVersion"] = json!("1.0.0");
    let result = node.call("ADD", &container, &ours).result();
    let portmap = json!({
        "cniVersion": "1.0.0", "name": "sart-network", "type": "portmap", "prevResult": result,
        "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]},
    });
    let bandwidth = json!({
        "cniVersion": "1.0.0", "name": "sart-network", "type": "bandwidth", "prevResult": result,
        "runtimeConfig": {"bandwidth": {"ingressRate": 100_000_000, "ingressBurst": 100_000_000,
            "egressRate": 100_000_000, "egressBurst": 100_000_000}},
    });
    let tuning = json!({
        "cniVersion": "1.0.0", "name": "sart-network", "type": "tuning", "prevResult": result,
        "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"},
    });
    let chained = [portmap, bandwidth, tuning];
    for config in &chained {
        next(&node, "ADD", &container, config).result();
    }
    let server = Server::start(&container);
    // The host port leads to the pod, from beyond the uplink.
    let got = node.router().run(&["curl", "-sS", "--max-time", "20", "http://172.20.0.2:8080/"]).unwrap();
    assert_eq!(got, "hello");
    drop(server);
    ours["prevResult"] = result;
    node.call("CHECK", &container, &ours).silent();
    // Debian's portmap 1.1 passes no CHECK, behind whomever: it looks for the rules of one family among those of the other.
    for config in chained.iter().filter(|config| config["type"] != "portmap") {
        let checked = next(&node, "CHECK", &container, config);
        assert_eq!(checked.code, Some(0), "{}: {checked:?}", config["type"]);
    }
    for config in &chained {
        assert_eq!(next(&node, "DEL", &container, config).code, Some(0), "{}", config["type"]);
    }
    node.call("DEL", &container, &ours).silent();
}

/// Answers HTTP in the container, on a thread that is in its namespace, until dropped.
struct Server {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(container: &Container) -> Self {
        use std::io::{Read as _, Write as _};
        let listener = container.space.enter(|| Ok(std::net::TcpListener::bind("0.0.0.0:80")?)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(std::sync::atomic::Ordering::SeqCst) {
                let Ok((mut stream, _)) = listener.accept() else {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                let _request = stream.read(&mut [0; 1024]);
                let _sent = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::SeqCst);
        let _ended = self.thread.take().map(std::thread::JoinHandle::join);
    }
}
