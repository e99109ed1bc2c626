//! How long a question and its answer take between two pods of a node: redirected, and by the kernel's routing alone, in the
//! same run and in turns.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::paths::rules;
use super::*;

/// One way's times of a question with its answer.
#[derive(Debug, Default)]
struct Times(Vec<Duration>);

impl Times {
    fn percentile(&self, of_hundred: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() - 1) * of_hundred / 100]
    }

    fn json(&self) -> String {
        let micros = |percentile| self.percentile(percentile).as_nanos() as f64 / 1000.0;
        format!("{{\"p50_us\":{:.2},\"p90_us\":{:.2},\"samples\":{}}}", micros(50), micros(90), self.0.len())
    }
}

/// Appends a line of JSON to the file that the caller named, if one did.
fn record(line: &str) {
    let Some(path) = std::env::var_os("SART_BENCH_OUT") else { return };
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()).unwrap();
}

/// Client and server on one CPU: otherwise the scheduler's placement is what is measured.
fn pin() {
    let mut one = CpuSet::new();
    one.set(0).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
}

fn ask(to: SocketAddr, times: usize) -> Times {
    pin();
    let mut stream = dial(to).unwrap();
    (0..20).for_each(|_| ping(&mut stream, &[1]));
    let measured = (0..times).map(|_| {
        let start = Instant::now();
        ping(&mut stream, &[1]);
        start.elapsed()
    });
    Times(measured.collect())
}

/// Measures `rounds` of `times` questions each way, in turns; the redirected ones first.
fn measure(config: &Config, node: &Node, to: SocketAddr, (rounds, times): (usize, usize)) -> [Times; 2] {
    let (_dataplane, path) = node.attach(config);
    let (mut straight, mut routed) = (Times::default(), Times::default());
    for _ in 0..rounds {
        for (attached, all) in [(true, &mut straight), (false, &mut routed)] {
            let (path, ports) = (path.clone(), node.ports());
            node.inside(move || {
                for port in &ports {
                    if attached {
                        path.attach(port).unwrap();
                    } else {
                        path.detach(port).unwrap();
                    }
                }
            });
            all.0.extend(inside(&node.pods[0].netns, move || ask(to, times)).join().unwrap().0);
        }
    }
    [straight, routed]
}

/// Without netfilter, and with rules like kube-proxy's, which every node has.
fn compare(config: &Config, size: (usize, usize)) -> Vec<(String, [Times; 2])> {
    pin();
    let node = Node::up();
    echo(&node.pods[1]);
    let mut all = Vec::new();
    for netfilter in [false, true] {
        if netfilter {
            rules(&node);
        }
        for (family, to) in ["ipv4", "ipv6"].into_iter().zip(both(B)) {
            let case = format!("\"family\":\"{family}\",\"netfilter\":{netfilter}");
            all.push((case, measure(config, &node, (to, 8080).into(), size)));
        }
    }
    all
}

#[test]
#[ignore = "a measurement: cargo xtask bench pods"]
fn redirected_packets_take_no_longer_than_routed_ones() {
    alone(|config| {
        let all = compare(&config, (20, 2_000));
        for (case, [straight, routed]) in &all {
            let line = format!("{{{case},\"redirected\":{},\"routed\":{}}}", straight.json(), routed.json());
            println!("{line}");
            record(&line);
        }
        for (case, [straight, routed]) in all {
            let (straight, routed) = (straight.percentile(50), routed.percentile(50));
            assert!(straight <= routed, "{case}: redirected {straight:?}, routed {routed:?}");
        }
    });
}

/// Attaches and detaches a port; the times of each.
fn cycle(config: &Config, shaped: bool) -> [Times; 2] {
    let node = Node::up();
    let (_dataplane, path) = node.attach(config);
    let port = PodPort { shaped, ..node.ports().remove(0) };
    node.inside(move || {
        let (mut attached, mut detached) = (Times::default(), Times::default());
        for _ in 0..50 {
            let start = Instant::now();
            path.detach(&port).unwrap();
            detached.0.push(start.elapsed());
            // The kernel lets go of links of the multi-program chain later.
            std::thread::sleep(Duration::from_millis(100));
            let start = Instant::now();
            assert_eq!(path.attach(&port), Ok(PortProof::Bpf));
            attached.0.push(start.elapsed());
        }
        [attached, detached]
    })
}

#[test]
#[ignore = "a measurement: cargo xtask bench pods"]
fn attaching_as_filters_takes_less_than_as_links_of_the_chain() {
    alone(|config| {
        let [attached, detached] = cycle(&config, false);
        let line = format!("{{\"attach\":{},\"detach\":{}}}", attached.json(), detached.json());
        println!("{line}");
        record(&line);
        assert!(attached.percentile(50) < Duration::from_millis(5));
    });
    alone(|config| {
        let [attached, detached] = cycle(&config, true);
        let line = format!("{{\"attach_shaped\":{},\"detach\":{}}}", attached.json(), detached.json());
        println!("{line}");
        record(&line);
    });
}
