//! Watching: one line per event, as it comes, until the reader or the speaker goes away. Must never collect events.

use jiff::Timestamp;
use sart_rpc::v1;
use serde::Serialize;

use super::{Client, family, json, plain};
use crate::args::{FilterArgs, Format};
use crate::output::{Out, json_line, refused};

/// What a watcher of neighbors reads.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum NeighborLine<'a> {
    Neighbor(Box<json::Peer<'a>>),
    Deleted {
        address: &'a str,
    },
    /// Every known neighbor has been shown once.
    Synced {
        at: Timestamp,
    },
}

/// What a watcher of best paths reads.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum PathLine<'a> {
    Path {
        prefix: &'a str,
        next_hops: Vec<&'a str>,
        internal: bool,
    },
    Withdrawn {
        prefix: &'a str,
    },
    /// Every prefix has been shown once and every neighbor has sent all it has.
    Synced {
        at: Timestamp,
    },
}

pub(super) async fn neighbors(client: &mut Client, format: Format, out: &mut Out) -> anyhow::Result<()> {
    let answer = client.watch_neighbors(v1::WatchNeighborsRequest {}).await;
    let mut events = answer.map_err(|status| refused(&status))?.into_inner();
    while let Some(event) = events.message().await.map_err(|status| refused(&status))? {
        let Some(line) = neighbor_line(&event, format, Timestamp::now())? else { continue };
        if !out.put(&line)? {
            return Ok(());
        }
    }
    anyhow::bail!("the speaker ended the watch")
}

pub(super) async fn best_paths(
    client: &mut Client,
    filter: &FilterArgs,
    format: Format,
    out: &mut Out,
) -> anyhow::Result<()> {
    let narrow = filter.prefix.is_some() || filter.community.is_some() || filter.as_path.is_some();
    anyhow::ensure!(!narrow && filter.peer.is_none(), "a watch can be narrowed with --afi only");
    let families = match family(&filter.family) {
        v1::AddressFamily::Unspecified => Vec::new(),
        only => vec![only.into()],
    };
    let answer = client.watch_best_paths(v1::WatchBestPathsRequest { families }).await;
    let mut events = answer.map_err(|status| refused(&status))?.into_inner();
    while let Some(event) = events.message().await.map_err(|status| refused(&status))? {
        let Some(line) = path_line(&event, format, Timestamp::now())? else { continue };
        if !out.put(&line)? {
            return Ok(());
        }
    }
    anyhow::bail!("the speaker ended the watch")
}

pub(super) fn neighbor_line(
    event: &v1::NeighborEvent,
    format: Format,
    now: Timestamp,
) -> anyhow::Result<Option<String>> {
    use v1::neighbor_event::Event;
    let line = match (event.event.as_ref(), format) {
        (None, _) => return Ok(None),
        (Some(Event::Neighbor(neighbor)), Format::Plain) => plain::neighbor_line(neighbor, now),
        (Some(Event::Neighbor(neighbor)), Format::Json) => {
            json_line(&NeighborLine::Neighbor(Box::new(neighbor.into())))?
        }
        (Some(Event::DeletedAddress(address)), Format::Plain) => format!("{now} {address} deleted\n"),
        (Some(Event::DeletedAddress(address)), Format::Json) => {
            json_line(&NeighborLine::Deleted { address })?
        }
        (Some(Event::Synced(_)), Format::Plain) => format!("{now} these are all; changes follow\n"),
        (Some(Event::Synced(_)), Format::Json) => json_line(&NeighborLine::Synced { at: now })?,
    };
    Ok(Some(line))
}

pub(super) fn path_line(
    event: &v1::BestPathEvent,
    format: Format,
    now: Timestamp,
) -> anyhow::Result<Option<String>> {
    use v1::best_path_event::Event;
    let line = match (event.event.as_ref(), format) {
        (None, _) => return Ok(None),
        (Some(Event::Path(path)), Format::Plain) => plain::best_path_line(path, now),
        (Some(Event::Path(path)), Format::Json) if path.next_hops.is_empty() => {
            json_line(&PathLine::Withdrawn { prefix: &path.prefix })?
        }
        (Some(Event::Path(path)), Format::Json) => json_line(&PathLine::Path {
            prefix: &path.prefix,
            next_hops: path.next_hops.iter().map(|hop| hop.address.as_str()).collect(),
            internal: path.internal,
        })?,
        (Some(Event::EndOfRib(_)), Format::Plain) => format!("{now} these are all; changes follow\n"),
        (Some(Event::EndOfRib(_)), Format::Json) => json_line(&PathLine::Synced { at: now })?,
    };
    Ok(Some(line))
}
