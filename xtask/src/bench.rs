//! `cargo xtask bench`: measurements on the real thing, beside their floor or a peer of the same run. Starts the measuring
//! program with what it needs of the lab; judges nothing.

use anyhow::{Context as _, Result};
use e2e::lab::topology::SPINES;
use e2e::{Lab, exec};
use serde_json::Value;

use crate::run::{checked, command};
use crate::source::root;

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// A LoadBalancer from the API request to the UPDATE at a spine, on a lab that is up with the samples
    /// (`cargo xtask demo --keep`).
    Lb {
        /// Samples per figure.
        #[arg(long, default_value_t = 100)]
        samples: usize,
        /// Other Services that flip meanwhile; 0 leaves the loaded scenario out.
        #[arg(long, default_value_t = 500)]
        others: usize,
    },
    /// Packets between two pods of a node, redirected and routed in turns, and the time to attach a pod; as root.
    Pods,
    /// ADD and DEL of the CNI plugin beside Debian's ptp and bridge, in namespaces of its own; as root.
    Cni {
        /// Rounds one at a time; a quarter of them several at once.
        #[arg(long, default_value_t = 100)]
        samples: usize,
    },
    /// The speaker beside BIRD, FRR and GoBGP under the same loads, in namespaces of its own; as root.
    Bgp(Bgp),
}

/// What to measure of the speaker.
#[derive(Debug, clap::Args)]
struct Bgp {
    /// Prefixes of the big loads.
    #[arg(long, default_value_t = 1_000_000)]
    scale: u32,
    /// Only these cases (repeatable): idle, one, four, fan, mesh, hold.
    #[arg(long, value_name = "CASE")]
    only: Vec<String>,
    /// Only these speakers, comma separated: sart, bird, frr, gobgp. Without it all that are installed; GoBGP only at
    /// small scales, since it takes minutes for a million prefixes.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Runs of each case.
    #[arg(long, default_value_t = 3)]
    repeat: u32,
}

/// Runs the task.
pub fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Lb { samples, others } => lb(*samples, *others),
        What::Cni { samples } => cni(*samples),
        What::Bgp(args) => bgp(args),
        What::Pods => pods(),
    }
}

/// The measurements are tests of the agent that `cargo test` leaves out.
fn pods() -> Result<()> {
    crate::build_ebpf::run()?;
    let out = root().join("target/bench");
    std::fs::create_dir_all(&out).with_context(|| format!("make {}", out.display()))?;
    let file = out.join("pods.jsonl");
    let words = ["test", "--release", "--quiet", "--package", "sart-agent", "--test", "bpf_dataplane", "--"];
    let mut bench = command("cargo", &words);
    bench.args(["--ignored", "--nocapture", "--test-threads=1", "pods::latency"]);
    checked(bench.env("SART_REQUIRE_ALL", "1").env("SART_BENCH_OUT", file))
}

/// The plugin as it ships: optimised and static, since what a runtime pays is above all its start.
fn cni(samples: usize) -> Result<()> {
    let static_binaries = crate::image::binaries(&["sart-cni"])?;
    checked(&mut command("cargo", &["build", "--quiet", "--release", "--package", "cni-bench"]))?;
    let mut bench = command(&target().join("release/cni-bench").display().to_string(), &[]);
    bench.arg("--plugin").arg(static_binaries.join("sart-cni")).arg("--out").arg(root().join("target/bench"));
    checked(bench.args(["--samples", &samples.to_string()]))
}

fn bgp(args: &Bgp) -> Result<()> {
    checked(&mut command(
        "cargo",
        &["build", "--quiet", "--release", "--package", "bgp-bench", "--package", "sart-bgpd"],
    ))?;
    let release = target().join("release");
    let mut bench = command(&release.join("bgp-bench").display().to_string(), &[]);
    bench.arg("--sart").arg(release.join("sart-bgpd")).arg("--out").arg(root().join("target/bench"));
    bench.args(["--scale", &args.scale.to_string(), "--repeat", &args.repeat.to_string()]);
    for case in &args.only {
        bench.args(["--only", case]);
    }
    if !args.peers.is_empty() {
        bench.args(["--peers", &args.peers.join(",")]);
    }
    checked(&mut bench)
}

fn lb(samples: usize, others: usize) -> Result<()> {
    let lab = Lab::find(&crate::lab::layout())?;
    checked(&mut command("cargo", &["build", "--quiet", "--release", "--package", "lb-bench"]))?;
    let spine = SPINES.first().context("the lab has no spine")?;
    let (node, address) = pod_of_a_worker(&lab)?;
    let first = lab.topology.control_plane().context("the lab has no control plane")?;
    let mut bench = lab.machine(&first.name)?.network_command(target().join("release/lb-bench"));
    bench
        .arg("--kubeconfig")
        .arg(lab.layout.kubeconfig("admin"))
        .args(["--spine-pid", &lab.machine(spine.name)?.init.pid.to_string()])
        .args(["--node", &node, "--pod-address", &address])
        .args(["--samples", &samples.to_string(), "--others", &others.to_string()])
        .arg("--audit-log")
        .arg(lab.layout.file("audit.log"))
        .arg("--out")
        .arg(root().join("target/bench"));
    match exec::interactive(&mut bench)? {
        0 => Ok(()),
        code => anyhow::bail!("the bench ended with {code}"),
    }
}

/// Where cargo puts what it builds.
fn target() -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into)
}

/// A worker and the address of a pod that runs there with a network of its own.
fn pod_of_a_worker(lab: &Lab) -> Result<(String, String)> {
    let pods = lab.kubectl()?.json(&["-n", "test", "get", "pods"])?;
    let items = pods.get("items").and_then(Value::as_array).context("no pods in namespace test")?;
    let text = |pod: &Value, path: &str| pod.pointer(path).and_then(Value::as_str).map(str::to_owned);
    items
        .iter()
        .filter_map(|pod| Some((text(pod, "/spec/nodeName")?, text(pod, "/status/podIP")?)))
        .find(|(node, _)| node.contains("worker"))
        .context("no pod of the samples runs on a worker; apply them first (`cargo xtask demo --keep`)")
}
