//! `sart ipam`: pools and blocks of addresses as the cluster holds them.

mod rows;
#[cfg(test)]
mod tests;

use anyhow::Context as _;
use kube::api::ListParams;
use kube::{Api, Client};
use sart_api::{AddressBlock, AddressPool, BlockRequest};

use crate::args::{Format, IpamArgs, IpamCommand};
use crate::output::{json, table};

pub(crate) async fn run(args: IpamArgs, format: Format) -> anyhow::Result<String> {
    let client = Client::try_default().await.context("no way to the API server; set KUBECONFIG")?;
    let blocks = list::<AddressBlock>(&client).await?;
    match args.command {
        IpamCommand::Pools => {
            let pools = list::<AddressPool>(&client).await?;
            let rows = rows::pools(&pools, &blocks, &list::<BlockRequest>(&client).await?);
            Ok(match format {
                Format::Plain => table(&rows::POOL_COLUMNS, rows.iter().map(rows::PoolRow::cells)),
                Format::Json => json(&rows)?,
            })
        }
        IpamCommand::Blocks => {
            let rows = rows::blocks(&blocks);
            Ok(match format {
                Format::Plain => table(&rows::BLOCK_COLUMNS, rows.iter().map(rows::BlockRow::cells)),
                Format::Json => json(&rows)?,
            })
        }
    }
}

async fn list<K>(client: &Client) -> anyhow::Result<Vec<K>>
where
    K: kube::Resource<DynamicType = ()> + Clone + core::fmt::Debug + serde::de::DeserializeOwned,
{
    let answer = Api::<K>::all(client.clone()).list(&ListParams::default()).await;
    Ok(answer.with_context(|| format!("cannot list {}", K::plural(&())))?.items)
}
