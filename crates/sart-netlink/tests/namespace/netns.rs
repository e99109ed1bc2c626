//! A network namespace that goes away with its guard, and sockets opened inside it.

use std::process::{Command, Output};

use nix::sched::{CloneFlags, setns};

/// A namespace named after the test and the process.
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes the namespace with loopback up; none (with the reason printed) when the test cannot make one.
    pub fn new(test: &str) -> Option<Self> {
        if sart_testkit::skips(sart_testkit::missing()) {
            return None;
        }
        let name = format!("{test}-{}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let netns = Self { name };
        netns.ip("link set lo up");
        Some(netns)
    }

    /// Runs `ip` inside.
    pub fn ip(&self, arguments: &str) -> String {
        self.run("ip", arguments)
    }

    /// Runs a program inside; its failure fails the test.
    pub fn run(&self, program: &str, arguments: &str) -> String {
        let mut all = vec!["netns", "exec", &self.name, program];
        all.extend(arguments.split_whitespace());
        String::from_utf8(run("ip", &all).stdout).unwrap()
    }

    /// Two interfaces `NAME0` with an address inside and `NAME1` as its far end, both up.
    pub fn link(&self, name: &str, address: &str) {
        self.ip(&format!("link add {name}0 type veth peer name {name}1"));
        self.ip(&format!("addr add {address} dev {name}0"));
        self.ip(&format!("link set {name}1 up"));
        self.ip(&format!("link set {name}0 up"));
    }

    /// Runs a future on a reactor whose thread lives in the namespace.
    pub fn block_on<T: Send>(&self, future: impl Future<Output = T> + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let file = std::fs::File::open(format!("/run/netns/{}", self.name)).unwrap();
                setns(file, CloneFlags::CLONE_NEWNET).unwrap();
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                runtime.enable_all().build().unwrap().block_on(future)
            });
            inside.join().unwrap()
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        run("ip", &["netns", "del", &self.name]);
    }
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output
}
