//! The status of a ClusterBGP, case by case.

use std::sync::Arc;

use super::observe::{Member, Observed};
use super::plan;
use crate::write::Action;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use sart_api::ClusterBGP;
use serde_json::json;

fn member(node: &str, has_it: bool, problem: Option<&'static str>) -> Member {
    let problems = problem.map(|reason| (reason, "text".to_owned())).into_iter().collect();
    Member { node: node.to_owned(), has_it, problems }
}

fn cluster() -> ClusterBGP {
    serde_json::from_value(json!({
        "metadata": {"name": "a", "uid": "a", "generation": 3},
        "spec": {"asnSelector": {"from": "label"}, "routerIdSelector": {"from": "label"}, "speaker": {"path": "x"}},
    }))
    .unwrap()
}

fn status(members: Vec<Member>) -> sart_api::ClusterBGPStatus {
    let now = Time(Timestamp::from_second(1).unwrap());
    let mut observed = Observed { cluster: Some(Arc::new(cluster())), members };
    let actions = plan(&observed, &now).actions;
    let [Action::ApplyStatus(_, body)] = actions.as_slice() else { panic!("one status write: {actions:?}") };
    let status: sart_api::ClusterBGPStatus = serde_json::from_value(body["status"].clone()).unwrap();
    observed.cluster = Some(Arc::new(ClusterBGP { status: Some(status.clone()), ..cluster() }));
    assert_eq!(plan(&observed, &now).actions, [], "planning again yields nothing");
    status
}

fn summary(status: &sart_api::ClusterBGPStatus) -> Vec<(&str, &str)> {
    status.conditions.iter().map(|c| (c.status.as_str(), c.reason.as_str())).collect()
}

#[test]
fn the_status_lists_selected_and_served_nodes() {
    let status = status(vec![member("n1", true, None), member("n2", false, None)]);
    assert_eq!(status.desired_nodes, Some(vec!["n1".into(), "n2".into()]));
    assert_eq!(status.nodes, Some(vec!["n1".into()]));
    assert_eq!(summary(&status), [("True", "Accepted"), ("False", "Applying")]);
    assert_eq!(status.conditions[0].observed_generation, Some(3));
}

#[test]
fn a_problem_names_its_reason_and_node() {
    let status = status(vec![member("n1", true, None), member("n2", true, Some("TemplateNotFound"))]);
    assert_eq!(summary(&status), [("False", "TemplateNotFound"), ("True", "Applied")]);
    assert!(status.conditions[0].message.contains("node n2, 1 of 2 nodes"));
}

#[test]
fn a_selector_that_matches_no_node_says_so() {
    assert_eq!(summary(&status(Vec::new())), [("True", "Accepted"), ("False", "NoNodes")]);
}
