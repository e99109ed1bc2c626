//! The tracker's stream in the API's words. Must never let a tracker outlive its connection.

use std::net::IpAddr;

use futures::{StreamExt as _, stream};
use sart_bgp::speaker::{HopChanges, HopState};
use sart_rpc::v1;
use sart_rpc::v1::next_hop_service_server::NextHopService;
use tonic::{Request, Response, Status, Streaming};

use super::{Api, address, stopped};
use crate::bgpd::owner::{Handle, HopAnswer, KnownHop};
use crate::bgpd::watch::WatchStream;

/// Addresses in one message: far below the limit of four megabytes that gRPC sets.
const IN_ONE_MESSAGE: usize = 1024;

#[tonic::async_trait]
impl NextHopService for Api {
    type TrackStream = WatchStream<v1::NextHopChanges>;

    async fn track(
        &self,
        request: Request<Streaming<v1::NextHopAnswers>>,
    ) -> Result<Response<Self::TrackStream>, Status> {
        serve(&self.handle, request.into_inner()).await.map(Response::new)
    }

    async fn list(
        &self,
        _: Request<v1::ListNextHopsRequest>,
    ) -> Result<Response<v1::ListNextHopsResponse>, Status> {
        let (known, tracked) = self.handle.next_hops().await.map_err(stopped)?;
        let next_hops = known.into_iter().map(next_hop).collect();
        Ok(Response::new(v1::ListNextHopsResponse { next_hops, tracked }))
    }
}

/// Takes up the tracker behind `answers` and returns what it is told.
async fn serve(
    handle: &Handle,
    answers: Streaming<v1::NextHopAnswers>,
) -> Result<WatchStream<v1::NextHopChanges>, Status> {
    let tracker = handle.track_next_hops().await.map_err(stopped)?;
    let (number, changes) = tracker.map_err(|busy| Status::already_exists(busy.to_string()))?;
    let handle = handle.clone();
    tokio::spawn(async move {
        let why = hear(number, answers, &handle).await;
        tracing::debug!(%why, "the stream of answers about next hops ended");
        // A speaker that has stopped has forgotten its tracker.
        let _stopped = handle.tracker_down(number).await;
    });
    let parts = changes.flat_map(|change| stream::iter(parts(change)));
    Ok(Box::pin(parts))
}

/// Passes answers on until their stream ends, and says why it did.
async fn hear(number: u64, mut answers: Streaming<v1::NextHopAnswers>, handle: &Handle) -> String {
    loop {
        let message = match answers.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return "the tracker ended it".to_owned(),
            Err(status) => return status.to_string(),
        };
        let read = |v1::NextHopAnswer { address: text, metric, reason }| {
            address("answers[].address", &text).map(|address| HopAnswer { address, metric, reason })
        };
        let answers = match message.answers.into_iter().map(read).collect::<Result<Vec<_>, _>>() {
            Ok(answers) => answers,
            Err(status) => return status.to_string(),
        };
        if let Err(stopped) = handle.tracker_says(number, answers).await {
            return stopped.to_string();
        }
    }
}

fn parts(change: Result<HopChanges, Status>) -> Vec<Result<v1::NextHopChanges, Status>> {
    let changes = match change {
        Ok(changes) => changes,
        Err(status) => return vec![Err(status)],
    };
    let texts = |part: &[IpAddr]| part.iter().map(ToString::to_string).collect();
    let end = |part: &[IpAddr]| Ok(v1::NextHopChanges { begin: Vec::new(), end: texts(part) });
    let begin = |part: &[IpAddr]| Ok(v1::NextHopChanges { begin: texts(part), end: Vec::new() });
    let ends = changes.end.chunks(IN_ONE_MESSAGE).map(end);
    ends.chain(changes.begin.chunks(IN_ONE_MESSAGE).map(begin)).collect()
}

fn next_hop((address, state, said): KnownHop) -> v1::NextHop {
    let (state, metric) = match state {
        HopState::Reachable(metric) => (v1::NextHopState::Reachable, metric),
        HopState::Unreachable => (v1::NextHopState::Unreachable, 0),
        HopState::Unanswered => (v1::NextHopState::Unanswered, 0),
    };
    let reason = if state == v1::NextHopState::Unreachable { said } else { String::new() };
    v1::NextHop { address: address.to_string(), state: state.into(), metric, reason }
}
