//! Uplinks come, go and come back under the same name; links follow, and an upgrade leaves no gap.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use aya::maps::{HashMap, Map, MapData};
use sart_agent::dataplane::{Attach, AttachError};

use super::*;

/// The link pins and their inodes: a link that was removed and made again has another one.
fn links(config: &Config) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(config.pin_root.join("links")).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().ino())).collect()
}

/// Attaches to exactly these interfaces of the node.
fn set_uplinks(
    net: &Net,
    mut dataplane: Dataplane,
    names: &[&str],
) -> (Dataplane, BTreeMap<String, Result<(), AttachError>>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    inside(&net.node, move || {
        let results = dataplane.set_uplinks(&names);
        (dataplane, results)
    })
    .join()
    .unwrap()
}

fn vip() -> VipId {
    VipId { addr: VIP, port: 80, protocol: Protocol::Tcp }
}

#[test]
fn an_uplink_made_again_under_its_name_is_attached_again() {
    alone(|config| {
        let net = Net::up();
        serve(&net);
        let dataplane = open_in(&net, &config, &tables(&[(Ipv4Addr::new(10, 0, 0, 9), "a")]));
        ask();
        let before = links(&config);
        assert_eq!(before.len(), 3, "{before:?}");
        run("ip link del c0");
        let (dataplane, results) = set_uplinks(&net, dataplane, &["up0"]);
        let gone = results["up0"].as_ref().unwrap_err();
        assert_eq!(gone.reason(), "NoInterface");
        assert!(!dataplane.is_serving(vip()), "nothing serves without an uplink");
        assert!(links(&config).is_empty(), "links of a device that is gone are taken away");
        net.connect();
        let (dataplane, results) = set_uplinks(&net, dataplane, &["up0"]);
        assert!(results["up0"].is_ok() && dataplane.is_serving(vip()), "{results:?}");
        let after = links(&config);
        assert_eq!(after.len(), 3);
        assert!(after.keys().all(|pin| !before.contains_key(pin)), "{after:?} name another device");
        ask();
    });
}

#[test]
fn a_removed_uplink_is_detached_and_the_others_are_not_touched() {
    alone(|config| {
        let net = Net::up();
        serve(&net);
        let dataplane = open_in(&net, &config, &tables(&[(Ipv4Addr::new(10, 0, 0, 9), "a")]));
        let (dataplane, results) = set_uplinks(&net, dataplane, &["up0", "p0"]);
        assert!(results.values().all(Result::is_ok), "{results:?}");
        let both = links(&config);
        let (dataplane, _) = set_uplinks(&net, dataplane, &["up0"]);
        let one = links(&config);
        assert_eq!((both.len(), one.len()), (6, 3));
        assert!(one.iter().all(|(pin, inode)| both.get(pin) == Some(inode)), "{one:?} were in {both:?}");
        ask();
        let (dataplane, _) = set_uplinks(&net, dataplane, &[]);
        assert!(links(&config).is_empty() && !dataplane.is_serving(vip()));
        // The kernel lets go of a link some milliseconds after its last pin, of each on its own: it waits for readers (RCU).
        let deadline = Instant::now() + LONG;
        loop {
            let before = dataplane.counters().unwrap();
            let answered = TcpStream::connect_timeout(&(VIP, 80).into(), Duration::from_millis(300)).is_ok();
            if !answered && dataplane.counters().unwrap() == before {
                break;
            }
            assert!(Instant::now() < deadline, "a program still sees the packets: {before:?}");
        }
    });
}

#[test]
fn issue_7_1_2_an_upgrade_replaces_the_programs_in_their_links_and_never_detaches() {
    alone(|config| {
        let net = Net::up();
        let desired = tables(&[(Ipv4Addr::new(10, 0, 0, 9), "a")]);
        let first = open_in(&net, &config, &desired);
        let before = links(&config);
        drop(first);
        let _second = open_in(&net, &config, &desired);
        assert_eq!(links(&config), before, "the links are the same, only their programs are new");
    });
}

#[test]
fn measured_rows_of_a_service_deleted_while_no_agent_ran_leave_the_maps() {
    alone(|config| {
        let mut first = Dataplane::open(config.clone()).unwrap();
        first.apply(&tables(&[(Ipv4Addr::new(10, 0, 0, 9), "a")]));
        let rows = || {
            let pin = MapData::from_pin(config.pin_root.join("maps/VIPS4")).unwrap();
            let map = Map::from_map_data(pin).unwrap();
            HashMap::<_, [u8; 8], [u8; 32]>::try_from(map).unwrap().keys().count()
        };
        assert_eq!(rows(), 4, "two addresses, and the pod under both protocols");
        drop(first);
        let mut second = Dataplane::open(config.clone()).unwrap();
        second.apply(&DesiredTables::default());
        assert_eq!(rows(), 0);
    });
}

#[test]
fn without_multi_program_chains_filters_serve_are_replaced_in_place_and_go() {
    alone(|config| {
        let net = Net::up();
        serve(&net);
        let filters = || {
            let command = ["-n", &net.node, "filter", "show", "dev", "up0", "ingress"];
            String::from_utf8(Command::new("tc").args(command).output().unwrap().stdout).unwrap()
        };
        let mut programs = std::collections::BTreeSet::new();
        for _ in 0..2 {
            let one = config.clone();
            let desired = tables(&[(Ipv4Addr::new(10, 0, 0, 9), "a")]);
            inside(&net.node, move || {
                let object = embedded_object().unwrap();
                let mut dataplane = Dataplane::open_by(&one, object, Attach::Clsact).unwrap();
                let results = dataplane.set_uplinks(&["up0".to_owned()]);
                assert!(results["up0"].is_ok(), "{results:?}");
                assert!(dataplane.apply(&desired).programmed.values().all(Result::is_ok));
            })
            .join()
            .unwrap();
            assert_eq!(filters().matches("handle 0x1 up_in").count(), 1, "{}", filters());
            let text = filters();
            programs
                .insert(text.split(" id ").nth(1).and_then(|rest| rest.split(' ').next()).map(str::to_owned));
            assert!(ask().starts_with("10.0.0.9 "), "served after the agent went");
        }
        assert_eq!(programs.len(), 2, "the second agent's program took the place of the first's");
        let root = config.pin_root.clone();
        inside(&net.node, move || Dataplane::remove_all(&root).unwrap()).join().unwrap();
        assert_eq!(filters(), "");
        assert!(!config.pin_root.exists());
    });
}
