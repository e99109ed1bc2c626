//! The tracker's stream in the API's words. Must never let a tracker outlive its connection.

use std::net::IpAddr;

use futures::{Stream, StreamExt as _, stream};
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
    answers: impl Stream<Item = Result<v1::NextHopAnswers, Status>> + Send + Unpin + 'static,
) -> Result<WatchStream<v1::NextHopChanges>, Status> {
    let handle = handle.clone();
    // Whoever called may be gone before the speaker has taken the tracker up, and this with it: the task stays.
    let taken_up = tokio::spawn(async move {
        let tracker = handle.track_next_hops().await.map_err(stopped)?;
        let (number, changes) = tracker.map_err(|busy| Status::already_exists(busy.to_string()))?;
        tokio::spawn(attend(number, answers, handle));
        Ok::<_, Status>(changes)
    });
    let changes = taken_up.await.map_err(|error| Status::internal(error.to_string()))??;
    Ok(Box::pin(changes.flat_map(|change| stream::iter(parts(change)))))
}

/// Passes answers on until their stream ends, and lets the tracker go.
async fn attend(
    number: u64,
    mut answers: impl Stream<Item = Result<v1::NextHopAnswers, Status>> + Unpin,
    handle: Handle,
) {
    let why = hear(number, &mut answers, &handle).await;
    tracing::debug!(%why, "the stream of answers about next hops ended");
    // A speaker that has stopped has forgotten its tracker.
    let _stopped = handle.tracker_down(number).await;
}

/// Passes answers on until their stream ends, and says why it did.
async fn hear(
    number: u64,
    answers: &mut (impl Stream<Item = Result<v1::NextHopAnswers, Status>> + Unpin),
    handle: &Handle,
) -> String {
    loop {
        let message = match answers.next().await {
            Some(Ok(message)) => message,
            None => return "the tracker ended it".to_owned(),
            Some(Err(status)) => return status.to_string(),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
    use sart_bgp::speaker::Speaker;

    use super::*;
    use crate::bgpd::dial::SocketOptions;
    use crate::bgpd::metrics::Metrics;
    use crate::bgpd::owner::Owner;

    #[tokio::test]
    async fn a_tracker_that_is_gone_before_it_is_taken_up_keeps_no_other_one_out() {
        let (owner, handle, inbox) =
            Owner::new(Speaker::new(1), SocketOptions::default(), Metrics::default());
        tokio::spawn(owner.run(inbox, std::future::pending()));
        assert!(serve(&handle, stream::empty()).now_or_never().is_none(), "it is dropped half-way");
        let next = async {
            while handle.track_next_hops().await.unwrap().is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), next).await.unwrap();
    }
}
