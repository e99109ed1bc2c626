//! The decisions about one pod pool, case by case, against a model of the API server.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use sart_api::condition;
use sart_api::{AddressBlock, BGPAdvertisement, BlockRequest};
use serde_json::{Value, json};

use super::observe::{Life, Observed, Pool};
use super::plan;
use crate::write::{Action, Kind, Plan};

/// What an API server holds, and what it refuses.
#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) observed: Observed,
    pub(super) now: i64,
    uids: u32,
}

impl Model {
    pub(super) fn new(pool: &str, net: &str, block_len: u8) -> Self {
        let pool_facts = Pool { net: net.parse().unwrap(), block_len, auto_assign: true, closed: None };
        let quarantine = Duration::from_secs(3600);
        let observed =
            Observed { name: pool.to_owned(), pool: Some(pool_facts), quarantine, ..Observed::default() };
        Self { observed, now: 1000, uids: 0 }
    }

    pub(super) fn ask(&mut self, node: &str, blocks: u32) {
        let name = sart_api::names::block_request(&self.observed.name, node);
        let value = json!({
            "metadata": {"name": name, "uid": name, "generation": 1},
            "spec": {"pool": self.observed.name, "node": node, "blocks": blocks},
        });
        let mut request: BlockRequest = serde_json::from_value(value).unwrap();
        if let Some(at) = self.observed.requests.iter().position(|r| r.spec.node == node) {
            let old = self.observed.requests.remove(at);
            request.spec.release = old.spec.release.clone();
            request.status = old.status.clone();
        }
        self.observed.requests.push(Arc::new(request));
        self.observed.nodes.entry(node.to_owned()).or_insert(Life::Alive);
    }

    pub(super) fn release(&mut self, node: &str, block: &str) {
        let uid = self.block(block).metadata.uid.clone().unwrap();
        let request = self.observed.requests.iter_mut().find(|r| r.spec.node == node).unwrap();
        Arc::make_mut(request).spec.release.get_or_insert_default().push(uid);
    }

    pub(super) fn put_block(&mut self, name: &str, cidr: &str, node: &str) {
        let pool = self.observed.name.clone();
        self.create(
            name,
            json!({"spec": {"cidr": cidr, "type": "pod", "poolRef": pool, "nodeRef": node, "autoAssign": true}}),
        );
    }

    fn create(&mut self, name: &str, mut body: Value) {
        let taken = self.observed.blocks.iter().any(|b| b.metadata.name.as_deref() == Some(name));
        if taken || self.observed.foreign_names.contains(name) {
            return;
        }
        self.uids += 1;
        body["metadata"]["name"] = json!(name);
        body["metadata"]["uid"] = json!(format!("uid-{}", self.uids));
        body["metadata"]["creationTimestamp"] = json!(Timestamp::from_second(self.now).unwrap().to_string());
        self.observed.blocks.push(Arc::new(serde_json::from_value(body).unwrap()));
        self.observed.blocks.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        self.refresh();
    }

    /// What [`super::observe`] derives.
    pub(super) fn refresh(&mut self) {
        let nets = self.observed.blocks.iter().map(|b| b.spec.cidr.parse::<IpNet>().unwrap());
        self.observed.taken = nets.collect();
        for block in &self.observed.blocks {
            let node = block.spec.node_ref.clone().unwrap();
            self.observed.nodes.entry(node).or_insert(Life::Alive);
        }
    }

    pub(super) fn block(&self, name: &str) -> &AddressBlock {
        self.observed.blocks.iter().find(|b| b.metadata.name.as_deref() == Some(name)).unwrap()
    }

    pub(super) fn plan(&self) -> Plan {
        plan(&self.observed, &Time(Timestamp::from_second(self.now).unwrap()))
    }

    pub(super) fn apply(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Create(target, body) => self.create(&target.name.name, body),
                Action::Apply(target, body) if target.kind == Kind::Block => {
                    let block = self.find(&target.name.name);
                    let Some(block) = block else { continue };
                    let labels: BTreeMap<String, String> =
                        serde_json::from_value(body["metadata"]["labels"].clone()).unwrap();
                    let fields: serde_json::Map<String, Value> =
                        labels.keys().map(|key| (format!("f:{key}"), json!({}))).collect();
                    let managed = json!([{"manager": "sart-controller", "operation": "Apply",
                        "fieldsV1": {"f:metadata": {"f:labels": fields}}}]);
                    block.metadata.labels = Some(labels);
                    block.metadata.managed_fields = serde_json::from_value(managed).unwrap();
                }
                Action::Apply(_, mut body) => {
                    let name = body["metadata"]["name"].as_str().unwrap().to_owned();
                    body["metadata"]["uid"] = json!(format!("advert-{name}"));
                    self.observed.adverts.push(Arc::new(serde_json::from_value(body).unwrap()));
                }
                Action::ApplyStatus(target, body) if target.kind == Kind::Block => {
                    let Some(block) = self.find(&target.name.name) else { continue };
                    block.status = serde_json::from_value(body["status"].clone()).unwrap();
                }
                Action::ApplyStatus(target, body) => {
                    let mut requests = self.observed.requests.iter_mut();
                    let request =
                        requests.find(|r| r.metadata.name.as_deref() == Some(&target.name.name)).unwrap();
                    Arc::make_mut(request).status = serde_json::from_value(body["status"].clone()).unwrap();
                }
                Action::Delete(target, uid) if target.kind == Kind::Advertisement => {
                    self.observed.adverts.retain(|a| a.metadata.uid.as_deref() != Some(&uid));
                    drop(target);
                }
                Action::Delete(_, uid) | Action::Reclaim { uid, .. } => {
                    self.observed.blocks.retain(|b| b.metadata.uid.as_deref() != Some(&uid));
                    self.refresh();
                }
                other => panic!("pod pools never plan {other:?}"),
            }
        }
    }

    fn find(&mut self, name: &str) -> Option<&mut AddressBlock> {
        let mut blocks = self.observed.blocks.iter_mut();
        blocks.find(|b| b.metadata.name.as_deref() == Some(name)).map(Arc::make_mut)
    }

    /// Plans and applies until nothing is left to do.
    pub(super) fn settle(&mut self) {
        for _ in 0..6 {
            let actions = self.plan().actions;
            if actions.is_empty() {
                return;
            }
            self.apply(actions);
        }
        panic!("it does not settle: {:?}", self.plan().actions);
    }

    pub(super) fn blocks(&self) -> Vec<String> {
        let text = |b: &Arc<AddressBlock>| {
            format!(
                "{} {} {}",
                b.metadata.name.as_ref().unwrap(),
                b.spec.cidr,
                b.spec.node_ref.as_ref().unwrap()
            )
        };
        self.observed.blocks.iter().map(text).collect()
    }

    pub(super) fn reason(&self, node: &str) -> String {
        let request = self.observed.requests.iter().find(|r| r.spec.node == node).unwrap();
        request.status.as_ref().map(|s| s.conditions[0].reason.clone()).unwrap_or_default()
    }

    fn lose(&mut self, node: &str, life: Life) {
        self.observed.nodes.insert(node.to_owned(), life);
    }

    /// A day passes, and nobody sees a route to any lost block.
    pub(super) fn wait_all(&mut self) {
        self.refresh();
        self.wait(86_400, 86_400);
    }

    fn wait(&mut self, wall: i64, here: u64) {
        self.now += wall;
        let lost = self
            .observed
            .blocks
            .iter()
            .filter(|b| self.observed.nodes[b.spec.node_ref.as_ref().unwrap()].is_lost());
        for uid in lost.filter_map(|b| b.metadata.uid.clone()) {
            *self.observed.lost_for.entry(uid).or_default() += Duration::from_secs(here);
        }
    }
}

#[test]
fn each_node_gets_the_article_s_blocks_in_order_each_with_its_advertisement() {
    let mut model = Model::new("default-pod-pool", "10.1.0.0/24", 29);
    ["n1", "n2", "n3"].iter().for_each(|node| model.ask(node, 1));
    model.settle();
    let expected = [
        "default-pod-pool-0 10.1.0.0/29 n1",
        "default-pod-pool-1 10.1.0.8/29 n2",
        "default-pod-pool-2 10.1.0.16/29 n3",
    ];
    assert_eq!(model.blocks(), expected);
    let adverts: Vec<(&str, &str)> = model
        .observed
        .adverts
        .iter()
        .map(|a: &Arc<BGPAdvertisement>| (a.metadata.name.as_deref().unwrap(), a.spec.cidr.as_str()))
        .collect();
    assert_eq!(adverts[0], ("default-pod-pool-0", "10.1.0.0/29"));
    assert_eq!((adverts.len(), model.reason("n2").as_str()), (3, "Served"));
    assert_eq!(model.block("default-pod-pool-2").status.as_ref().unwrap().index, 2);
}

#[test]
fn measured_host_blocks_of_two_nodes_are_neighbours() {
    let mut model = Model::new("non-default-pod-pool", "10.10.0.0/29", 32);
    model.ask("n1", 1);
    model.ask("n2", 1);
    model.settle();
    assert_eq!(
        model.blocks(),
        ["non-default-pod-pool-0 10.10.0.0/32 n1", "non-default-pod-pool-1 10.10.0.1/32 n2"]
    );
}

#[test]
fn issue_2_1_a_request_answered_twice_gives_one_block() {
    let mut model = Model::new("p", "10.1.0.0/24", 29);
    model.ask("n1", 1);
    let first = model.plan().actions;
    model.apply(first.clone());
    model.apply(first);
    model.settle();
    assert_eq!(model.blocks(), ["p-0 10.1.0.0/29 n1"]);
}

#[test]
fn issue_7_1_7_a_restart_computes_no_name_that_exists() {
    let mut model = Model::new("p", "10.1.0.0/24", 29);
    model.put_block("p-7", "10.1.0.8/29", "n1");
    model.ask("n2", 2);
    model.settle();
    assert_eq!(model.blocks(), ["p-0 10.1.0.0/29 n2", "p-2 10.1.0.16/29 n2", "p-7 10.1.0.8/29 n1"]);
    model.ask("n2", 7);
    model.settle();
    assert!(model.blocks().iter().all(|b| !b.contains("p-7 10.1.0.56")), "its name is another slot's block");
    assert_eq!(model.observed.blocks.len(), 8);
}

#[test]
fn issue_7_1_8_a_slot_whose_name_a_service_pool_has_is_passed_over() {
    let mut model = Model::new("a", "10.1.0.0/24", 29);
    model.observed.foreign_names.insert("a-0".to_owned());
    model.ask("n1", 1);
    model.settle();
    assert_eq!(model.blocks(), ["a-1 10.1.0.8/29 n1"]);
}

#[test]
fn an_exhausted_pool_says_so_and_serves_when_a_block_comes_back() {
    let mut model = Model::new("p", "10.1.0.0/29", 30);
    model.ask("n1", 2);
    model.settle();
    model.ask("n2", 1);
    model.settle();
    assert_eq!((model.reason("n1").as_str(), model.reason("n2").as_str()), ("Served", "PoolExhausted"));
    model.release("n1", "p-1");
    model.ask("n1", 1);
    model.settle();
    assert_eq!(model.blocks(), ["p-0 10.1.0.0/30 n1", "p-1 10.1.0.4/30 n2"]);
    assert_eq!(model.reason("n2"), "Served");
}

#[test]
fn a_node_that_wants_many_blocks_does_not_starve_one_that_has_none() {
    let mut model = Model::new("p", "10.1.0.0/28", 30);
    model.ask("greedy", 9);
    model.ask("modest", 1);
    model.settle();
    let modest = model.blocks().iter().filter(|b| b.ends_with("modest")).count();
    assert_eq!((modest, model.observed.blocks.len()), (1, 4));
}

#[test]
fn issue_7_1_12_only_its_own_node_gives_a_block_back() {
    let mut model = Model::new("p", "10.1.0.0/24", 29);
    model.ask("n1", 1);
    model.ask("n2", 1);
    model.settle();
    model.release("n2", "p-0");
    model.settle();
    assert_eq!(model.observed.blocks.len(), 2, "p-0 is n1's");
    model.release("n1", "p-0");
    model.ask("n1", 0);
    model.settle();
    assert_eq!(model.blocks(), ["p-1 10.1.0.8/29 n2"]);
    assert_eq!(model.observed.adverts.len(), 1);
}

#[test]
fn a_request_to_a_pool_that_cannot_serve_has_its_reason() {
    for (change, reason) in [
        (Box::new(|o: &mut Observed| o.pool = None) as Box<dyn Fn(&mut Observed)>, "PoolNotFound"),
        (Box::new(|o| o.pool.as_mut().unwrap().closed = Some("disabled")), "PoolNotUsable"),
        (Box::new(|o| o.pool.as_mut().unwrap().block_len = 20), "InvalidBlockSize"),
    ] {
        let mut model = Model::new("p", "10.1.0.0/24", 29);
        change(&mut model.observed);
        model.ask("n1", 1);
        model.settle();
        assert_eq!((model.reason("n1").as_str(), model.observed.blocks.len()), (reason, 0));
    }
}

#[test]
fn the_block_of_a_lost_node_waits_for_quarantine_and_for_every_doubt() {
    let mut model = Model::new("p", "10.1.0.0/29", 29);
    model.ask("n1", 1);
    model.settle();
    model.ask("n2", 1);
    model.observed.requests.retain(|r| r.spec.node != "n1");
    model.lose("n1", Life::Gone);
    model.settle();
    let block = model.block("p-0");
    assert!(condition::is_true(&block.status.as_ref().unwrap().conditions, condition::LOST));
    assert!(block.metadata.labels.as_ref().unwrap().contains_key(sart_api::keys::BLOCK_LOST));
    model.wait(3599, 3599);
    model.settle();
    assert_eq!((model.blocks().len(), model.plan().again), (1, Some(Duration::from_secs(1))));
    model.observed.doubts.insert("10.1.0.0/29".to_owned(), ["n3".to_owned()].into());
    model.wait(1, 1);
    model.settle();
    assert_eq!(model.blocks(), ["p-0 10.1.0.0/29 n1"], "n3 still sees a route to it");
    model.observed.doubts.clear();
    model.settle();
    assert_eq!(model.blocks(), ["p-0 10.1.0.0/29 n2"]);
}

#[test]
fn a_clock_that_jumps_does_not_shorten_the_quarantine_nor_does_a_restart() {
    let mut model = Model::new("p", "10.1.0.0/29", 29);
    model.put_block("p-0", "10.1.0.0/29", "n1");
    model.lose("n1", Life::OutOfService);
    model.settle();
    model.wait(86_400, 10);
    model.settle();
    assert_eq!(model.blocks().len(), 1, "the clock jumped a day, ten seconds have passed");
    model.wait(-90_000, 86_400);
    model.settle();
    assert_eq!(model.blocks().len(), 1, "the clock jumped back before the loss");
}

#[test]
fn a_node_that_comes_back_keeps_its_block_and_loses_the_mark() {
    let mut model = Model::new("p", "10.1.0.0/29", 29);
    model.put_block("p-0", "10.1.0.0/29", "n1");
    model.lose("n1", Life::OutOfService);
    model.settle();
    model.wait(3000, 3000);
    model.lose("n1", Life::Alive);
    model.observed.lost_for.clear();
    model.settle();
    assert!(!model.block("p-0").metadata.labels.as_ref().unwrap().contains_key(sart_api::keys::BLOCK_LOST));
    model.lose("n1", Life::OutOfService);
    model.settle();
    model.wait(700, 700);
    model.settle();
    assert_eq!(model.blocks().len(), 1, "the quarantine starts anew");
}

#[test]
fn an_advertisement_made_by_hand_stays_as_it_is() {
    let mut model = Model::new("p", "10.1.0.0/24", 29);
    let value = json!({"metadata": {"name": "p-0", "namespace": "kube-system", "uid": "hand"},
        "spec": {"cidr": "10.1.0.0/29", "type": "pod", "protocol": "ipv4"}});
    model.observed.adverts.push(Arc::new(serde_json::from_value(value).unwrap()));
    model.ask("n1", 1);
    model.settle();
    assert_eq!(model.observed.adverts.len(), 1);
    assert_eq!(model.observed.adverts[0].metadata.uid.as_deref(), Some("hand"));
}
