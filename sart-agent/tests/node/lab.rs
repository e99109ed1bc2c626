//! One node (API server, kube-proxy, speaker, agent) and one FRR router. Everything ends and is removed with the value.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::Signal;
use sart_testkit::{Frr, Namespace, Process, wait_for};
use serde_json::Value;

/// A cold API server on a busy machine of two processors.
const PATIENCE: Duration = Duration::from_secs(120);
/// The node's address on the link to the router.
pub const NODE: &str = "169.254.1.2";

/// The running lab. Fields drop in order: processes before namespaces.
pub struct Lab {
    agent: Option<Process>,
    speaker: Option<Process>,
    _services: Vec<Process>,
    /// The router.
    pub router: Frr,
    node: Namespace,
    _router_space: Namespace,
    programs: Programs,
    dir: tempfile::TempDir,
}

struct Programs {
    kube: PathBuf,
    agent: PathBuf,
    speaker: PathBuf,
}

fn programs() -> Result<Programs, String> {
    if let Some(reason) = sart_testkit::missing_with_frr() {
        return Err(reason.to_owned());
    }
    let cached = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/sart/kube/kube"));
    let kube = std::env::var_os("SART_KUBE").map(PathBuf::from).or(cached).filter(|path| path.is_file());
    let agent = PathBuf::from(env!("CARGO_BIN_EXE_sart-agent"));
    let beside = agent.with_file_name("sart-bgpd");
    let speaker = std::env::var_os("SART_BGPD").map_or(beside, PathBuf::from);
    if !speaker.is_file() {
        return Err("no sart-bgpd: run `cargo build -p sart-bgpd` or set SART_BGPD".to_owned());
    }
    let kube = kube.ok_or("no Kubernetes program: set SART_KUBE or run `cargo xtask setup`")?;
    Ok(Programs { kube, agent, speaker })
}

impl Lab {
    /// Starts everything but speaker and agent; the inner error says why this machine cannot.
    pub fn start() -> anyhow::Result<Result<Self, String>> {
        let programs = match programs() {
            Ok(programs) => programs,
            Err(reason) => return Ok(Err(reason)),
        };
        let node = Namespace::new("sart-agt-node")?;
        let router_space = Namespace::new("sart-agt-router")?;
        node.link(("eth0", &["169.254.1.2/24"]), &router_space, ("down0", &["169.254.1.1/24"]))?;
        node.run(&["ip", "address", "add", "192.0.2.10/32", "dev", "lo"])?;
        let config = sart_testkit::frr::config(65001, "169.254.1.1", &[(NODE, 65000)], &[]);
        let router = Frr::start(&router_space, &config)?;
        let mut lab = Self {
            agent: None,
            speaker: None,
            _services: Vec::new(),
            router,
            node,
            _router_space: router_space,
            programs,
            dir: tempfile::tempdir()?,
        };
        // The program goes by its name: `kube` takes the component as its first word.
        let kube = lab.dir.path().join("kube");
        std::os::unix::fs::symlink(&lab.programs.kube, &kube)?;
        lab.programs.kube = kube;
        lab.control_plane()?;
        lab.kubectl(&["apply", "-k", concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests/crd")])?;
        lab.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"])?;
        Ok(Ok(lab))
    }

    fn control_plane(&mut self) -> anyhow::Result<()> {
        let key = self.path("sa.key");
        self.node.run(&["openssl", "genrsa", "-out", &key, "2048"])?;
        std::fs::write(self.path("tokens.csv"), "admin,admin,1,system:masters\n")?;
        std::fs::write(self.path("kubeconfig"), KUBECONFIG)?;
        let etcd = format!("etcd --data-dir {} --unsafe-no-fsync", self.path("etcd"));
        self.kube(&etcd)?;
        let api = format!(
            "kube-apiserver --etcd-servers http://127.0.0.1:2379 --service-cluster-ip-range 10.96.0.0/16 \
             --service-account-issuer https://kubernetes.default --service-account-key-file {key} \
             --service-account-signing-key-file {key} --token-auth-file {} --authorization-mode RBAC \
             --cert-dir {} --bind-address 127.0.0.1 --advertise-address 192.0.2.10",
            self.path("tokens.csv"),
            self.path("certs"),
        );
        self.kube(&api)?;
        wait_for("the API server", PATIENCE, || self.kubectl(&["get", "ns", "default"]).map(Some))?;
        let proxy = format!(
            "kube-proxy --kubeconfig {} --proxy-mode nftables --hostname-override node0 --conntrack-max-per-core 0 \
             --cluster-cidr 10.1.0.0/16 --oom-score-adj 0",
            self.path("kubeconfig")
        );
        self.kube(&proxy)
    }

    fn kube(&mut self, line: &str) -> anyhow::Result<()> {
        let mut command = self.node.command(self.programs.kube.to_str().context("a path in UTF-8")?);
        command.args(line.split_whitespace());
        let name = line.split(' ').next().unwrap_or_default();
        let log = self.dir.path().join(format!("{name}.log"));
        self._services.push(Process::start(command, &log)?);
        Ok(())
    }

    /// Starts the speaker, unconfigured.
    pub fn start_speaker(&mut self) -> anyhow::Result<()> {
        let mut command = self.node.command(self.programs.speaker.to_str().context("a path in UTF-8")?);
        command.args(["--api", &self.path("bgpd.sock"), "--listen", "0.0.0.0"]);
        self.speaker = Some(Process::start(command, &self.dir.path().join("bgpd.log"))?);
        Ok(())
    }

    /// Kills the speaker.
    pub fn kill_speaker(&mut self) -> anyhow::Result<()> {
        end(self.speaker.take())
    }

    /// Starts the agent. Its pin folder is no bpffs, so that the test leaves nothing in the kernel: kube-proxy serves.
    pub fn start_agent(&mut self) -> anyhow::Result<()> {
        let mut command = self.node.command(self.programs.agent.to_str().context("a path in UTF-8")?);
        command.args(["--speaker", &self.path("bgpd.sock"), "--bpf-root", &self.path("no-bpffs")]);
        command.args(["--lock-file", &self.path("agent.lock"), "--log-level", "info,sart_agent=debug"]);
        command.env("NODE_NAME", "node0").env("KUBECONFIG", self.path("kubeconfig"));
        self.agent = Some(Process::start(command, &self.dir.path().join("agent.log"))?);
        Ok(())
    }

    /// Kills the agent.
    pub fn kill_agent(&mut self) -> anyhow::Result<()> {
        end(self.agent.take())
    }

    /// Runs a command on the node.
    pub fn on_node(&self, words: &[&str]) -> anyhow::Result<String> {
        self.node.run(words)
    }

    /// Runs kubectl and returns what it printed.
    pub fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        self.kubectl_with(args, "")
    }

    /// Applies manifests.
    pub fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        self.kubectl_with(&["apply", "--server-side", "-f", "-"], yaml)
    }

    fn kubectl_with(&self, args: &[&str], input: &str) -> anyhow::Result<String> {
        let mut command: Command = self.node.command(self.programs.kube.to_str().context("a path in UTF-8")?);
        command.arg("kubectl").arg("--kubeconfig").arg(self.path("kubeconfig")).args(args);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().context("kubectl's input")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// One object.
    pub fn get(&self, kind: &str, name: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.kubectl(&["get", kind, name, "-o", "json"])?)?)
    }

    /// The prefixes the router has from the node.
    pub fn routes(&self) -> anyhow::Result<Vec<String>> {
        self.router.prefixes("ipv4")
    }

    /// Waits until the router has exactly these prefixes.
    pub fn until_routes(&self, wanted: &[&str]) -> anyhow::Result<()> {
        let what = format!("the router to have {wanted:?}");
        wait_for(&what, PATIENCE, || {
            let routes = self.routes()?;
            ensure!(routes == wanted, "it has {routes:?}");
            Ok(Some(()))
        })
    }

    /// The ends of the logs, for a failing test.
    pub fn logs(&self) -> String {
        let mut text = self.router.logs();
        for name in ["agent", "bgpd", "kube-proxy", "kube-apiserver"] {
            let log = std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(60)..];
            text.push_str(&format!("\n--- {name}\n{}", tail.join("\n")));
        }
        text
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }
}

fn end(process: Option<Process>) -> anyhow::Result<()> {
    let mut process = process.context("it does not run")?;
    process.signal(Signal::SIGKILL)?;
    process.wait(PATIENCE)?;
    Ok(())
}

const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\nclusters: [{name: t, cluster: {server: 'https://127.0.0.1:6443', \
     insecure-skip-tls-verify: true}}]\nusers: [{name: u, user: {token: admin}}]\n\
     contexts: [{name: c, context: {cluster: t, user: u}}]\ncurrent-context: c\n";
