//! One throw-away control plane: namespace, etcd, API server, controllers, kubectl. Everything it starts ends with it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// One control plane at a time: each takes half a processor.
static TURN: Mutex<()> = Mutex::new(());
static NUMBER: AtomicU32 = AtomicU32::new(0);
/// A cold API server on a busy machine of two processors.
const PATIENCE: Duration = Duration::from_secs(120);

/// The controllers act as their own ServiceAccount, so that the shipped RBAC is what they get.
const TOKENS: &str =
    "admin,admin,1,system:masters\ncontroller,system:serviceaccount:kube-system:sart-controller,2\n";
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted]\n\
rules:\n- level: RequestResponse\n  verbs: [create, update, patch, delete, deletecollection]\n  resources:\n  - group: \"\"\n    \
resources: [services, services/status]\n  - group: sart.terassyi.net\n  - group: events.k8s.io\n- level: None\n";

/// Every AddressBlock.
const BLOCKS: &str = "/apis/sart.terassyi.net/v1alpha2/addressblocks";

/// A control plane.
pub struct Cluster {
    namespace: String,
    kube: PathBuf,
    dir: tempfile::TempDir,
    children: Vec<Child>,
    next_port: u16,
    _turn: MutexGuard<'static, ()>,
}

/// The multi-call Kubernetes program, if this machine has it and lets us make namespaces.
fn kube() -> Option<PathBuf> {
    let cached = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/sart/kube/kube"));
    let found = std::env::var_os("SART_KUBE").map(PathBuf::from).or(cached).filter(|path| path.is_file());
    let lacks = found.is_none().then_some("no Kubernetes program; set SART_KUBE or run `cargo xtask setup`");
    (!sart_testkit::skips(sart_testkit::missing().or(lacks))).then_some(found).flatten()
}

impl Cluster {
    /// Starts a control plane with our CRDs installed; `None` when this machine cannot.
    pub fn start() -> Option<Self> {
        let kube = kube()?;
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut cluster = Self {
            namespace: format!("sart-ctl-{}-{number}", std::process::id()),
            kube,
            dir: tempfile::tempdir().unwrap(),
            children: Vec::new(),
            next_port: 9000,
            _turn: turn,
        };
        cluster.network();
        cluster.control_plane();
        for part in ["crd", "rbac", "rbac-pods"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests").join(part);
            cluster.kubectl_ok(&["apply", "-k", folder.to_str().unwrap()]);
        }
        cluster.kubectl_ok(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"]);
        Some(cluster)
    }

    fn network(&self) {
        run("ip", &["netns", "add", &self.namespace]);
        run("ip", &["-n", &self.namespace, "link", "set", "lo", "up"]);
        run("ip", &["-n", &self.namespace, "addr", "add", "192.0.2.10/32", "dev", "lo"]);
    }

    fn control_plane(&mut self) {
        let key = self.path("sa.key");
        run("openssl", &["genrsa", "-out", &key, "2048"]);
        std::fs::write(self.path("tokens.csv"), TOKENS).unwrap();
        std::fs::write(self.path("audit.yaml"), AUDIT_POLICY).unwrap();
        for user in ["admin", "controller"] {
            std::fs::write(self.kubeconfig(user), kubeconfig(user)).unwrap();
        }
        let etcd = format!(
            "--data-dir {} --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls \
             http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380",
            self.path("etcd")
        );
        self.spawn_kube("etcd", &etcd);
        let api = format!(
            "--etcd-servers http://127.0.0.1:2379 --service-cluster-ip-range 10.96.0.0/16,fd00:96::/112 \
             --service-account-issuer https://kubernetes.default --service-account-key-file {key} \
             --service-account-signing-key-file {key} --token-auth-file {} --authorization-mode RBAC \
             --cert-dir {} --bind-address 127.0.0.1 --advertise-address 192.0.2.10 --endpoint-reconciler-type none \
             --audit-policy-file {} --audit-log-path {} --audit-log-mode blocking --audit-log-maxsize 10000",
            self.path("tokens.csv"),
            self.path("certs"),
            self.path("audit.yaml"),
            self.audit_log(),
        );
        self.spawn_kube("kube-apiserver", &api);
        self.until("the API server is ready", |c| c.kubectl(&["get", "--raw", "/readyz"]).status.success());
        self.until("the default namespace is there", |c| {
            c.kubectl(&["get", "ns", "default", "kube-system"]).status.success()
        });
    }

    fn spawn_kube(&mut self, component: &str, flags: &str) {
        let mut command = self.inside(&self.component(component));
        command.args(flags.split_whitespace());
        self.spawn(component, command, Stdio::null());
    }

    /// The program under the name of one component: by that name it knows what to be.
    fn component(&self, name: &str) -> PathBuf {
        let link = self.dir.path().join("bin").join(name);
        if !link.exists() {
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(&self.kube, &link).unwrap();
        }
        link
    }

    /// Starts a controller; returns its index for [`Self::kill`].
    pub fn controller(&mut self, name: &str) -> usize {
        self.next_port += 1;
        let mut command = self.inside(Path::new(env!("CARGO_BIN_EXE_sart-controller")));
        command
            .args([
                "--mode=dual",
                "--lease-seconds=2",
                "--lost-node-quarantine-seconds=2",
                "--identity",
                name,
            ])
            .arg(format!("--http-port={}", self.next_port))
            .env("KUBECONFIG", self.kubeconfig("controller"))
            .env("RUST_LOG", "info");
        self.spawn(name, command, Stdio::null())
    }

    /// Has every change of the AddressBlocks from now on written down, one event of a watch a line.
    pub fn watch_blocks(&mut self) {
        let now: Value = serde_json::from_str(&self.kubectl_ok(&["get", "--raw", BLOCKS])).unwrap();
        let version = now["metadata"]["resourceVersion"].as_str().unwrap();
        let watch = format!("{BLOCKS}?watch=true&resourceVersion={version}");
        let mut command = self.inside(&self.component("kubectl"));
        command.args(["--kubeconfig", &self.kubeconfig("admin"), "get", "--raw", &watch]);
        let told = std::fs::File::create(self.blocks_watch()).unwrap();
        self.spawn("watch", command, told.into());
    }

    /// Where [`Self::watch_blocks`] writes.
    pub fn blocks_watch(&self) -> String {
        self.path("blocks.watch")
    }

    /// Starts a program whose messages are kept.
    fn spawn(&mut self, name: &str, mut command: Command, stdout: Stdio) -> usize {
        let log = std::fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        command.stdin(Stdio::null()).stdout(stdout).stderr(log);
        self.children.push(command.spawn().unwrap());
        self.children.len() - 1
    }

    fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.namespace)).arg(program);
        command
    }

    /// Kills a controller with SIGKILL and waits for its end.
    pub fn kill(&mut self, index: usize) {
        self.children[index].kill().unwrap();
        self.children[index].wait().unwrap();
    }

    /// Sends SIGKILL to a controller while others use the cluster.
    pub fn shoot(&self, index: usize) {
        let pid = i32::try_from(self.children[index].id()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    /// Runs kubectl.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        let mut command = self.inside(&self.component("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig("admin")).args(args);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs kubectl, which must succeed; returns what it printed.
    pub fn kubectl_ok(&self, args: &[&str]) -> String {
        let output = self.kubectl(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "kubectl {args:?}: {out}{err}");
        out
    }

    /// Applies a manifest; the answer is what kubectl says when the API server refuses.
    pub fn apply(&self, yaml: &str) -> Result<(), String> {
        let mut command = self.inside(&self.component("kubectl"));
        command.args(["--kubeconfig", &self.kubeconfig("admin"), "apply", "-f", "-"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.success() { Ok(()) } else { Err(text(&output.stderr)) }
    }

    /// The objects of a kind in every namespace.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        let json: Value = serde_json::from_str(&self.kubectl_ok(&["get", kind, "-A", "-o", "json"])).unwrap();
        json["items"].as_array().unwrap().clone()
    }

    /// One object, or null.
    pub fn get(&self, kind: &str, name: &str) -> Value {
        let output = self.kubectl(&["get", kind, name, "-o", "json"]);
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Waits until the condition holds three times in a row.
    pub fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut in_a_row = 0;
        while in_a_row < 3 {
            in_a_row = if holds(self) { in_a_row + 1 } else { 0 };
            assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where the API server writes its audit log.
    pub fn audit_log(&self) -> String {
        self.path("audit.log")
    }

    fn logs(&self) -> String {
        let mut logs = String::new();
        for entry in std::fs::read_dir(self.dir.path()).unwrap().flatten() {
            let path = entry.path();
            let is_log = path.extension().is_some_and(|e| e == "log") && !path.ends_with("audit.log");
            if is_log && !path.ends_with("etcd.log") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(15).collect();
                let lines: Vec<&str> = tail.into_iter().rev().collect();
                logs += &format!("--- {}\n{}\n", path.display(), lines.join("\n"));
            }
        }
        logs
    }

    fn kubeconfig(&self, user: &str) -> String {
        self.path(&format!("{user}.kubeconfig"))
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).status();
    }
}

fn kubeconfig(user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: t, cluster: {{server: 'https://127.0.0.1:6443', \
         insecure-skip-tls-verify: true}}}}]\nusers: [{{name: u, user: {{token: {user}}}}}]\n\
         contexts: [{{name: c, context: {{cluster: t, user: u}}}}]\ncurrent-context: c\n"
    )
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", text(&output.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
