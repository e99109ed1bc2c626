//! The whole way of a route: two FRR spines, `sart-bgpd`, `sart-fibd`, the kernel.
#![expect(clippy::unwrap_used, reason = "a test fails at its failed step and says why it was skipped")]

use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const FRR: &str = "/usr/lib/frr/bgpd";

/// A node and two spines, each a namespace; everything ends with it.
struct Fabric {
    name: String,
    folder: TempDir,
    processes: Vec<(String, Child)>,
}

impl Fabric {
    fn new(test: &str) -> Option<Self> {
        if sart_testkit::skips(sart_testkit::missing_with_frr()) {
            return None;
        }
        let name = format!("{test}-{}", std::process::id());
        let fabric = Self { name, folder: tempfile::tempdir().unwrap(), processes: Vec::new() };
        for part in ["node", "s0", "s1"] {
            run("ip", &["netns", "add", &fabric.netns(part)]);
            fabric.inside(part, "ip link set lo up");
        }
        for index in 0..2 {
            let spine = format!("s{index}");
            let far = fabric.netns(&spine);
            fabric.inside("node", &format!("ip link add up{index} type veth peer name eth netns {far}"));
            fabric.inside("node", &format!("ip addr add 10.9.{index}.1/24 dev up{index}"));
            fabric.inside("node", &format!("ip link set up{index} up"));
            fabric.inside(&spine, &format!("ip addr add 10.9.{index}.2/24 dev eth"));
            fabric.inside(&spine, "ip link set eth up");
        }
        Some(fabric)
    }

    fn netns(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn inside(&self, part: &str, command: &str) -> String {
        let netns = self.netns(part);
        let mut all = vec!["netns", "exec", &netns];
        all.extend(command.split_whitespace());
        String::from_utf8(run("ip", &all).stdout).unwrap()
    }

    fn spawn(&mut self, part: &str, program: &str, arguments: &[&str]) {
        let child = Command::new("ip")
            .args(["netns", "exec", &self.netns(part), program])
            .args(arguments)
            .spawn()
            .unwrap();
        self.processes.push((format!("{part} {program}"), child));
    }

    fn kill(&mut self, name: &str) {
        let at = self.processes.iter().position(|(known, _)| known == name).unwrap();
        let (_, mut child) = self.processes.remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A spine that announces 10.0.1.0/32 and a prefix of its own, with the given next hop.
    fn spine(&mut self, index: u32, next_hop: &str) {
        let (spine, file) = (format!("s{index}"), self.path(&format!("s{index}.conf")));
        let config = format!(
            "router bgp {asn}\n bgp router-id 10.9.{index}.2\n no bgp ebgp-requires-policy\n no bgp network \
             import-check\n timers bgp 1 3\n neighbor 10.9.{index}.1 remote-as 65100\n neighbor 10.9.{index}.1 timers \
             connect 1\n address-family ipv4 unicast\n  network 10.0.1.0/32\n  network 10.0.2.{index}/32\n  neighbor \
             10.9.{index}.1 route-map OUT out\n exit-address-family\nroute-map OUT permit 10\n set ip next-hop \
             {next_hop}\n",
            asn = 65000 + index
        );
        std::fs::write(&file, config).unwrap();
        let sockets = self.path(&format!("s{index}"));
        std::fs::create_dir(&sockets).unwrap();
        let sockets = sockets.display().to_string();
        let arguments = [
            "-f",
            &file.display().to_string(),
            "-i",
            &format!("{sockets}/pid"),
            "-z",
            &format!("{sockets}/zebra"),
            "--vty_socket",
            &sockets,
            "-P",
            "0",
            "-Z",
            "-S",
            "--log",
            "stdout",
            "--log-level",
            "errors",
        ];
        self.spawn(&spine, FRR, &arguments);
    }

    fn node(&mut self) {
        let (bgp, fib) = (self.path("bgp.yaml"), self.path("fib.yaml"));
        let neighbor = |index: u32| {
            format!(
                "- name: spine{index}\n  address: 10.9.{index}.2\n  asn: {}\n  router_id: 10.9.{index}.2\n",
                65000 + index
            )
        };
        let neighbors = neighbor(0) + &neighbor(1);
        std::fs::write(
            &bgp,
            format!("asn: 65100\nrouter_id: 10.9.0.1\nmulti_path: true\nneighbors:\n{neighbors}"),
        )
        .unwrap();
        let socket = self.path("bgpd.sock").display().to_string();
        std::fs::write(
            &fib,
            format!(
                "channels:\n- name: bgp-to-kernel\n  ip_version: ipv4\n  subscribers:\n  - protocol: bgp\n    endpoint: \
                 {socket}\n  publishers:\n  - protocol: kernel\n    tables: [254]\n"
            ),
        )
        .unwrap();
        let (bgp, fib) = (bgp.display().to_string(), fib.display().to_string());
        let api = self.path("fibd.sock").display().to_string();
        self.spawn("node", env!("CARGO_BIN_EXE_sart-bgpd"), &["-f", &bgp, "--api", &socket]);
        self.spawn("node", env!("CARGO_BIN_EXE_sart-fibd"), &["-f", &fib, "--api", &api]);
    }

    fn ours(&self) -> String {
        self.inside("node", "ip -o route show proto bgp")
    }

    fn eventually(&self, what: &str, condition: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let routes = self.ours();
            if condition(&routes) {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}; the node has:\n{routes}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        for (_, child) in &mut self.processes {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        for part in ["node", "s0", "s1"] {
            run("ip", &["netns", "del", &self.netns(part)]);
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output
}

#[test]
fn routes_of_two_spines_become_one_multipath_route_and_leave_with_their_spine() {
    let Some(mut fabric) = Fabric::new("fib-frr") else { return };
    // The second spine sends its loopback as next hop, as spines do; a static route leads there.
    fabric.inside("node", "ip route add 9.9.9.9/32 via 10.9.1.2");
    fabric.spine(0, "10.9.0.2");
    fabric.spine(1, "9.9.9.9");
    fabric.node();
    let two_legs = |routes: &str| {
        routes.lines().any(|line| {
            line.starts_with("10.0.1.0 ")
                && line.contains("nexthop via 10.9.0.2 dev up0")
                && line.contains("nexthop via 10.9.1.2 dev up1")
        })
    };
    fabric.eventually("two legs", two_legs);
    fabric.eventually("each spine's own prefix", |routes| {
        routes.contains("10.0.2.0 via 10.9.0.2") && routes.contains("10.0.2.1 via 10.9.1.2")
    });
    fabric.kill(&format!("s1 {FRR}"));
    fabric.eventually("one leg", |routes| {
        routes.contains("10.0.1.0 via 10.9.0.2 dev up0") && !routes.contains("10.0.2.1")
    });
    // Without its speaker the route manager changes nothing.
    fabric.kill(&format!("node {}", env!("CARGO_BIN_EXE_sart-bgpd")));
    std::thread::sleep(Duration::from_millis(300));
    assert!(fabric.ours().contains("10.0.1.0 via 10.9.0.2"));
}
