//! The tables by hand: import, choice, export and what follows from each change.

mod choice;
mod criteria;
mod exchange;
mod import_rules;
mod leaks;
mod limit;
mod policy;
mod several;
pub(super) mod stage;
mod tracking;
