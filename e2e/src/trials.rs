//! Trials: what must hold while parts of sart are killed, replaced or deprived, shown on a lab that runs the samples.
//! Each one leaves the lab as it found it, or says that it could not.

mod agent;
mod apidown;
mod audit;
mod families;
mod leader;
mod load;
mod node;
mod pods;
mod restart;
mod sart;

use anyhow::{Result, anyhow, bail};

use crate::Lab;
use crate::lab::topology::PodNetwork;

/// One trial.
pub struct Trial {
    /// Name on the command line.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub shows: &'static str,
    /// Whether it needs a lab whose pods get their network from sart (`lab up --dual`).
    needs_pods: bool,
    run: fn(&Lab) -> Result<String>,
}

/// Every trial, in the order in which they run.
pub const TRIALS: &[Trial] = &[
    Trial {
        name: "agent-kill",
        shows: "killing every agent with -9 during 2,000 requests to a Local VIP loses none",
        needs_pods: false,
        run: agent::kill,
    },
    Trial {
        name: "agent-roll",
        shows: "rolling the agents to a second image during 2,000 requests to a Local VIP loses none",
        needs_pods: false,
        run: agent::roll,
    },
    Trial {
        name: "no-bpf",
        shows: "without CAP_BPF traffic flows, the condition says why, and only serving nodes announce",
        needs_pods: false,
        run: agent::without_bpf,
    },
    Trial {
        name: "restart-quiet",
        shows: "killing controller, agents and route managers with -9 while nothing changes costs no write to a Service and no UPDATE",
        needs_pods: false,
        run: restart::quiet,
    },
    Trial {
        name: "leader-kill",
        shows: "killing the leading controller during 200 creations and deletions gives no VIP two owners and leaks none",
        needs_pods: false,
        run: leader::kill,
    },
    Trial {
        name: "api-down",
        shows: "while the API server hangs or is gone, pods start and start again with addresses claimed before, and leave; \
                without the agent as well, DEL succeeds and ADD says to try again (lab up --dual)",
        needs_pods: true,
        run: apidown::down,
    },
    Trial {
        name: "pod-churn",
        shows: "200 pods in waves of 60 with agents and controller killed: one holder per address, and nothing left (lab up --dual)",
        needs_pods: true,
        run: pods::churn,
    },
    Trial {
        name: "node-loss",
        shows: "a lost node's block is nobody else's while its route stands, nor before the quarantine is over (lab up --dual)",
        needs_pods: true,
        run: node::loss,
    },
    Trial {
        name: "families",
        shows: "pods of both families and of IPv6 alone reach each other through FRR and serve Services (lab up --dual)",
        needs_pods: true,
        run: families::both,
    },
];

const OF_THE_LAB: &str = "this lab gives pods their network itself; make one with `lab up --dual`";

/// The trials that need a lab whose pods get their network from sart.
pub fn of_pods() -> Vec<String> {
    TRIALS.iter().filter(|trial| trial.needs_pods).map(|trial| trial.name.to_owned()).collect()
}

/// Runs the trials whose names are given, or all that this lab is made for.
///
/// # Errors
/// If a name is unknown, or a trial failed: the message names each.
pub fn run(lab: &Lab, names: &[String], mut say: impl FnMut(&str)) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !TRIALS.iter().any(|trial| trial.name == **name)) {
        bail!("there is no trial {unknown}; there are {}", names_of_all());
    }
    let mut failed = Vec::new();
    for trial in TRIALS.iter().filter(|trial| names.is_empty() || names.iter().any(|name| name == trial.name))
    {
        say(&format!("trial {}: {}", trial.name, trial.shows));
        let lacks_pods = trial.needs_pods && lab.topology.pods != PodNetwork::Sart;
        if lacks_pods && names.is_empty() {
            say(&format!("  skipped: {OF_THE_LAB}"));
            continue;
        }
        let ran = if lacks_pods { Err(anyhow!(OF_THE_LAB)) } else { (trial.run)(lab) };
        match ran {
            Ok(figure) => say(&format!("  passed: {figure}")),
            Err(error) => {
                say(&format!("  FAILED: {error:#}"));
                failed.push(trial.name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("trials failed: {}", failed.join(", ")) }
}

fn names_of_all() -> String {
    TRIALS.iter().map(|trial| trial.name).collect::<Vec<_>>().join(", ")
}
