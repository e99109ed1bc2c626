//! Speakers joined by simulated links: what they agree on, what they tell each other, and what they must not.

mod convergence;
mod features;
mod hostile;
mod lab;
mod leaving;
mod limits;
mod lossy;
mod path_rules;
mod regressions;
mod session_rules;
mod tracking;
