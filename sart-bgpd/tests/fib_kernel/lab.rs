//! A network namespace with links, a speaker, and the daemon under test.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use sart_rpc::v1::fib_service_client::FibServiceClient;
use sart_rpc::v1::{Channel, FibRoute, ListChannelsRequest, ListRoutesRequest};
use sart_testkit::{Process, wait_for};
use tempfile::TempDir;

use crate::speaker::Speaker;

pub struct Lab {
    pub name: String,
    pub speaker: Speaker,
    neighbours: Vec<String>,
    folder: TempDir,
    extra: String,
    channel: String,
    daemon: Option<Daemon>,
}

/// A running `sart-fibd`; killed when dropped.
pub struct Daemon(Child);

/// A running `ip monitor route` in a namespace; killed when dropped.
pub struct Monitor {
    name: String,
    process: Process,
    _folder: TempDir,
}

/// Nothing of a test takes longer, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until a condition holds; a test that waits in vain fails.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Lab {
    pub fn new(test: &str) -> Option<Self> {
        if sart_testkit::skips(sart_testkit::missing()) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let speaker = Speaker::new(folder.path().join("bgpd.sock"));
        let name = format!("{test}-{}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let channel = |name: &str, family: &str| {
            format!(
                "- name: {name}\n  ip_version: {family}\n  subscribers:\n  - protocol: bgp\n    endpoint: {}\n  \
                 publishers:\n  - protocol: kernel\n    tables: [254]\n",
                speaker.socket.display()
            )
        };
        let channel = channel("v4", "ipv4") + &channel("v6", "ipv6");
        let lab =
            Self { name, speaker, neighbours: vec![], folder, extra: String::new(), channel, daemon: None };
        lab.ip("link set lo up");
        Some(lab)
    }

    /// Links `a0` (10.9.0.1/24, fd00:9::1/64) and `b0` (10.9.1.1/24, fd00:a::1/64), both up.
    pub fn two_links(&self) {
        for (name, v4, v6) in [("a", "10.9.0.1/24", "fd00:9::1/64"), ("b", "10.9.1.1/24", "fd00:a::1/64")] {
            self.ip(&format!("link add {name}0 type veth peer name {name}1"));
            self.ip(&format!("addr add {v4} dev {name}0"));
            self.ip(&format!("addr add {v6} dev {name}0 nodad"));
            self.ip(&format!("link set {name}1 up"));
            self.ip(&format!("link set {name}0 up"));
        }
    }

    /// Another namespace behind a link, which has 10.0.1.1 and answers on `NET.2`.
    pub fn neighbour(&mut self, link: &str, net: &str) -> String {
        let name = format!("{}-{link}", self.name);
        run("ip", &["netns", "add", &name]);
        self.neighbours.push(name.clone());
        self.ip(&format!("link add {link}0 type veth peer name {link}1 netns {name}"));
        self.ip(&format!("addr add {net}.1/24 dev {link}0"));
        self.ip(&format!("link set {link}0 up"));
        for arguments in [
            format!("addr add {net}.2/24 dev {link}1"),
            "addr add 10.0.1.1/32 dev lo".to_owned(),
            format!("link set {link}1 up"),
            "link set lo up".to_owned(),
        ] {
            inside(&name, "ip", &arguments);
        }
        name
    }

    pub fn extra_config(&mut self, text: &str) {
        self.extra = text.to_owned();
    }

    /// Instead of the speaker, one kernel table into another.
    pub fn channel_of_tables(&mut self, from: u32, to: u32) {
        self.channel = format!(
            "- name: tables\n  ip_version: ipv4\n  subscribers:\n  - protocol: kernel\n    tables: [{from}]\n  \
             publishers:\n  - protocol: kernel\n    tables: [{to}]\n"
        );
    }

    /// Starts the daemon and keeps it until [`Lab::stop`] or the end.
    pub fn start(&mut self) {
        self.daemon = Some(self.spawn());
    }

    pub fn spawn(&self) -> Daemon {
        let file = self.folder.path().join("fib.yaml");
        std::fs::write(&file, format!("channels:\n{}{}\n", self.channel, self.extra)).unwrap();
        let api = self.api();
        let child = Command::new("ip")
            .args(["netns", "exec", &self.name, env!("CARGO_BIN_EXE_sart-fibd"), "-f"])
            .arg(file)
            .arg("--api")
            .arg(&api)
            .spawn()
            .unwrap();
        let daemon = Daemon(child);
        eventually("the daemon's API", || std::os::unix::net::UnixStream::connect(&api).is_ok());
        daemon
    }

    pub fn stop(&mut self) -> ExitStatus {
        self.daemon.take().map_or(ExitStatus::from_raw(0), |mut daemon| daemon.stop())
    }

    pub fn ip(&self, arguments: &str) -> String {
        inside(&self.name, "ip", arguments)
    }

    /// As [`Lab::ip`], but a table that does not exist (any more) is empty.
    pub fn ip_quiet(&self, arguments: &str) -> String {
        let mut all = vec!["netns", "exec", &self.name, "ip"];
        all.extend(arguments.split_whitespace());
        let output = Command::new("ip").args(all).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn monitor(&self) -> Monitor {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "ip", "-o", "monitor", "route"]);
        let process = Process::start(command, &folder.path().join("monitor.log")).unwrap();
        let monitor = Monitor { name: self.name.clone(), process, _folder: folder };
        monitor.mark("198.18.0.0");
        monitor
    }

    pub fn channels(&self) -> Vec<Channel> {
        call(async {
            let mut client = FibServiceClient::new(sart_rpc::connect(self.api()).await.unwrap());
            client.list_channels(ListChannelsRequest {}).await.unwrap().into_inner().channels
        })
    }

    pub fn routes(&self) -> Vec<FibRoute> {
        call(async {
            let mut client = FibServiceClient::new(sart_rpc::connect(self.api()).await.unwrap());
            let request = ListRoutesRequest { channel: "v4".into() };
            let mut stream = client.list_routes(request).await.unwrap().into_inner();
            let mut routes = Vec::new();
            while let Some(route) = stream.message().await.unwrap() {
                routes.push(route);
            }
            routes
        })
    }

    /// The only route, once the daemon says that it is in this state: it says so after it has written to the kernel.
    pub fn only_route(&self, state: &str) -> FibRoute {
        eventually(state, || self.routes().first().is_some_and(|route| route.state == state));
        self.routes().remove(0)
    }

    fn api(&self) -> std::path::PathBuf {
        self.folder.path().join("fibd.sock")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.daemon = None;
        for name in self.neighbours.iter().chain([&self.name]) {
            run("ip", &["netns", "del", name]);
        }
    }
}

impl Daemon {
    /// SIGTERM, then its status.
    pub fn stop(&mut self) -> ExitStatus {
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        wait_for("the daemon's end", LIMIT, || Ok(self.0.try_wait()?)).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.0.try_wait().unwrap().is_none() {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }
}

impl Monitor {
    /// Writes and deletes a route that is no part of any test until that is seen.
    fn mark(&self, address: &str) {
        eventually("the monitor", || {
            for deed in ["add", "del"] {
                inside(&self.name, "ip", &format!("route {deed} blackhole {address} proto static"));
            }
            self.process.log().contains(address)
        });
    }

    /// The changes seen, one line each. The kernel's own are not among them: it writes one for each address of a link, seconds
    /// after that came up.
    pub fn stop(self) -> Vec<String> {
        // Notifications come in order: all before this one have come when it has.
        self.mark("198.18.0.1");
        let log = self.process.log();
        let others = log.lines().filter(|line| !line.contains("198.18.0.") && !line.contains("proto kernel"));
        others.map(str::to_owned).collect()
    }
}

fn call<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn inside(name: &str, program: &str, arguments: &str) -> String {
    let mut all = vec!["netns", "exec", name, program];
    all.extend(arguments.split_whitespace());
    String::from_utf8(run("ip", &all).stdout).unwrap()
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output
}
