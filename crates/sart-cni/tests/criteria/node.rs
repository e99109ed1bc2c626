//! A node with an uplink, its CNI server, and a runtime that calls the plugin. Everything goes with its value.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sart_agent::cni::{AttachmentKey, Fault, Metrics, PlainRouting, PodPorts, Server, Settings};
use sart_telemetry::metrics::Registry;
use sart_testkit::{Namespace, wait_for};
use serde_json::{Value, json};

use crate::addresses::{Families, Ranges};

/// MTU of the uplink: unlike any default.
pub const MTU: u32 = 1430;
pub const NETWORK: &str = "sart-network";
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Node {
    pub server: Option<Server>,
    pub addresses: Arc<Ranges>,
    pub space: Namespace,
    router: Namespace,
    pub dir: tempfile::TempDir,
    containers: AtomicU32,
    metrics: Metrics,
    pub registry: Registry,
}

/// A container that a runtime has made.
pub struct Container {
    pub id: String,
    pub space: Namespace,
}

/// What the plugin left behind.
#[derive(Debug, Clone)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Node {
    /// A node that serves; none (with the reason printed) where namespaces cannot be made.
    pub fn dual() -> Option<Self> {
        Self::with(Families::Dual, 200, None)
    }

    pub fn with(families: Families, size: u16, fault: Option<Fault>) -> Option<Self> {
        let mut node = Self::idle(families, size)?;
        node.serve(fault);
        Some(node)
    }

    /// A node whose agent does not run.
    pub fn idle(families: Families, size: u16) -> Option<Self> {
        if sart_testkit::skips(sart_testkit::missing()) {
            return None;
        }
        let space = Namespace::new("cni-node").unwrap();
        let router = Namespace::new("cni-router").unwrap();
        let near = ("eth0", &["172.20.0.2/24", "fd00:20::2/64"][..]);
        space.link(near, &router, ("down0", &["172.20.0.1/24", "fd00:20::1/64"])).unwrap();
        let mtu = MTU.to_string();
        space.run(&["ip", "link", "set", "eth0", "mtu", &mtu]).unwrap();
        space.run(&["ip", "route", "add", "default", "via", "172.20.0.1"]).unwrap();
        space.run(&["ip", "route", "add", "default", "via", "fd00:20::1", "dev", "eth0"]).unwrap();
        for (net, via) in [("10.1.0.0/16", "172.20.0.2"), ("fd00:1::/64", "fd00:20::2")] {
            router.run(&["ip", "route", "add", net, "via", via]).unwrap();
        }
        let mut registry = sart_telemetry::metrics::registry("sart_agent");
        let metrics = Metrics::new(&mut registry);
        Some(Self {
            server: None,
            addresses: Arc::new(Ranges::new(families, size)),
            space,
            router,
            dir: tempfile::tempdir().unwrap(),
            containers: AtomicU32::new(0),
            metrics,
            registry,
        })
    }

    pub fn serve(&mut self, fault: Option<Fault>) {
        self.serve_with(fault, Arc::new(PlainRouting { why: "a test".into() }));
    }

    pub fn serve_with(&mut self, fault: Option<Fault>, ports: Arc<dyn PodPorts>) {
        let settings = Settings {
            socket: self.path("cni.sock"),
            state: self.path("state"),
            metrics: self.metrics.clone(),
            fault,
        };
        let addresses = Arc::clone(&self.addresses);
        let server = self.space.enter(move || Ok(Server::start(settings, addresses, ports)?)).unwrap();
        self.server = Some(server);
    }

    /// Ends the agent, as a crash between two operations would: nothing is told, nothing is cleaned.
    pub fn stop(&mut self) {
        self.server = None;
        // A new process begins with an empty ledger; journal and kernel fill it.
        self.addresses = Arc::new(Ranges::new(self.addresses.families(), 200));
    }

    /// The server, shared with whoever watches it; the node's own life goes on without it.
    pub fn shared(&mut self) -> Arc<Server> {
        let server = Arc::new(self.server.take().unwrap());
        self.metrics.show(&server);
        server
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// The namespace beyond the uplink.
    pub fn router(&self) -> &Namespace {
        &self.router
    }

    pub fn container(&self) -> Container {
        let number = self.containers.fetch_add(1, Ordering::Relaxed);
        Container { id: format!("c{number}"), space: Namespace::new("cni-pod").unwrap() }
    }

    /// The network configuration that a runtime would hand over.
    pub fn config(&self) -> Value {
        json!({
            "cniVersion": "1.1.0",
            "name": NETWORK,
            "type": "sart-cni",
            "endpoint": format!("unix://{}", self.path("cni.sock").display()),
            "stateDir": self.path("state"),
            "timeout": 30,
        })
    }

    pub fn add(&self, container: &Container) -> Said {
        self.call("ADD", container, &self.config())
    }

    /// ADD that must succeed.
    pub fn added(&self, container: &Container) -> Value {
        self.add(container).result()
    }

    pub fn del(&self, container: &Container) -> Said {
        self.call("DEL", container, &self.config())
    }

    pub fn check(&self, container: &Container, previous: &Value) -> Said {
        let mut config = self.config();
        config["prevResult"] = previous.clone();
        self.call("CHECK", container, &config)
    }

    pub fn status(&self) -> Said {
        self.run(&[("CNI_COMMAND", "STATUS")], &self.config().to_string())
    }

    /// STATUS that must succeed, without a word. It waits for less than a second for its answer, which a busy machine may
    /// not give in time at once.
    pub fn says_yes(&self) {
        let said = wait_for("STATUS to say yes", PATIENCE, || {
            let said = self.status();
            if said.code == Some(0) { Ok(Some(said)) } else { anyhow::bail!("{said:?}") }
        });
        said.unwrap().silent();
    }

    pub fn gc(&self, valid: Option<&[&Container]>) -> Said {
        let mut config = self.config();
        if let Some(valid) = valid {
            let item = |container: &&Container| json!({"containerID": container.id, "ifname": "eth0"});
            config["cni.dev/valid-attachments"] = valid.iter().map(item).collect();
        }
        self.run(&[("CNI_COMMAND", "GC")], &config.to_string())
    }

    pub fn call(&self, verb: &str, container: &Container, config: &Value) -> Said {
        let netns = container.netns();
        let environment = [
            ("CNI_COMMAND", verb),
            ("CNI_CONTAINERID", &container.id),
            ("CNI_NETNS", &netns),
            ("CNI_IFNAME", "eth0"),
            ("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=test;K8S_POD_NAME=pod"),
            ("CNI_PATH", "/opt/cni/bin"),
        ];
        self.run(&environment, &config.to_string())
    }

    /// Runs the plugin with just these variables.
    pub fn run(&self, environment: &[(&str, &str)], input: &str) -> Said {
        said(self.plugin(environment), input.as_bytes())
    }

    /// The plugin, not started yet.
    pub fn plugin(&self, environment: &[(&str, &str)]) -> Command {
        let mut command = self.space.command(env!("CARGO_BIN_EXE_sart-cni"));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs(environment.iter().copied());
        command
    }

    /// Everything an attachment could leave behind on the node.
    pub fn inventory(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        for words in [
            &["ip", "-br", "link"][..],
            &["ip", "-4", "route", "show", "table", "all"],
            &["ip", "-6", "route", "show", "table", "all"],
            &["ip", "rule"],
            &["ip", "-6", "rule"],
            &["ip", "neigh", "show", "nud", "permanent"],
        ] {
            let text = self.space.run(words).unwrap();
            // What the uplink itself gains when the node begins to forward is not an attachment's.
            let own = text.lines().filter(|line| !line.contains("dev eth0 table local"));
            lines.extend(own.map(|line| format!("{}: {}", words[1..].join(" "), line.trim_end())));
        }
        lines.extend(self.addresses.all().keys().map(|key| format!("held: {key}")));
        if let Some(server) = &self.server {
            let live = server.machine().journal.ledger().live;
            lines.extend(live.keys().map(|key| format!("journal: {key}")));
        }
        let waiting = sart_cni::intent::list(&self.path("state")).unwrap();
        lines.extend(waiting.iter().map(|(path, _)| format!("waiting: {}", path.display())));
        lines
    }

    /// Demands the inventory; a link that just went may show for a moment in what the kernel flushes behind it.
    pub fn assert_inventory(&self, wanted: &BTreeSet<String>, when: &str) {
        let same = wait_for("the inventory to be as before", PATIENCE, || {
            let now = self.inventory();
            let left: Vec<_> = now.symmetric_difference(wanted).cloned().collect();
            anyhow::ensure!(left.is_empty(), "{left:#?}");
            Ok(Some(()))
        });
        same.unwrap_or_else(|error| panic!("{when}: {error:#}"));
    }
}

impl Container {
    pub fn netns(&self) -> String {
        format!("/run/netns/{}", self.space.name())
    }

    pub fn key(&self) -> AttachmentKey {
        AttachmentKey { network: NETWORK.into(), container: self.id.clone(), ifname: "eth0".into() }
    }

    pub fn run(&self, words: &[&str]) -> String {
        self.space.run(words).unwrap()
    }

    /// Name of the host's end.
    pub fn link(&self) -> String {
        sart_agent::cni::attachment::link_name(&self.key())
    }
}

impl Said {
    /// The result; anything else fails the test.
    pub fn result(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.json()
    }

    pub fn json(&self) -> Value {
        let mut documents = serde_json::Deserializer::from_str(&self.stdout).into_iter::<Value>();
        let first =
            documents.next().unwrap_or_else(|| panic!("nothing on standard output: {self:?}")).unwrap();
        assert!(documents.next().is_none(), "more than one document: {self:?}");
        first
    }

    /// Success without a word.
    pub fn silent(&self) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(0), ""), "{self:?}");
    }

    /// The code of an error document, whose shape is checked.
    pub fn error(&self) -> u64 {
        assert_eq!(self.code, Some(1), "{self:?}");
        let document = self.json();
        assert!(document["msg"].as_str().is_some_and(|msg| !msg.is_empty()), "{document}");
        assert!(document["cniVersion"].is_string(), "{document}");
        document["code"].as_u64().unwrap()
    }
}

/// Demands that a connection from one namespace to an address of another one carries a byte.
pub fn assert_reaches(from: &Namespace, (to, address): (&Namespace, &str)) {
    use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
    let address: IpAddr = address.parse().unwrap();
    let listener = to.enter(|| Ok(TcpListener::bind((address, 0))?)).unwrap();
    let at = SocketAddr::new(address, listener.local_addr().unwrap().port());
    let connected = from.enter(|| Ok(TcpStream::connect_timeout(&at, PATIENCE)?));
    connected.unwrap_or_else(|error| panic!("{} to {} at {at}: {error:#}", from.name(), to.name()));
}

/// Runs a command with this input, to its end or to the end of our patience.
pub fn said(mut command: Command, input: &[u8]) -> Said {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A plugin that refuses early does not read: its closed pipe is no failure of ours.
    drop(child.stdin.take().unwrap().write_all(input));
    let ended = wait_for("the plugin to end", PATIENCE, || Ok(child.try_wait()?));
    if ended.is_err() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    ended.unwrap();
    Said {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
