//! The node's decisions, case by case.

use sart_api::Proof;

use super::fixtures::*;
use super::*;

fn decision(plan: &Plan) -> Result<Proof, &'static str> {
    plan.decisions[&advert_key()].as_ref().map(|path| path.proof).map_err(Withheld::reason)
}

fn set_slice(observed: &mut Observed, name: &str, fact: SliceFact) {
    observed.slices.set(ObjectKey::new("ns", name), web(), fact);
}

#[test]
fn a_local_vip_is_programmed_first_and_announced_after_the_read_back() {
    let mut observed = observed(TrafficPolicy::Local);
    let first = plan(&observed);
    assert!(programs(&first) && !announces(&first));
    assert_eq!(decision(&first), Err("NoProof"));
    program(&mut observed, &first);
    let second = plan(&observed);
    assert!(announces(&second));
    assert_eq!(decision(&second), Ok(Proof::Bpf));
}

#[test]
fn a_local_vip_is_withdrawn_first_and_leaves_the_maps_after_the_confirmation() {
    let mut observed = observed(TrafficPolicy::Local);
    settle(&mut observed);
    set_slice(&mut observed, "web-1", slice(true, Vec::new()));
    let leaving = plan(&observed);
    assert!(!announces(&leaving) && programs(&leaving), "withdraw while the maps still serve");
    assert_eq!(decision(&leaving), Err("NoLocalEndpoint"));
    acknowledge(&mut observed, &leaving);
    assert!(!programs(&plan(&observed)));
}

#[test]
fn a_deleted_service_is_withdrawn_before_its_rows_go() {
    let mut observed = observed(TrafficPolicy::Local);
    settle(&mut observed);
    observed.services.remove(&web());
    observed.adverts.remove(&advert_key());
    observed.slices.remove(&ObjectKey::new("ns", "web-1"));
    let leaving = plan(&observed);
    assert!(!announces(&leaving) && programs(&leaving));
    acknowledge(&mut observed, &leaving);
    assert!(!programs(&plan(&observed)));
}

#[test]
fn a_terminating_endpoint_serves_on_but_is_no_reason_to_announce() {
    let mut observed = observed(TrafficPolicy::Local);
    set_slice(&mut observed, "web-1", slice(true, vec![endpoint(1, false)]));
    let plan = settle(&mut observed);
    assert!(programs(&plan) && !announces(&plan));
    let row = &plan.forwarding.unwrap().rows[&vip()];
    assert!(row.backends.iter().all(|backend| !backend.draining), "nothing else is left to take a flow");
}

#[test]
fn beside_a_ready_endpoint_a_terminating_one_only_drains() {
    let mut observed = observed(TrafficPolicy::Local);
    set_slice(&mut observed, "web-1", slice(true, vec![endpoint(1, false), endpoint(2, true)]));
    let plan = settle(&mut observed);
    let draining: Vec<_> =
        plan.forwarding.unwrap().rows[&vip()].backends.iter().map(|b| b.draining).collect();
    assert_eq!(draining, [true, false]);
}

#[test]
fn issue_7_2_endpoints_of_several_slices_are_one_set() {
    let mut observed = observed(TrafficPolicy::Local);
    set_slice(&mut observed, "web-2", slice(true, vec![endpoint(2, true), endpoint(1, true)]));
    set_slice(&mut observed, "web-3", slice(true, Vec::new()));
    let plan = settle(&mut observed);
    assert!(announces(&plan), "a slice without local endpoints must not win over the others");
    assert_eq!(plan.forwarding.unwrap().rows[&vip()].backends.len(), 2);
    observed.slices.remove(&ObjectKey::new("ns", "web-1"));
    assert!(announces(&settle(&mut observed)), "another slice still has a ready endpoint");
}

#[test]
fn a_replaced_last_pod_does_not_flap_the_path() {
    let mut observed = observed(TrafficPolicy::Local);
    settle(&mut observed);
    set_slice(&mut observed, "web-1", slice(true, vec![endpoint(9, true)]));
    assert!(announces(&plan(&observed)));
}

#[test]
fn a_port_that_no_pod_implements_does_not_hold_the_others_back() {
    let mut observed = observed(TrafficPolicy::Local);
    let mut fact = service(TrafficPolicy::Local);
    fact.ports.push(PortFact { name: "typo".into(), transport: Transport::Tcp, number: 81 });
    observed.services.insert(web(), fact);
    assert!(announces(&settle(&mut observed)));
}

#[test]
fn a_port_served_only_elsewhere_keeps_a_local_vip_back() {
    let mut observed = observed(TrafficPolicy::Local);
    let mut fact = service(TrafficPolicy::Local);
    fact.ports.push(PortFact { name: "admin".into(), transport: Transport::Tcp, number: 81 });
    observed.services.insert(web(), fact);
    let mut elsewhere = slice(true, Vec::new());
    elsewhere.ports[0].name = "admin".into();
    set_slice(&mut observed, "web-2", elsewhere);
    let plan = settle(&mut observed);
    assert_eq!(decision(&plan), Err("NoLocalEndpoint"));
}

#[test]
fn a_cluster_vip_needs_kube_proxy_and_any_ready_endpoint_and_no_row() {
    let mut observed = observed(TrafficPolicy::Cluster);
    set_slice(&mut observed, "web-1", slice(true, Vec::new()));
    let plan_ok = settle(&mut observed);
    assert_eq!(decision(&plan_ok), Ok(Proof::KubeProxy));
    assert!(!programs(&plan_ok));
    observed.proxy = rules(false);
    assert_eq!(decision(&plan(&observed)), Err("NoProof"));
    observed.proxy = Proxy::Unproven { message: "healthz: 503".into() };
    assert_eq!(decision(&plan(&observed)), Err("NoProof"));
    set_slice(&mut observed, "web-1", slice(false, Vec::new()));
    assert_eq!(decision(&plan(&observed)), Err("NoEndpoint"));
}

#[test]
fn without_ebpf_a_local_vip_is_announced_by_kube_proxys_proof_only_where_it_has_a_pod() {
    let mut observed = observed(TrafficPolicy::Local);
    observed.forwarding =
        Forwarding::Refused { reason: "MissingCapability".into(), message: "no CAP_BPF".into() };
    let plan_ok = settle(&mut observed);
    assert_eq!(decision(&plan_ok), Ok(Proof::KubeProxy));
    let report = report::node(&observed, &plan_ok);
    assert_eq!(report.conditions[0].reason, "MissingCapability");
    assert_eq!(report.conditions.last().unwrap().status, "Available");
    set_slice(&mut observed, "web-1", slice(true, Vec::new()));
    assert_eq!(decision(&plan(&observed)), Err("NoLocalEndpoint"));
}

#[test]
fn a_vip_the_maps_refuse_is_left_to_kube_proxy() {
    let mut observed = observed(TrafficPolicy::Local);
    if let Forwarding::Serving { refused, .. } = &mut observed.forwarding {
        refused.insert(vip(), "map full".into());
    }
    assert_eq!(decision(&plan(&observed)), Ok(Proof::KubeProxy));
}

#[test]
fn from_local_to_cluster_the_path_stays_and_the_row_goes() {
    let mut observed = observed(TrafficPolicy::Local);
    settle(&mut observed);
    observed.services.insert(web(), service(TrafficPolicy::Cluster));
    let plan = plan(&observed);
    assert!(announces(&plan) && !programs(&plan));
}

#[test]
fn issue_7_2_an_excluded_node_announces_nothing_and_still_serves() {
    let mut observed = observed(TrafficPolicy::Local);
    settle(&mut observed);
    observed.node.as_mut().unwrap().excluded = true;
    let plan = settle(&mut observed);
    assert!(!announces(&plan) && programs(&plan));
    assert_eq!(decision(&plan), Err("NodeExcluded"));
}

#[test]
fn nothing_is_touched_before_everything_has_been_seen_once() {
    let mut complete = observed(TrafficPolicy::Local);
    complete.speaker.announced.insert("10.0.9.9/32".parse().unwrap(), Announced::Recovered);
    let cases: [fn(&mut Observed); 4] = [
        |view| view.synced.slices = false,
        |view| view.uplinks = None,
        |view| view.forwarding = Forwarding::Unknown,
        |view| view.proxy = Proxy::Unknown,
    ];
    for hide in cases {
        let mut view = complete.clone();
        hide(&mut view);
        assert_eq!(plan(&view).speaker, None);
    }
    assert!(plan(&complete).speaker.is_some_and(|speaker| speaker.paths.is_empty()));
}

#[test]
fn issue_7_2_one_bad_peer_does_not_stop_the_others() {
    let mut observed = observed(TrafficPolicy::Local);
    observed.peers.insert("bad".into(), peer("not-an-address"));
    observed.peers.insert("zero".into(), PeerFact { asn: 0, ..peer("9.9.9.8") });
    observed.peers.insert("slow".into(), PeerFact { hold_time: Some(2), ..peer("9.9.9.7") });
    observed.peers.insert("a-twin".into(), PeerFact { created: 2, ..peer("9.9.9.9") });
    let plan = settle(&mut observed);
    let config = plan.speaker.unwrap().config;
    assert_eq!(config.neighbors.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(), ["spine0"]);
    let reasons: Vec<_> = plan.peer_problems.values().map(PeerProblem::reason).collect();
    assert_eq!(reasons, ["DuplicateAddress", "InvalidAddress", "InvalidTimers", "InvalidASN"]);
}

#[test]
fn node_and_api_server_addresses_are_protected() {
    let mut observed = observed(TrafficPolicy::Local);
    let mut fact = slice(true, Vec::new());
    fact.api_servers = vec!["172.18.0.9".parse().unwrap()];
    let kubernetes = ObjectKey::new("default", "kubernetes");
    observed.slices.set(kubernetes.clone(), kubernetes, fact);
    observed.api_servers.insert("172.18.0.10".parse().unwrap());
    let config = plan(&observed).speaker.unwrap().config;
    let protected: Vec<_> = config.protected.iter().map(ToString::to_string).collect();
    assert_eq!(protected, ["172.18.0.2/32", "172.18.0.9/32", "172.18.0.10/32"]);
}

#[test]
fn a_node_whose_bgp_is_taken_away_closes_its_sessions_and_withdraws() {
    let mut observed = observed(TrafficPolicy::Local);
    settle(&mut observed);
    observed.bgp = None;
    let speaker = plan(&observed).speaker.unwrap();
    assert!(speaker.paths.is_empty() && speaker.config.neighbors.is_empty());
    assert_eq!(speaker.config.asn, 65000);
}

#[test]
fn issue_7_1_11_a_service_that_is_no_load_balancer_any_more_is_withdrawn_by_the_node_itself() {
    let mut observed = observed(TrafficPolicy::Local);
    settle(&mut observed);
    observed.services.remove(&web());
    let plan = plan(&observed);
    assert_eq!(decision(&plan), Err("NoService"));
    assert!(!announces(&plan), "although the advertisement is still there");
}

#[test]
fn measured_an_address_taken_from_the_service_is_withdrawn_although_its_advertisement_stays() {
    let mut observed = observed(TrafficPolicy::Cluster);
    settle(&mut observed);
    observed.services.get_mut(&web()).unwrap().ingress.clear();
    assert_eq!(decision(&plan(&observed)), Err("NotAllocated"));
}

#[test]
fn issue_7_1_14_after_a_speaker_restart_the_plan_holds_every_path_again() {
    let mut observed = observed(TrafficPolicy::Local);
    let before = settle(&mut observed);
    observed.speaker = SpeakerView { link: SpeakerLink::Up, ..SpeakerView::default() };
    assert_eq!(plan(&observed).speaker, before.speaker);
}

#[test]
fn after_an_agent_restart_nothing_is_asked_of_a_speaker_that_already_has_it() {
    let mut observed = observed(TrafficPolicy::Local);
    let before = settle(&mut observed);
    let prefix = vip().address.into();
    observed.speaker.announced.insert(prefix, Announced::Recovered);
    assert_eq!(plan(&observed).speaker, before.speaker);
}

#[test]
fn the_report_names_proof_and_the_sessions_that_carry_a_prefix() {
    let mut observed = observed(TrafficPolicy::Local);
    let mut grouped = advert();
    grouped.groups = vec!["to-spine0".into()];
    observed.adverts.set(advert_key(), web(), grouped);
    observed.peers.insert("spine1".into(), PeerFact { groups: vec!["other".into()], ..peer("7.7.7.7") });
    observed.peers.insert("twin".into(), PeerFact { created: 2, ..peer("9.9.9.9") });
    for address in ["9.9.9.9", "7.7.7.7"] {
        let session = Session { state: report::ESTABLISHED, last_error: String::new() };
        observed.speaker.sessions.insert(address.parse().unwrap(), session);
    }
    let plan = settle(&mut observed);
    let report = report::node(&observed, &plan);
    assert_eq!(report.advertisements.len(), 1);
    assert_eq!(report.advertisements[0].proof, Proof::Bpf);
    assert_eq!(report.advertisements[0].peers, ["spine0"]);
    assert_eq!(
        report.conditions.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(),
        ["Dataplane", "Speaker"]
    );
    assert_eq!(report::peers(&observed, &plan)["spine0"].status, "Established");
}
