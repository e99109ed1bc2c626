//! The serving proof, against the rules that iptables-nft and nft write.

use std::net::IpAddr;
use std::time::Duration;

use sart_netlink::{Protocol, ServiceRules, ServiceRulesWatcher};

use crate::netns::Netns;

async fn change(watcher: &mut ServiceRulesWatcher) -> ServiceRules {
    tokio::time::timeout(Duration::from_secs(30), watcher.changed()).await.unwrap().unwrap();
    watcher.snapshot().await.unwrap()
}

fn at(address: &str) -> IpAddr {
    address.parse().unwrap()
}

#[test]
fn a_service_in_the_rules_of_iptables_mode_is_served_until_its_rule_goes() {
    let Some(netns) = Netns::new("nft-iptables") else { return };
    for chain in ["KUBE-SERVICES", "KUBE-EXT-X", "KUBE-SVC-Y"] {
        netns.run("iptables", &format!("-t nat -N {chain}"));
    }
    netns.block_on(async {
        let mut watcher = ServiceRulesWatcher::open().unwrap();
        assert!(watcher.snapshot().await.unwrap().is_empty());
        let comment = "-m comment --comment default/web:http-loadbalancer-IP";
        let tcp = format!("KUBE-SERVICES -d 10.0.1.0/32 -p tcp {comment} -m tcp --dport 80 -j KUBE-EXT-X");
        netns.run("iptables", &format!("-t nat -A {tcp}"));
        let rules = change(&mut watcher).await;
        assert!(rules.contains(at("10.0.1.0"), 80, Protocol::Tcp));
        assert!(!rules.contains(at("10.0.1.0"), 80, Protocol::Udp));
        assert!(!rules.contains(at("10.0.1.0"), 81, Protocol::Tcp));
        assert!(!rules.contains(at("10.0.1.1"), 80, Protocol::Tcp));
        netns
            .run("iptables", "-t nat -A KUBE-SERVICES -d 10.0.1.1/32 -p udp -m udp --dport 53 -j KUBE-SVC-Y");
        assert!(change(&mut watcher).await.contains(at("10.0.1.1"), 53, Protocol::Udp));
        netns.run("iptables", &format!("-t nat -D {tcp}"));
        let rules = change(&mut watcher).await;
        assert!(!rules.contains(at("10.0.1.0"), 80, Protocol::Tcp));
        assert_eq!(rules.len(), 1);
    });
}

#[test]
fn rules_that_do_not_serve_one_address_and_port_prove_nothing() {
    let Some(netns) = Netns::new("nft-inexact") else { return };
    for chain in ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-SVC-Y", "OTHER"] {
        netns.run("iptables", &format!("-t nat -N {chain}"));
    }
    for rule in [
        "KUBE-SERVICES -d 10.0.2.0/24 -p tcp -m tcp --dport 80 -j KUBE-SVC-Y",
        "KUBE-SERVICES -d 10.0.2.0/27 -p tcp -m tcp --dport 80 -j KUBE-SVC-Y",
        "KUBE-SERVICES ! -d 10.0.2.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-Y",
        "KUBE-SERVICES -d 10.0.2.2/32 -p tcp -m tcp --dport 80:90 -j KUBE-SVC-Y",
        "KUBE-SERVICES -d 10.0.2.3/32 -p tcp -m tcp ! --dport 80 -j KUBE-SVC-Y",
        "KUBE-SERVICES -d 10.0.2.4/32 -p tcp -m tcp --dport 80 -j OTHER",
        "KUBE-SERVICES -d 10.0.2.5/32 -p tcp -m tcp --sport 80 -j KUBE-SVC-Y",
        "KUBE-SERVICES -s 10.0.2.6/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-Y",
        "KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
        "OTHER -d 10.0.2.7/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-Y",
    ] {
        netns.run("iptables", &format!("-t nat -A {rule}"));
    }
    netns.block_on(async {
        let mut watcher = ServiceRulesWatcher::open().unwrap();
        assert_eq!(watcher.snapshot().await.unwrap(), ServiceRules::default());
    });
}

#[test]
fn a_service_in_the_rules_of_ip6tables_is_served() {
    let Some(netns) = Netns::new("nft-ip6tables") else { return };
    for chain in ["KUBE-SERVICES", "KUBE-EXT-X"] {
        netns.run("ip6tables", &format!("-t nat -N {chain}"));
    }
    netns.run("ip6tables", "-t nat -A KUBE-SERVICES -d fd00::1/128 -p tcp -m tcp --dport 443 -j KUBE-EXT-X");
    netns.block_on(async {
        let mut watcher = ServiceRulesWatcher::open().unwrap();
        let rules = watcher.snapshot().await.unwrap();
        assert!(rules.contains(at("fd00::1"), 443, Protocol::Tcp));
        assert_eq!(rules.len(), 1);
    });
}

#[test]
fn a_service_in_the_map_of_nftables_mode_is_served_until_its_element_goes() {
    let Some(netns) = Netns::new("nft-native") else { return };
    for (family, address) in [("ip", "ipv4_addr"), ("ip6", "ipv6_addr")] {
        netns.run("nft", &format!("add table {family} kube-proxy"));
        netns.run("nft", &format!("add chain {family} kube-proxy external-web"));
        let key = format!("{{ type {address} . inet_proto . inet_service : verdict ; }}");
        netns.run("nft", &format!("add map {family} kube-proxy service-ips {key}"));
    }
    netns.block_on(async {
        let mut watcher = ServiceRulesWatcher::open().unwrap();
        let v4 = "element ip kube-proxy service-ips { 10.0.1.0 . tcp . 80 : goto external-web }";
        netns.run("nft", &format!("add {v4}"));
        assert!(change(&mut watcher).await.contains(at("10.0.1.0"), 80, Protocol::Tcp));
        netns.run("nft", "add element ip6 kube-proxy service-ips { fd00::1 . udp . 53 : goto external-web }");
        let rules = change(&mut watcher).await;
        assert!(rules.contains(at("fd00::1"), 53, Protocol::Udp));
        assert_eq!(rules.len(), 2);
        netns.run("nft", &format!("delete {v4}"));
        assert!(!change(&mut watcher).await.contains(at("10.0.1.0"), 80, Protocol::Tcp));
    });
}

#[test]
fn changes_of_other_tables_wake_nobody() {
    let Some(netns) = Netns::new("nft-others") else { return };
    netns.block_on(async {
        let mut watcher = ServiceRulesWatcher::open().unwrap();
        netns.run("nft", "add table ip somebody");
        netns.run("nft", "add chain ip somebody input");
        let quiet = tokio::time::timeout(Duration::from_millis(200), watcher.changed()).await;
        assert!(quiet.is_err());
    });
}
