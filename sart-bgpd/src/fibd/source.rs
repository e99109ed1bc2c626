//! One speaker's best paths as events. Reconnects for ever; a lost speaker takes nothing away by itself.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use sart_fib::{Source, SourceId, SourceRoute, Target};
use sart_rpc::v1::bgp_service_client::BgpServiceClient;
use sart_rpc::v1::{AddressFamily, BestPath, WatchBestPathsRequest, best_path_event};
use tokio::sync::mpsc;

use super::config::Family;

/// First pause before a speaker is called again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between two calls.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What a source said.
#[derive(Debug)]
pub enum SourceEvent {
    /// A new stream begins: everything will be said again.
    Begin,
    /// A route was added or changed.
    Route(SourceRoute),
    /// A route is gone.
    Withdraw(IpNet),
    /// Everything has been said.
    EndOfRib,
    /// The stream is lost; the routes stay.
    Lost,
    /// A path made no sense and was left out.
    Invalid(String),
}

/// Which source an event is from.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// Index of the channel.
    pub channel: usize,
    /// Index of the source in the channel.
    pub source: SourceId,
}

/// The speaker to follow.
#[derive(Debug)]
pub struct Follow {
    /// Its socket.
    pub socket: PathBuf,
    /// The family asked for.
    pub family: Family,
    /// Stamped on every event.
    pub origin: Origin,
}

/// Follows a speaker until the receiver is gone. The queue is bounded: a slow kernel slows the speaker's stream.
pub async fn follow(what: Follow, events: mpsc::Sender<(Origin, SourceEvent)>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut began = false;
        let ended = stream(&what, &events, &mut began).await;
        if began {
            pause = FIRST_PAUSE;
            if events.send((what.origin, SourceEvent::Lost)).await.is_err() {
                return;
            }
        }
        match ended {
            Ended::Engine => return,
            Ended::Speaker(why) if began => {
                tracing::warn!(socket = %what.socket.display(), %why, "lost the speaker; its routes stay");
            }
            Ended::Speaker(why) => {
                tracing::debug!(socket = %what.socket.display(), %why, "the speaker does not answer yet");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Ended {
    /// Nobody listens any more.
    Engine,
    /// The speaker ended the stream, or never began it.
    Speaker(String),
}

async fn stream(what: &Follow, events: &mpsc::Sender<(Origin, SourceEvent)>, began: &mut bool) -> Ended {
    let channel = match sart_rpc::connect(&what.socket).await {
        Ok(channel) => channel,
        Err(error) => return Ended::Speaker(error.to_string()),
    };
    let family = match what.family {
        Family::V4 => AddressFamily::Ipv4Unicast,
        Family::V6 => AddressFamily::Ipv6Unicast,
    };
    let request = WatchBestPathsRequest { families: vec![family as i32] };
    let mut stream = match BgpServiceClient::new(channel).watch_best_paths(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Ended::Speaker(status.to_string()),
    };
    *began = true;
    if events.send((what.origin, SourceEvent::Begin)).await.is_err() {
        return Ended::Engine;
    }
    tracing::info!(socket = %what.socket.display(), family = what.family.word(), "following the speaker");
    loop {
        let event = match stream.message().await {
            Ok(Some(event)) => event.event,
            Ok(None) => return Ended::Speaker("the speaker ended the stream".into()),
            Err(status) => return Ended::Speaker(status.to_string()),
        };
        let event = match event {
            Some(best_path_event::Event::Path(path)) => read(&path, what.family),
            Some(best_path_event::Event::EndOfRib(_)) => SourceEvent::EndOfRib,
            None => continue,
        };
        if events.send((what.origin, event)).await.is_err() {
            return Ended::Engine;
        }
    }
}

/// A path without next hops is a withdrawal. Next hops that are no addresses are left out of the set.
fn read(path: &BestPath, family: Family) -> SourceEvent {
    let prefix = match path.prefix.parse::<IpNet>() {
        Ok(prefix) if family.holds(&prefix) => prefix.trunc(),
        Ok(prefix) => return SourceEvent::Invalid(format!("{prefix} is not {}", family.word())),
        Err(error) => return SourceEvent::Invalid(format!("`{}` is not a prefix: {error}", path.prefix)),
    };
    if path.next_hops.is_empty() {
        return SourceEvent::Withdraw(prefix);
    }
    let hops = path.next_hops.iter().filter_map(|hop| {
        let weight = u16::try_from(hop.weight.max(1)).unwrap_or(u16::MAX);
        hop.address.parse::<IpAddr>().ok().map(|address| (address, weight))
    });
    SourceEvent::Route(SourceRoute {
        prefix,
        source: Source::Bgp { internal: path.internal },
        target: Target::NextHops(hops.collect()),
    })
}

#[cfg(test)]
mod tests {
    use sart_rpc::v1::BestNextHop;

    use super::*;

    fn path(prefix: &str, next_hops: &[&str]) -> BestPath {
        let hop = |address: &&str| BestNextHop { address: (*address).to_owned(), weight: 0 };
        BestPath {
            prefix: prefix.to_owned(),
            next_hops: next_hops.iter().map(hop).collect(),
            internal: false,
        }
    }

    #[test]
    fn paths_become_routes_withdrawals_or_are_named_invalid() {
        let SourceEvent::Route(route) = read(&path("10.0.1.9/24", &["10.0.0.1", "nonsense"]), Family::V4)
        else {
            panic!("not a route");
        };
        assert_eq!(route.prefix, "10.0.1.0/24".parse().unwrap());
        assert_eq!(route.target, Target::NextHops(vec![("10.0.0.1".parse().unwrap(), 1)]));
        assert!(matches!(read(&path("10.0.1.0/24", &[]), Family::V4), SourceEvent::Withdraw(_)));
        assert!(matches!(read(&path("10.0.1.0/24", &[]), Family::V6), SourceEvent::Invalid(_)));
        assert!(matches!(read(&path("10.0.1.0/33", &["10.0.0.1"]), Family::V4), SourceEvent::Invalid(_)));
    }
}
