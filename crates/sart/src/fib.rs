//! `sart fib`: one call to the route manager, and its answer as text.

mod json;
mod plain;
#[cfg(test)]
mod tests;

use anyhow::Context as _;
use sart_rpc::v1;
use sart_rpc::v1::fib_service_client::FibServiceClient;
use tonic::transport::Channel;

use crate::args::{ChannelCommand, FibArgs, FibCommand, Format};
use crate::output::{json as to_json, refused};

type Client = FibServiceClient<Channel>;

pub(crate) async fn run(args: FibArgs, format: Format) -> anyhow::Result<String> {
    let path = sart_rpc::socket_path(&args.endpoint)?;
    let mut client = FibServiceClient::new(sart_rpc::connect(path).await?);
    let FibCommand::Channel { command } = args.command;
    match command {
        ChannelCommand::Get { name } => {
            let channels = channels(&mut client).await?;
            let found = channels.iter().find(|channel| channel.name == name);
            let found =
                found.with_context(|| format!("no channel `{name}`; list the channels to see which are"))?;
            match format {
                Format::Plain => Ok(plain::channels(std::slice::from_ref(found))),
                Format::Json => to_json(&json::Channel::from(found)),
            }
        }
        ChannelCommand::List => {
            let channels = channels(&mut client).await?;
            match format {
                Format::Plain => Ok(plain::channels(&channels)),
                Format::Json => to_json(&json::Channels::from(channels.as_slice())),
            }
        }
        ChannelCommand::Route { name } => {
            let routes = routes(&mut client, name).await?;
            match format {
                Format::Plain => Ok(plain::routes(&routes)),
                Format::Json => to_json(&json::Routes::from(routes.as_slice())),
            }
        }
    }
}

async fn channels(client: &mut Client) -> anyhow::Result<Vec<v1::Channel>> {
    let answer = client.list_channels(v1::ListChannelsRequest {}).await;
    Ok(answer.map_err(|status| refused(&status))?.into_inner().channels)
}

async fn routes(client: &mut Client, channel: String) -> anyhow::Result<Vec<v1::FibRoute>> {
    let answer = client.list_routes(v1::ListRoutesRequest { channel }).await;
    let mut rows = answer.map_err(|status| refused(&status))?.into_inner();
    let mut routes = Vec::new();
    while let Some(route) = rows.message().await.map_err(|status| refused(&status))? {
        routes.push(route);
    }
    Ok(routes)
}
