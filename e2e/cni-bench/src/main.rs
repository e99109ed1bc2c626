//! ADD and DEL as a runtime sees them: from the plugin's start to its end, sart beside Debian's ptp and bridge with host-local,
//! one after the other in each round, then several at once. Everything happens in namespaces that go with the program.

mod contender;
mod ledger;
mod report;
mod round;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use sart_agent::cni::{PlainRouting, Server, Settings};
use sart_testkit::Namespace;

use crate::contender::Contender;

/// Measures CNI plugins side by side.
#[derive(Debug, Parser)]
struct Args {
    /// The plugin of sart.
    #[arg(long)]
    plugin: PathBuf,
    /// Folder of Debian's plugins (package containernetworking-plugins).
    #[arg(long, default_value = "/usr/lib/cni")]
    peers: PathBuf,
    /// Rounds one at a time; a quarter of them is run several at once.
    #[arg(long, default_value_t = 100)]
    samples: usize,
    /// How many at once.
    #[arg(long, default_value_t = 8)]
    parallel: usize,
    /// Folder for `cni.json` and `cni.svg`.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let node = Namespace::new("cni-bench-node")?;
    let beyond = Namespace::new("cni-bench-up")?;
    node.link(("eth0", &["172.20.0.2/24"]), &beyond, ("down0", &["172.20.0.1/24"]))?;
    node.run(&["ip", "route", "add", "default", "via", "172.20.0.1"])?;
    let folder = tempfile::tempdir()?;
    let contenders = [
        Contender::sart(&args.plugin, folder.path()),
        Contender::debian("ptp", &args.peers, folder.path()),
        Contender::debian("bridge", &args.peers, folder.path()),
    ];
    for contender in &contenders {
        anyhow::ensure!(contender.program.is_file(), "{} is missing", contender.program.display());
    }
    let measured = node.enter(|| {
        let settings = Settings {
            socket: folder.path().join("cni.sock"),
            state: folder.path().join("state"),
            metrics: sart_agent::cni::Metrics::default(),
            fault: None,
        };
        let ports = Arc::new(PlainRouting { why: "a bench of the control path".into() });
        let _server = Server::start(settings, Arc::new(ledger::Blocks::new()?), ports)?;
        round::measure(&contenders, args.samples, args.parallel)
    });
    report::write(&measured.context("measure")?, &args.out)
}
