//! Paths that a caller originates and withdraws, one call each or as a stream. Must never apply a change before the one that
//! came before it, nor the half of one.

use futures::{Stream, TryStreamExt as _};
use sart_bgp::speaker::Speaker;
use sart_rpc::v1;
use tonic::Status;

use super::{from_proto, refused, stopped};
use crate::bgpd::owner::Handle;
use crate::bgpd::watch::WatchStream;

/// Applies one change.
pub(super) async fn update(
    handle: &Handle,
    request: v1::UpdatePathsRequest,
) -> Result<v1::UpdatePathsResponse, Status> {
    let upserts = from_proto::paths(&request.upserts)?;
    let withdrawals = from_proto::prefixes("withdrawals", &request.withdrawals)?;
    let call = move |speaker: &mut Speaker, now| speaker.update_paths(upserts, &withdrawals, now);
    let updated = handle.call(call).await.map_err(stopped)?.map_err(refused)?;
    Ok(v1::UpdatePathsResponse { changed: updated.changed, unknown: updated.unknown })
}

/// Applies each change when the one before it has been answered; the first that is refused ends the stream.
pub(super) fn answers(
    handle: Handle,
    requests: impl Stream<Item = Result<v1::UpdatePathsRequest, Status>> + Send + 'static,
) -> WatchStream<v1::UpdatePathsResponse> {
    Box::pin(requests.and_then(move |request| {
        let handle = handle.clone();
        async move { update(&handle, request).await }
    }))
}
