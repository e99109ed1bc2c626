//! Tells a person on stderr what is going on and how long it took. Never writes to stdout, which belongs to results.

use std::io::Write as _;
use std::time::Instant;

/// One line of progress.
pub fn say(line: &str) {
    let mut stderr = std::io::stderr().lock();
    // A closed stderr must not stop the work it would have described.
    let _ = writeln!(stderr, "{line}");
}

/// A piece of work that names itself when it ends, with its duration.
#[derive(Debug)]
pub struct Step {
    name: String,
    started: Instant,
}

impl Step {
    /// Starts the clock of a step; nothing is printed yet.
    pub fn start(name: impl Into<String>) -> Self {
        Self { name: name.into(), started: Instant::now() }
    }

    /// Prints the step with its duration and, if not empty, what came of it.
    pub fn done(self, outcome: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        let Self { name, .. } = self;
        if outcome.is_empty() {
            say(&format!("  {name}: {seconds:.1} s"));
        } else {
            say(&format!("  {name}: {outcome}, {seconds:.1} s"));
        }
    }
}
