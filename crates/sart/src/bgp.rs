//! `sart bgp`: one call (or a get and a set) to the speaker, and its answer as text; or a watch until the reader goes.

mod json;
mod listing;
mod next_hops;
mod plain;
mod policy;
#[cfg(test)]
mod tests;
mod watch;

use sart_rpc::v1;
use sart_rpc::v1::bgp_service_client::BgpServiceClient;
use tonic::transport::Channel;

use self::listing::Listing;
use crate::args::{
    Afi, Attribute, BgpArgs, BgpCommand, FamilyArgs, FilterArgs, Format, GlobalCommand, Kind,
    NeighborCommand, RibArgs, RibCommand, Safi, SetArgs,
};
use crate::output::{Out, json as to_json, refused};

type Client = BgpServiceClient<Channel>;

pub(crate) async fn run(args: BgpArgs, format: Format, out: &mut Out) -> anyhow::Result<()> {
    let path = sart_rpc::socket_path(&args.endpoint)?;
    let channel = sart_rpc::connect(path).await?;
    let mut client = BgpServiceClient::new(channel.clone());
    let text = match args.command {
        BgpCommand::Neighbor { command: NeighborCommand::Watch } => {
            return watch::neighbors(&mut client, format, out).await;
        }
        BgpCommand::Rib(RibArgs { command: Some(RibCommand::Watch), filter })
        | BgpCommand::Global {
            command: GlobalCommand::Rib(RibArgs { command: Some(RibCommand::Watch), filter }),
        } => {
            return watch::best_paths(&mut client, &filter, format, out).await;
        }
        BgpCommand::Global { command } => global(&mut client, command, format, out).await,
        BgpCommand::Neighbor { command } => neighbor(&mut client, command, format, out).await,
        BgpCommand::Rib(rib) => self::rib(&mut client, rib, format, out).await,
        BgpCommand::NextHop => next_hops::run(channel, format).await,
        BgpCommand::Policy(policy) => policy::run(&mut client, policy.command, format).await,
    }?;
    out.put(&text).map(|_| ())
}

async fn global(
    client: &mut Client,
    command: GlobalCommand,
    format: Format,
    out: &mut Out,
) -> anyhow::Result<String> {
    match command {
        GlobalCommand::Get => {
            let global = get_global(client).await?;
            show_global(&global, format)
        }
        GlobalCommand::Set(set) => {
            let request = v1::SetGlobalRequest { global: Some(changed(get_global(client).await?, &set)) };
            let global = client.set_global(request).await.map_err(|status| refused(&status))?.into_inner();
            show_global(&global, format)
        }
        GlobalCommand::Rib(rib) => self::rib(client, rib, format, out).await,
        GlobalCommand::Decommission { text, wait } => {
            let request = v1::DecommissionRequest { text, wait_seconds: wait };
            client.decommission(request).await.map_err(|status| refused(&status))?;
            done(format, "every session has ended")
        }
        GlobalCommand::Reload => {
            let answer = client.reload(v1::ReloadRequest {}).await.map_err(|status| refused(&status))?;
            show_applied(&answer.into_inner(), format)
        }
        GlobalCommand::LogLevel { level } => {
            let request = v1::SetLogLevelRequest { level: level.clone() };
            client.set_log_level(request).await.map_err(|status| refused(&status))?;
            done(format, &format!("the log level is {level}"))
        }
        GlobalCommand::Health => {
            get_global(client).await?;
            Ok(match format {
                Format::Plain => "ok\n".to_owned(),
                Format::Json => to_json(&json::Health { status: "ok" })?,
            })
        }
    }
}

fn show_applied(applied: &v1::ApplyConfigResponse, format: Format) -> anyhow::Result<String> {
    match format {
        Format::Plain => Ok(plain::applied(applied)),
        Format::Json => to_json(&json::Applied::from(applied)),
    }
}

async fn get_global(client: &mut Client) -> anyhow::Result<v1::Global> {
    let answer = client.get_global(v1::GetGlobalRequest {}).await;
    Ok(answer.map_err(|status| refused(&status))?.into_inner())
}

/// What is not given stays. A speaker that has no identity yet starts as a standalone one.
fn changed(mut global: v1::Global, set: &SetArgs) -> v1::Global {
    if global.asn == 0 {
        global.import_all = true;
        global.set_transit(v1::TransitPolicy::Full);
    }
    global.asn = set.asn.unwrap_or(global.asn);
    global.router_id = set.router_id.map_or(global.router_id, |id| id.to_string());
    global.ebgp_requires_policy = set.ebgp_requires_policy.unwrap_or(global.ebgp_requires_policy);
    global.reject_as_sets = set.reject_as_sets.unwrap_or(global.reject_as_sets);
    global.track_next_hops = set.track_next_hops.unwrap_or(global.track_next_hops);
    global.multipath = set.multi_path.or(global.multipath);
    global
}

fn show_global(global: &v1::Global, format: Format) -> anyhow::Result<String> {
    match format {
        Format::Plain => Ok(plain::global(global)),
        Format::Json => to_json(&json::Global::from(global)),
    }
}

async fn neighbor(
    client: &mut Client,
    command: NeighborCommand,
    format: Format,
    out: &mut Out,
) -> anyhow::Result<String> {
    match command {
        NeighborCommand::Get { address } => {
            let neighbors = list(client, address.to_string()).await?;
            let neighbor = neighbors.first().ok_or_else(|| anyhow::anyhow!("no neighbor {address}"))?;
            show_neighbor(neighbor, format)
        }
        NeighborCommand::List => {
            let neighbors = list(client, String::new()).await?;
            match format {
                Format::Plain => Ok(plain::neighbors(&neighbors)),
                Format::Json => to_json(&json::Peers::from(neighbors.as_slice())),
            }
        }
        NeighborCommand::Watch => anyhow::bail!("watching ends only with its reader"),
        NeighborCommand::Policy(args) => policy::of_neighbor(client, args, format).await,
        NeighborCommand::Add { address, asn, passive, enforce_first_as, name } => {
            let (name, address) = (name.unwrap_or_default(), address.to_string());
            let config =
                v1::NeighborConfig { name, address, asn, passive, enforce_first_as, ..Default::default() };
            let request = v1::AddNeighborRequest { neighbor: Some(config) };
            show_answer(client.add_neighbor(request).await, format)
        }
        NeighborCommand::Del { address } => {
            let request = v1::DeleteNeighborRequest { address: address.to_string() };
            client.delete_neighbor(request).await.map_err(|status| refused(&status))?;
            done(format, &format!("deleted neighbor {address}"))
        }
        NeighborCommand::Shutdown { address, text } => {
            let request = v1::ShutdownNeighborRequest { address: address.to_string(), text };
            show_answer(client.shutdown_neighbor(request).await, format)
        }
        NeighborCommand::Start { address } => {
            let request = v1::StartNeighborRequest { address: address.to_string() };
            show_answer(client.start_neighbor(request).await, format)
        }
        NeighborCommand::Reset { address, text } => {
            let request = v1::ResetNeighborRequest { address: address.to_string(), text };
            show_answer(client.reset_neighbor(request).await, format)
        }
        NeighborCommand::Refresh { address } => {
            let request = v1::RefreshNeighborRequest { address: address.to_string() };
            show_answer(client.refresh_neighbor(request).await, format)
        }
        NeighborCommand::Rib { address, kind, filter } => {
            let table = match kind {
                Kind::In => v1::Table::AdjIn,
                Kind::Out => v1::Table::AdjOut,
            };
            show_paths(client, (table, address.to_string()), &filter, format, out).await
        }
    }
}

async fn list(client: &mut Client, address: String) -> anyhow::Result<Vec<v1::Neighbor>> {
    let answer = client.list_neighbors(v1::ListNeighborsRequest { address }).await;
    Ok(answer.map_err(|status| refused(&status))?.into_inner().neighbors)
}

fn show_answer(
    answer: Result<tonic::Response<v1::Neighbor>, tonic::Status>,
    format: Format,
) -> anyhow::Result<String> {
    show_neighbor(answer.map_err(|status| refused(&status))?.get_ref(), format)
}

fn show_neighbor(neighbor: &v1::Neighbor, format: Format) -> anyhow::Result<String> {
    match format {
        Format::Plain => Ok(plain::neighbor(neighbor)),
        Format::Json => to_json(&json::Peer::from(neighbor)),
    }
}

fn done(format: Format, sentence: &str) -> anyhow::Result<String> {
    match format {
        Format::Plain => Ok(format!("{sentence}\n")),
        Format::Json => to_json(&json::Done { message: sentence }),
    }
}

async fn rib(client: &mut Client, rib: RibArgs, format: Format, out: &mut Out) -> anyhow::Result<String> {
    let request = match rib.command {
        None | Some(RibCommand::Get) => {
            return show_paths(client, (v1::Table::Local, String::new()), &rib.filter, format, out).await;
        }
        Some(RibCommand::In { address }) => {
            return show_paths(client, (v1::Table::AdjIn, address.to_string()), &rib.filter, format, out)
                .await;
        }
        Some(RibCommand::Out { address }) => {
            return show_paths(client, (v1::Table::AdjOut, address.to_string()), &rib.filter, format, out)
                .await;
        }
        Some(RibCommand::Watch) => anyhow::bail!("watching ends only with its reader"),
        Some(RibCommand::Add { prefixes, attributes, groups }) => {
            let upserts =
                prefixes.into_iter().map(|prefix| local_path(prefix, &attributes, &groups)).collect();
            v1::UpdatePathsRequest { upserts, withdrawals: Vec::new() }
        }
        Some(RibCommand::Del { prefixes }) => {
            v1::UpdatePathsRequest { upserts: Vec::new(), withdrawals: prefixes }
        }
    };
    let answer = client.update_paths(request).await.map_err(|status| refused(&status))?.into_inner();
    anyhow::ensure!(answer.unknown == 0, "{} of the prefixes were not originated here", answer.unknown);
    done(format, &format!("paths changed: {}", answer.changed))
}

fn local_path(prefix: String, attributes: &[Attribute], groups: &[String]) -> v1::LocalPath {
    let mut path = v1::LocalPath { prefix, groups: groups.to_vec(), ..Default::default() };
    for attribute in attributes {
        match *attribute {
            Attribute::Origin(origin) => path.set_origin(origin),
            Attribute::LocalPref(value) => path.local_pref = Some(value),
            Attribute::Med(value) => path.med = Some(value),
        }
    }
    path
}

/// Writes a table while it comes; what is left to write at its end.
async fn show_paths(
    client: &mut Client,
    (table, neighbor): (v1::Table, String),
    filter: &FilterArgs,
    format: Format,
    out: &mut Out,
) -> anyhow::Result<String> {
    let request = list_request(table, neighbor, filter);
    let mut rows = client.list_paths(request).await.map_err(|status| refused(&status))?.into_inner();
    let mut listing = Listing::new(format, table);
    while let Some(path) = rows.message().await.map_err(|status| refused(&status))? {
        listing.push(&path, jiff::Timestamp::now())?;
        if let Some(piece) = listing.piece()
            && !out.put(&piece)?
        {
            // Nobody reads on.
            return Ok(String::new());
        }
    }
    Ok(listing.finish())
}

fn family(args: &FamilyArgs) -> v1::AddressFamily {
    match (args.afi, args.safi) {
        (None, Safi::Unicast) => v1::AddressFamily::Unspecified,
        (Some(Afi::Ipv4), Safi::Unicast) => v1::AddressFamily::Ipv4Unicast,
        (Some(Afi::Ipv6), Safi::Unicast) => v1::AddressFamily::Ipv6Unicast,
    }
}

fn list_request(table: v1::Table, neighbor: String, filter: &FilterArgs) -> v1::ListPathsRequest {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    v1::ListPathsRequest {
        table: table.into(),
        neighbor,
        family: family(&filter.family).into(),
        prefix: text(&filter.prefix),
        longer: filter.longer,
        community: text(&filter.community),
        as_path: text(&filter.as_path),
        peer: text(&filter.peer),
        best: filter.best,
    }
}
