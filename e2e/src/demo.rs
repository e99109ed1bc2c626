//! The guided tour of the main job on the lab: installs sart, applies the samples, checks every step, and sums up.
//! The order and what depends on what is decided here; what each check means is in its own file.

pub mod context;
mod install;
mod kernel;
mod objects;
mod podpath;
mod pods;
mod report;
mod routes;
mod traffic;

pub use report::{Outcome, Report, Row};

use crate::lab::layout::Layout;
use crate::lab::{self, Lab};
use crate::progress::say;
use crate::{artifacts, interrupt};
use anyhow::Result;
use context::Context;
use std::path::PathBuf;
use std::time::Instant;

/// What the demo runs on and with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the lab lives.
    pub layout: Layout,
    /// The lab to bring up if none is.
    pub lab: lab::Options,
    /// Our images, loaded into every node.
    pub images: Vec<PathBuf>,
    /// The checkout: `manifests/` and `e2e/overlay` are below it.
    pub workspace: PathBuf,
    /// Leave the lab up afterwards.
    pub keep: bool,
    /// Only the checks whose name contains one of these; all if there is none.
    pub only: Vec<String>,
}

/// One step of the demo.
struct Check {
    name: &'static str,
    /// Whether what follows makes no sense without it.
    essential: bool,
    run: fn(&Context) -> Result<String>,
}

impl Check {
    /// A check of the mode `dual` only.
    const fn of_pods(name: &'static str, run: fn(&Context) -> Result<String>) -> Self {
        Self { name, essential: false, run }
    }
}

/// What holds only where sart gives pods their network, run after the check of this name.
const POD_CHECKS: [(&str, &[Check]); 2] = [
    (
        "the samples are accepted",
        &[Check {
            name: "the nodes become Ready by sart's plugin",
            essential: true,
            run: pods::nodes_become_ready,
        }],
    ),
    (
        "the test servers run",
        &[
            Check { name: "pods of both pools run", essential: true, run: pods::pods_run },
            Check::of_pods("each node has its block and announces it", pods::each_node_has_its_block),
            Check::of_pods("every pod is in a block of its node", pods::pods_are_in_their_nodes_blocks),
            Check::of_pods("pod and namespace choose the pool", pods::annotations_choose_the_pool),
            Check::of_pods("every pod reaches every other one", pods::every_pod_reaches_every_other),
            Check::of_pods("a forged source is dropped and counted", podpath::forged_sources_are_dropped),
            Check::of_pods("pods of a node talk past the stack", podpath::pods_of_a_node_talk_past_the_stack),
        ],
    ),
];

const CHECKS: [Check; 19] = [
    Check { name: "sart is installed", essential: true, run: install::apply },
    Check {
        name: "controller, agents and speakers are available",
        essential: true,
        run: install::workloads_are_available,
    },
    Check { name: "the samples are accepted", essential: true, run: install::samples_are_accepted },
    Check {
        name: "each node has its NodeBGP with its AS number",
        essential: false,
        run: objects::each_node_has_its_node_bgp,
    },
    Check {
        name: "all peers are Established, says Kubernetes",
        essential: false,
        run: objects::peers_are_established,
    },
    Check {
        name: "all peers are Established, say the spines",
        essential: false,
        run: routes::spines_see_every_node,
    },
    Check { name: "each pool has its block", essential: false, run: objects::pools_have_their_blocks },
    Check { name: "the test servers run", essential: true, run: install::test_servers_are_available },
    Check {
        name: "Services get 10.0.1.0, 10.0.1.1, 10.0.100.20",
        essential: true,
        run: objects::services_get_their_addresses,
    },
    Check {
        name: "kubectl prints the article's columns",
        essential: false,
        run: objects::columns_are_the_articles,
    },
    Check {
        name: "exactly the VIPs stand in the routers' tables",
        essential: false,
        run: routes::tables_hold_exactly_the_vips,
    },
    Check {
        name: "no node passes on what a spine sent",
        essential: false,
        run: routes::no_node_is_a_transit,
    },
    Check {
        name: "the client reaches every Cluster VIP",
        essential: false,
        run: traffic::cluster_vips_answer,
    },
    Check {
        name: "the Local VIP keeps the client's address",
        essential: false,
        run: traffic::local_vip_keeps_the_client,
    },
    Check {
        name: "the last local pod takes its node's route along",
        essential: false,
        run: routes::routes_follow_local_pods,
    },
    Check {
        name: "the Local VIP goes through the maps only",
        essential: false,
        run: kernel::maps_forward_the_local_vip,
    },
    Check { name: "programs hang on pinned links", essential: false, run: kernel::links_are_pinned },
    Check {
        name: "a replaced pod leaves nothing behind",
        essential: false,
        run: kernel::a_replaced_pod_leaves_nothing,
    },
    Check { name: "datagrams to a Local VIP come back", essential: false, run: kernel::datagrams_come_back },
];

/// Runs the demo; the report says what held. A lab that was up before stays up.
///
/// # Errors
/// If the lab itself cannot be brought up or removed.
pub fn run(options: &Options) -> Result<Report> {
    let held = lab::hold(&options.layout)?;
    let reused = Lab::find(&options.layout).is_ok();
    if !reused {
        let layout = options.layout.clone();
        interrupt::clean_up_on_interrupt(move || {
            if let Err(error) = lab::down(&layout) {
                say(&format!("{error:#}"));
            }
        })?;
    }
    let lab = up_or_gone(options)?;
    lab.import(&options.images)?;
    let context = Context::new(lab, options.workspace.clone(), reused)?;
    let report = check_all(&context, &options.only);
    if !report.passed() {
        let folder = artifacts::keep(&context.lab)?;
        say(&format!("logs and dumps are in {}", folder.display()));
    }
    if options.keep || reused {
        say("the lab stays up; `cargo xtask lab down` removes it");
    } else {
        lab::down(&options.layout)?;
    }
    drop(held);
    Ok(report)
}

/// A lab that does not come up leaves its logs, and nothing else.
fn up_or_gone(options: &Options) -> Result<Lab> {
    let failure = match Lab::up(&options.layout, &options.lab) {
        Ok(lab) => return Ok(lab),
        Err(error) => error,
    };
    let folder = artifacts::keep_logs(&options.layout)?;
    lab::down(&options.layout)?;
    Err(failure.context(format!("the lab does not come up; its logs are in {}", folder.display())))
}

/// Every check, in order.
fn checks(dual: bool) -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().flat_map(move |check| {
        let behind = POD_CHECKS.iter().find(|(name, _)| dual && *name == check.name);
        std::iter::once(check).chain(behind.map_or(&[][..], |(_, more)| more))
    })
}

fn check_all(context: &Context, only: &[String]) -> Report {
    let mut report = Report::default();
    let mut broken = None;
    let wanted =
        |check: &&Check| only.is_empty() || only.iter().any(|part| check.name.contains(part.as_str()));
    for check in checks(context.dual()).filter(wanted) {
        let started = Instant::now();
        let outcome = match broken {
            Some(name) => Outcome::NotRun(name),
            None => {
                (check.run)(context).map_or_else(|error| Outcome::Failed(format!("{error:#}")), Outcome::Held)
            }
        };
        if check.essential && matches!(outcome, Outcome::Failed(_)) {
            broken = Some(check.name);
        }
        let row = Row { name: check.name, outcome, took: started.elapsed() };
        say(&row.to_string());
        report.rows.push(row);
    }
    report
}
