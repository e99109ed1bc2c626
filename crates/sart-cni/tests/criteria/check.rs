//! Criteria 36 to 39: CHECK.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use sart_agent::cni::journal::{Gone, Record};
use sart_agent::cni::{PodPort, PodPorts, PortError, PortProof};
use serde_json::{Value, json};

use crate::addresses::Families;
use crate::chain::{missing, next};
use crate::node::{Container, MTU, Node, assert_reaches};
use crate::status::wait_for_connections;

#[test]
fn cni_criterion_36_check_needs_the_previous_result_and_compares_with_it() {
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    let result = node.added(&container);
    assert_eq!(node.call("CHECK", &container, &node.config()).error(), 7);
    node.check(&container, &result).silent();
    let mut other = result.clone();
    other["ips"][0]["address"] = json!("10.1.0.9/32");
    assert_eq!(node.check(&container, &other).error(), 124);
    assert_eq!(node.check(&node.container(), &result).error(), 110);
}

/// Ports that can be taken away.
struct Programs(AtomicBool);

impl PodPorts for Programs {
    fn attach(&self, _: &PodPort) -> Result<PortProof, PortError> {
        Ok(PortProof::Bpf)
    }

    fn detach(&self, _: &PodPort) -> Result<(), PortError> {
        Ok(())
    }

    fn check(&self, port: &PodPort) -> Result<PortProof, PortError> {
        if self.0.load(Ordering::SeqCst) {
            return Ok(PortProof::Bpf);
        }
        Err(PortError { link: port.link.clone(), message: "pod_in is not attached".into() })
    }

    fn ready(&self) -> Result<(), PortError> {
        Ok(())
    }
}

/// One thing broken, its code, and how it is mended.
struct Break {
    code: u64,
    break_it: Vec<String>,
    mend: Vec<String>,
    on_host: bool,
}

fn breaks(container: &Container, result: &Value) -> Vec<Break> {
    let link = container.link();
    let mac = |index: usize| result["interfaces"][index]["mac"].as_str().unwrap().to_owned();
    let (host, pod) = (mac(0), mac(1));
    let one = |code, on_host, break_it: &str, mend: &[&str]| Break {
        code,
        break_it: vec![break_it.to_owned()],
        mend: mend.iter().map(|line| (*line).to_owned()).collect(),
        on_host,
    };
    let default4 = "ip route add default via 169.254.1.1 dev eth0 onlink";
    let default6 = "ip -6 route add default via fe80::1 dev eth0";
    let gateway4 = format!("ip neigh replace 169.254.1.1 lladdr {host} dev eth0 nud permanent");
    let gateway6 = format!("ip neigh replace fe80::1 lladdr {host} dev eth0 nud permanent");
    let address6 = "ip address replace fd00:1::1/128 dev eth0 nodad";
    let up = "ip link set eth0 up";
    let host_up = format!("ip link set {link} up");
    let routes = [
        format!("ip route replace 10.1.0.1/32 dev {link} proto 188 metric 1024 scope link"),
        format!("ip -6 route replace fd00:1::1/128 dev {link} proto 188 metric 1024"),
        format!("ip neigh replace 10.1.0.1 lladdr {pod} dev {link} nud permanent"),
        format!("ip neigh replace fd00:1::1 lladdr {pod} dev {link} nud permanent"),
    ];
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    vec![
        one(
            115,
            false,
            "ip address del 10.1.0.1/32 dev eth0",
            &["ip address add 10.1.0.1/32 dev eth0", default4, &gateway4],
        ),
        one(115, false, "ip address del fd00:1::1/128 dev eth0", &[address6]),
        one(116, false, "ip route del default", &[default4]),
        one(116, false, "ip -6 route del default", &[default6]),
        one(117, false, "ip neigh del 169.254.1.1 dev eth0", &[&gateway4]),
        one(112, false, "ip link set eth0 down", &[up, address6, default4, default6, &gateway4, &gateway6]),
        one(114, false, "ip link set eth0 mtu 1400", &[&format!("ip link set eth0 mtu {MTU}")]),
        one(
            113,
            false,
            "ip link set eth0 address 02:00:00:00:00:99",
            &[&format!("ip link set eth0 address {pod}"), &gateway4, &gateway6],
        ),
        one(119, true, &format!("ip link set {link} down"), &[&[host_up.as_str()], &routes[..]].concat()),
        one(121, true, "ip route del 10.1.0.1/32", &routes[..1]),
        one(121, true, "ip -6 route del fd00:1::1/128", &routes[1..2]),
        one(125, true, &format!("ip neigh del 10.1.0.1 dev {link}"), &routes[2..3]),
    ]
}

#[test]
fn cni_criterion_37_each_mutation_fails_with_its_own_code_and_mending_it_passes() {
    let Some(mut node) = Node::idle(Families::Dual, 200) else { return };
    let programs = Arc::new(Programs(AtomicBool::new(true)));
    node.serve_with(None, Arc::clone(&programs) as Arc<dyn PodPorts>);
    let container = node.container();
    let result = node.added(&container);
    let mut codes = BTreeSet::new();
    for Break { code, break_it, mend, on_host } in breaks(&container, &result) {
        let run = |line: &String| {
            let words: Vec<&str> = line.split(' ').collect();
            if on_host { node.space.run(&words) } else { container.space.run(&words) }
        };
        break_it.iter().for_each(|line| drop(run(line).unwrap()));
        assert_eq!(node.check(&container, &result).error(), code, "{break_it:?}");
        // What went with it is put back as well, and what did not is there already.
        let mended: Vec<_> = mend.iter().map(run).collect();
        let said = node.check(&container, &result);
        assert_eq!(said.code, Some(0), "{break_it:?}, mended with {mended:?}: {said:?}");
        codes.insert(code);
    }
    programs.0.store(false, Ordering::SeqCst);
    assert_eq!(node.check(&container, &result).error(), 123);
    programs.0.store(true, Ordering::SeqCst);
    let held = node.addresses.lose(&container.key()).unwrap();
    assert_eq!(node.check(&container, &result).error(), 122);
    node.addresses.put_back(container.key(), held);
    node.check(&container, &result).silent();
    assert_eq!(codes.len(), 9);
}

#[test]
fn cni_criterion_37_a_swapped_or_missing_link_has_its_own_code() {
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    let result = node.added(&container);
    let mac = result["interfaces"][1]["mac"].as_str().unwrap();
    container.run(&["ip", "link", "set", "eth0", "down"]);
    container.run(&["ip", "link", "set", "eth0", "name", "eth1"]);
    assert_eq!(node.check(&container, &result).error(), 111);
    let mtu = MTU.to_string();
    container.run(&[
        "ip", "link", "add", "eth0", "address", mac, "mtu", &mtu, "type", "veth", "peer", "name", "far",
    ]);
    container.run(&["ip", "link", "set", "eth0", "up"]);
    assert_eq!(node.check(&container, &result).error(), 120);
    node.space.run(&["ip", "link", "del", &container.link()]).unwrap();
    assert_eq!(node.check(&container, &result).error(), 118);
}

#[test]
fn cni_criterion_38_what_later_plugins_add_does_not_matter_and_check_after_add_always_passes() {
    let Some(node) = Node::dual() else { return };
    for round in 0..20 {
        let container = node.container();
        let mut result = node.added(&container);
        node.check(&container, &result).silent();
        if round == 0 {
            container.run(&["ip", "address", "add", "192.0.2.77/32", "dev", "eth0"]);
            container.run(&["ip", "route", "add", "198.51.100.0/24", "dev", "eth0"]);
            result["interfaces"].as_array_mut().unwrap().push(json!({"name": "tap0", "sandbox": "/x"}));
            result["extra"] = json!({"key": 1});
            node.check(&container, &result).silent();
        }
        node.del(&container).silent();
    }
}

#[test]
fn cni_criterion_39_without_the_agent_check_says_try_again() {
    let Some(mut node) = Node::dual() else { return };
    let container = node.container();
    let result = node.added(&container);
    node.stop();
    assert_eq!(node.check(&container, &result).error(), 11);
    node.serve(None);
    node.check(&container, &result).silent();
}

#[test]
fn cni_criterion_38_a_mac_that_the_tuning_plugin_changed_is_followed_and_any_other_is_not() {
    if sart_testkit::skips(missing(&["tuning"])) {
        return;
    }
    let Some(mut node) = Node::dual() else { return };
    let container = node.container();
    let mut ours = node.config();
    // What Debian's plugins speak.
    ours["cniVersion"] = json!("1.0.0");
    let first = node.call("ADD", &container, &ours).result();
    let mut config = json!({
        "cniVersion": "1.0.0", "name": "sart-network", "type": "tuning", "prevResult": first, "mac": "02:00:00:00:00:99",
    });
    let last = next(&node, "ADD", &container, &config).result();
    assert_eq!(last["interfaces"][1]["mac"], "02:00:00:00:00:99");
    ours["prevResult"] = last.clone();
    for _ in 0..2 {
        node.call("CHECK", &container, &ours).silent();
    }
    config["prevResult"] = last;
    assert_eq!(next(&node, "CHECK", &container, &config).code, Some(0));
    // It is no mere word: packets find their way, in both directions and families.
    for (own, out) in [("10.1.0.1", "172.20.0.1"), ("fd00:1::1", "fd00:20::1")] {
        assert_reaches(&node.space, (&container.space, own));
        assert_reaches(&container.space, (node.router(), out));
    }
    // What the runtime remembers is what counts: not the result of before, not what somebody made of it since.
    ours["prevResult"] = first;
    assert_eq!(node.call("CHECK", &container, &ours).error(), 113);
    ours["prevResult"] = config["prevResult"].clone();
    node.stop();
    node.serve(None);
    node.call("CHECK", &container, &ours).silent();
    container.run(&["ip", "link", "set", "eth0", "address", "02:00:00:00:00:77"]);
    assert_eq!(node.call("CHECK", &container, &ours).error(), 113);
    node.del(&container).silent();
}

#[test]
fn a_pod_that_leaves_while_check_waits_to_follow_its_mac_does_not_come_back() {
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    let mut result = node.added(&container);
    container.run(&["ip", "link", "set", "eth0", "address", "02:00:00:00:00:99"]);
    result["interfaces"][1]["mac"] = json!("02:00:00:00:00:99");
    let (key, machine) = (container.key(), node.server.as_ref().unwrap().machine());
    let said = std::thread::scope(|scope| {
        let turn = machine.turns.take(&key, Instant::now() + Duration::from_secs(60)).unwrap();
        let checking = scope.spawn(|| node.check(&container, &result));
        let waits = wait_for_connections(&node, 1);
        // What a DEL has done when the kernel refuses to let the link go.
        let gone = Gone::new(key.clone(), machine.addresses.held(&key), SystemTime::now());
        machine.journal.append(Record::Gone(gone)).unwrap();
        drop(turn);
        waits.unwrap();
        checking.join().unwrap()
    });
    // Out of patience, where this process stood still for too long.
    assert!([110, 11].contains(&said.error()), "{said:?}");
    assert_eq!(machine.journal.get(&key), None);
    node.del(&container).silent();
}
