//! The plugin as a runtime runs it, beside the agent's CNI server, in namespaces: one test per criterion of the research
//! digest, by its number, and a fault at every step.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails at its failed step and says why")]

mod add;
mod addresses;
mod chain;
mod check;
mod crash;
mod del;
mod flows;
mod gc;
mod judge;
mod limits;
mod node;
mod operator;
mod operator_service;
mod process;
mod programs;
mod shaped;
mod status;
