//! The operators' socket and the metrics of a node that serves pods.

use std::sync::Arc;
use std::time::Duration;

use sart_agent::cni::service;
use sart_rpc::v1;
use sart_rpc::v1::cni_service_client::CniServiceClient;

use crate::node::Node;

#[test]
fn the_operators_socket_lists_checks_and_repairs() {
    let Some(mut node) = Node::dual() else { return };
    let (kept, lost) = (node.container(), node.container());
    node.added(&kept);
    node.added(&lost);
    node.space.run(&["ip", "link", "del", &lost.link()]).unwrap();
    let server = node.shared();
    let socket = node.path("agent.sock");
    let session = async {
        let serving = tokio::spawn({
            let (server, socket) = (Arc::clone(&server), socket.clone());
            async move { service::serve(server, &socket).await }
        });
        while !socket.exists() {
            tokio::task::yield_now().await;
        }
        let mut client = CniServiceClient::new(sart_rpc::connect(&socket).await?);
        let listed = client.list_attachments(v1::ListAttachmentsRequest {}).await?.into_inner().attachments;
        let checked = client.check_attachments(v1::CheckAttachmentsRequest {}).await?.into_inner();
        let repaired = client.repair_attachments(v1::RepairAttachmentsRequest {}).await?.into_inner();
        let again = client.check_attachments(v1::CheckAttachmentsRequest {}).await?.into_inner();
        serving.abort();
        anyhow::Ok((listed, checked, repaired, again))
    };
    let (listed, checked, repaired, again) = node
        .space
        .enter(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), session).await? })
        })
        .unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].container.as_str(), listed[0].pod.as_str()), (kept.id.as_str(), "test/pod"));
    assert_eq!(listed[0].addresses.len(), 2);
    assert_eq!((checked.attachments, checked.busy), (2, 0));
    let [found] = &checked.findings[..] else { panic!("{checked:?}") };
    assert_eq!((found.reason.as_str(), found.mendable, found.mended), ("MissingLink", true, false));
    assert_eq!(found.subject, lost.key().to_string());
    assert!(repaired.findings[0].mended && repaired.attachments == 1, "{repaired:?}");
    assert_eq!((again.attachments, again.findings), (1, Vec::new()));
}

#[test]
fn calls_attachments_and_addresses_are_counted() {
    let Some(mut node) = Node::dual() else { return };
    let (kept, gone) = (node.container(), node.container());
    let result = node.added(&kept);
    node.added(&gone);
    node.check(&kept, &result).silent();
    node.del(&gone).silent();
    node.addresses.set_ready(false);
    assert_eq!(node.status().error(), 50);
    let _server = node.shared();
    let text = sart_telemetry::metrics::render(&node.registry).unwrap();
    let has = |line: &str| assert!(text.lines().any(|one| one == line), "{line} in\n{text}");
    has(r#"sart_agent_cni_calls_total{verb="ADD",code="0"} 2"#);
    has(r#"sart_agent_cni_calls_total{verb="CHECK",code="0"} 1"#);
    has(r#"sart_agent_cni_calls_total{verb="DEL",code="0"} 1"#);
    has(r#"sart_agent_cni_calls_total{verb="STATUS",code="50"} 1"#);
    has(r#"sart_agent_cni_call_seconds_count{verb="ADD"} 2"#);
    has("sart_agent_cni_attachments 1");
    has(r#"sart_agent_pod_addresses_held{pool="default",block="default-0"} 1"#);
    has(r#"sart_agent_pod_addresses_free{pool="default",block="default-0"} 199"#);
}
