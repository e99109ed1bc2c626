//! Pod addresses of this node: which blocks it has, asks for and gives back, and the ledger that the CNI server draws from.
//! A block is used only after a read has confirmed its claim and its covering route stands; it is given back only after the
//! speaker has withdrawn it and the route is gone.

pub mod book;
mod error;
mod lost;
mod plan;
mod read;
mod requests;
mod routes;
mod task;
mod view;
mod watch;

pub use book::AddressBook;
pub use plan::{Desired, Progress, RequestWant, plan};
pub use task::{Wiring, spawn};
pub use view::{BlockFact, PodFact, RequestFact, Synced, View};

#[cfg(test)]
mod tests;
