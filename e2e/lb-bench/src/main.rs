//! Measures what a user of a LoadBalancer waits for, on the running lab: from the API request to the UPDATE by packet
//! timestamps at a spine, and beside it the floor of the same run, when a plain watch client sees the change. It only
//! creates objects of its own namespace and removes them. A missed target ends it with an error, after its figures are out.

mod audit;
mod background;
mod capture;
mod cluster;
mod pcap;
mod report;
mod scenario;
mod update;

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use e2e::audit::Mark;

/// Time flips and creations of LoadBalancer Services on the lab.
#[derive(Parser)]
struct Args {
    /// Kubeconfig of the lab's administrator.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// A process in the network namespace of the spine at which the UPDATEs are captured.
    #[arg(long)]
    spine_pid: i32,
    /// Node whose endpoint flips.
    #[arg(long, default_value = "sart-worker")]
    node: String,
    /// Address of a pod on that node.
    #[arg(long)]
    pod_address: std::net::Ipv4Addr,
    /// Samples per figure.
    #[arg(long, default_value_t = 100)]
    samples: usize,
    /// Other Services that flip meanwhile in the loaded scenario; 0 leaves it out.
    #[arg(long, default_value_t = 500)]
    others: usize,
    /// Flips a second of the others together.
    #[arg(long, default_value_t = 50)]
    others_rate: u32,
    /// The API server's audit log, for the writes per Service.
    #[arg(long)]
    audit_log: PathBuf,
    /// Folder for lb.json and lb.svg.
    #[arg(long)]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let capture = capture::Capture::start(args.spine_pid)?;
    let cluster = cluster::Cluster::connect(&args.kubeconfig, &args.node, args.pod_address).await?;
    cluster.prepare().await.context("prepare the bench's namespace")?;
    let measured = measure(&args, &cluster, capture).await;
    let reported = measured.and_then(|measured| report::write(&measured, &args.out));
    // The namespace goes whether the run succeeded or not, so that a second run starts clean.
    let cleaned = cluster.clean_up().await.context("remove the bench's namespace");
    match (reported, cleaned) {
        (Err(error), Err(left)) => Err(error.context(format!("{left:#}; before that"))),
        (reported, cleaned) => reported.and(cleaned),
    }
}

async fn measure(
    args: &Args,
    cluster: &cluster::Cluster,
    mut capture: capture::Capture,
) -> anyhow::Result<report::Measured> {
    let flips = scenario::flips(cluster, &mut capture, args.samples).await?;
    let before = Mark::now(&args.audit_log)?;
    let creates = scenario::creates(cluster, &mut capture, args.samples).await?;
    let writes = audit::writes_per_service(&before, args.samples)?;
    let mut loaded = None;
    if args.others > 0 {
        let others = background::Others::create(cluster, args.others).await?;
        let running = others.flip(args.others_rate);
        loaded = Some(scenario::flips(cluster, &mut capture, args.samples).await?);
        running.stop().await?;
    }
    Ok(report::Measured { flips, creates, loaded, writes })
}
