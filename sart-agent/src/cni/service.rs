//! The operators' view of the pod network, served by gRPC on a Unix socket: list, check, repair. It holds nothing, and serves
//! root and the agent's own user only.

use std::path::Path;
use std::sync::Arc;

use sart_rpc::v1::cni_service_server::{CniService, CniServiceServer};
use sart_rpc::{BindError, Listener, v1};
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status};

use super::attachment::Attachment;
use super::audit::{Audit, Finding};
use super::network::NetworkError;
use super::server::Server;

/// Why operators are not served (any longer).
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The transport.
    #[error("the operators' socket failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

struct Api {
    server: Arc<Server>,
}

/// Serves until it fails. The calls run on the runtime's blocking threads, in the network namespace of those.
///
/// # Errors
/// See [`ServiceError`].
pub async fn serve(server: Arc<Server>, socket: &Path) -> Result<(), ServiceError> {
    let listener = Listener::bind(socket)?;
    let api = CniServiceServer::new(Api { server });
    Ok(tonic::transport::Server::builder().add_service(api).serve_with_incoming(listener).await?)
}

impl Api {
    async fn audit(&self, mend: bool) -> Result<Audit, Status> {
        let server = Arc::clone(&self.server);
        let work = move || if mend { server.machine().repair() } else { server.machine().audit() };
        let unread = |error: NetworkError| {
            Status::unavailable(format!("the node's links and routes cannot be read: {error}"))
        };
        spawn_blocking(work).await.map_err(|error| Status::internal(error.to_string()))?.map_err(unread)
    }
}

#[tonic::async_trait]
impl CniService for Api {
    async fn list_attachments(
        &self,
        _: Request<v1::ListAttachmentsRequest>,
    ) -> Result<Response<v1::ListAttachmentsResponse>, Status> {
        let live = self.server.machine().journal.ledger().live;
        let attachments = live.into_values().map(|(one, made)| attachment(one, made)).collect();
        Ok(Response::new(v1::ListAttachmentsResponse { attachments }))
    }

    async fn check_attachments(
        &self,
        _: Request<v1::CheckAttachmentsRequest>,
    ) -> Result<Response<v1::CheckAttachmentsResponse>, Status> {
        let (findings, attachments, busy) = parts(self.audit(false).await?);
        Ok(Response::new(v1::CheckAttachmentsResponse { findings, attachments, busy }))
    }

    async fn repair_attachments(
        &self,
        _: Request<v1::RepairAttachmentsRequest>,
    ) -> Result<Response<v1::RepairAttachmentsResponse>, Status> {
        let (findings, attachments, busy) = parts(self.audit(true).await?);
        Ok(Response::new(v1::RepairAttachmentsResponse { findings, attachments, busy }))
    }
}

fn attachment(one: Attachment, made: bool) -> v1::Attachment {
    let link = one.link();
    let address = |taken: super::PodAddress| v1::AttachmentAddress {
        address: taken.address.to_string(),
        pool: taken.pool,
    };
    v1::Attachment {
        network: one.key.network,
        container: one.key.container,
        interface: one.key.ifname,
        pod: one.pod,
        link,
        addresses: one.addresses.into_iter().map(address).collect(),
        state: if made { "attached" } else { "beginning" }.to_owned(),
    }
}

fn parts(audit: Audit) -> (Vec<v1::AttachmentFinding>, u32, u32) {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let findings = audit.findings.into_iter().map(|(one, mended)| finding(one, mended)).collect();
    (findings, count(audit.attachments), count(audit.busy))
}

fn finding(one: Finding, mended: Option<Result<(), String>>) -> v1::AttachmentFinding {
    v1::AttachmentFinding {
        mendable: one.is_mendable(),
        reason: one.reason.to_owned(),
        subject: one.subject,
        message: one.message,
        mended: mended == Some(Ok(())),
        failure: mended.and_then(Result::err).unwrap_or_default(),
    }
}
