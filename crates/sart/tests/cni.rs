//! `sart cni` as a script runs it, against a server of the real API on a real socket.

#![expect(clippy::unwrap_used, reason = "a test fails at its failed step")]

use std::path::Path;
use std::process::Output;

use sart_rpc::Listener;
use sart_rpc::v1::cni_service_server::{CniService, CniServiceServer};
use sart_rpc::v1::{
    AttachmentFinding, CheckAttachmentsRequest, CheckAttachmentsResponse, ListAttachmentsRequest,
    ListAttachmentsResponse, RepairAttachmentsRequest, RepairAttachmentsResponse,
};
use tonic::{Request, Response, Status};

/// An agent with these findings, each of which a repair mends if it can.
struct Agent(Vec<AttachmentFinding>);

#[tonic::async_trait]
impl CniService for Agent {
    async fn list_attachments(
        &self,
        _: Request<ListAttachmentsRequest>,
    ) -> Result<Response<ListAttachmentsResponse>, Status> {
        Err(Status::unavailable("the journal is being written anew"))
    }

    async fn check_attachments(
        &self,
        _: Request<CheckAttachmentsRequest>,
    ) -> Result<Response<CheckAttachmentsResponse>, Status> {
        Ok(Response::new(CheckAttachmentsResponse { findings: self.0.clone(), attachments: 4, busy: 0 }))
    }

    async fn repair_attachments(
        &self,
        _: Request<RepairAttachmentsRequest>,
    ) -> Result<Response<RepairAttachmentsResponse>, Status> {
        let mended = |one: &AttachmentFinding| AttachmentFinding { mended: one.mendable, ..one.clone() };
        let findings = self.0.iter().map(mended).collect();
        Ok(Response::new(RepairAttachmentsResponse { findings, attachments: 4, busy: 0 }))
    }
}

fn finding(mendable: bool) -> AttachmentFinding {
    AttachmentFinding {
        reason: "StaleLink".into(),
        subject: "n/c/eth0".into(),
        mendable,
        ..Default::default()
    }
}

async fn sart(socket: &Path, words: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_sart"));
    command.arg("cni").arg("-e").arg(socket).args(words).kill_on_drop(true);
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, command.output()).await.unwrap().unwrap()
}

/// Exit codes of check and repair.
async fn codes(findings: Vec<AttachmentFinding>) -> [Option<i32>; 2] {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let listener = Listener::bind(&socket).unwrap();
    let server = tonic::transport::Server::builder().add_service(CniServiceServer::new(Agent(findings)));
    let serving = tokio::spawn(server.serve_with_incoming(listener));
    let codes =
        [sart(&socket, &["check"]).await.status.code(), sart(&socket, &["repair"]).await.status.code()];
    let refused = sart(&socket, &["list"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(String::from_utf8(refused.stderr).unwrap(), "sart: the journal is being written anew\n");
    serving.abort();
    codes
}

#[tokio::test]
async fn three_means_that_something_differs_and_zero_that_nothing_does_any_more() {
    assert_eq!(codes(Vec::new()).await, [Some(0), Some(0)]);
    assert_eq!(codes(vec![finding(true)]).await, [Some(3), Some(0)]);
    assert_eq!(codes(vec![finding(true), finding(false)]).await, [Some(3), Some(3)]);
}
