//! `sart bgp next-hop`: the next hops in use and what is known of each. Must never guess a state.

use sart_rpc::v1;
use sart_rpc::v1::next_hop_service_client::NextHopServiceClient;
use serde::Serialize;
use tonic::transport::Channel;

use super::json::given;
use crate::args::Format;
use crate::output::{json, refused, table};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NextHops<'a> {
    tracker_connected: bool,
    next_hops: Vec<NextHop<'a>>,
}

#[derive(Debug, Serialize)]
struct NextHop<'a> {
    address: &'a str,
    state: &'static str,
    /// Only while it can be reached.
    metric: Option<u32>,
    /// Why it cannot, in the route manager's words.
    reason: Option<&'a str>,
}

pub(super) async fn run(channel: Channel, format: Format) -> anyhow::Result<String> {
    let answer = NextHopServiceClient::new(channel).list(v1::ListNextHopsRequest {}).await;
    show(&answer.map_err(|status| refused(&status))?.into_inner(), format)
}

pub(super) fn show(answer: &v1::ListNextHopsResponse, format: Format) -> anyhow::Result<String> {
    let next_hops: Vec<_> = answer.next_hops.iter().map(next_hop).collect();
    if let Format::Json = format {
        return json(&NextHops { tracker_connected: answer.tracked, next_hops });
    }
    let row = |hop: &NextHop<'_>| {
        let metric = hop.metric.map_or_else(|| "-".to_owned(), |metric| metric.to_string());
        vec![hop.address.to_owned(), hop.state.to_owned(), metric, hop.reason.unwrap_or("-").to_owned()]
    };
    let rows = table(&["NEXT HOP", "STATE", "METRIC", "REASON"], next_hops.iter().map(row));
    let who = if answer.tracked { "a route manager is connected" } else { "no route manager is connected" };
    Ok(format!("Tracker: {who}\n{rows}"))
}

fn next_hop(hop: &v1::NextHop) -> NextHop<'_> {
    let (state, metric) = match hop.state() {
        v1::NextHopState::Unspecified => ("unknown", None),
        v1::NextHopState::Reachable => ("reachable", Some(hop.metric)),
        v1::NextHopState::Unreachable => ("unreachable", None),
        v1::NextHopState::Unanswered => ("unanswered", None),
    };
    NextHop { address: &hop.address, state, metric, reason: given(&hop.reason) }
}
