//! The command line's grammar. Data only; upstream's commands and flags keep their names.

use std::net::{IpAddr, Ipv4Addr};

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use sart_rpc::{AGENT_SOCKET, BGPD_SOCKET, FIBD_SOCKET};

/// Kubernetes networking on BGP: talk to the daemons of this machine.
#[derive(Debug, Parser)]
#[command(name = "sart", version, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    /// Output format.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Plain)]
    pub(crate) output: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Plain,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The BGP speaker (sart-bgpd).
    Bgp(BgpArgs),
    /// The route manager (sart-fibd).
    Fib(FibArgs),
    /// Pools and blocks of addresses, as the cluster holds them (by KUBECONFIG or the pod's account).
    Ipam(IpamArgs),
    /// The pods of this node, as its agent (sart-agent) attached them.
    Cni(CniArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct CniArgs {
    /// Unix socket of the node agent.
    #[arg(short, long, global = true, default_value = AGENT_SOCKET)]
    pub(crate) endpoint: String,
    #[command(subcommand)]
    pub(crate) command: CniCommand,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum CniCommand {
    /// Each attachment: its pod, addresses and link.
    List,
    /// Compare journal, kernel, address book and dataplane, and change nothing; exit code 3 if they differ.
    Check,
    /// Compare and mend; exit code 3 if a difference is left.
    Repair,
}

#[derive(Debug, clap::Args)]
pub(crate) struct IpamArgs {
    #[command(subcommand)]
    pub(crate) command: IpamCommand,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum IpamCommand {
    /// Each pool: how many blocks are cut and left, and which nodes wait for one.
    Pools,
    /// Each block: its prefix, its node, and whether the node is lost.
    Blocks,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BgpArgs {
    /// Unix socket of the speaker; localhost:5000 means the default one.
    #[arg(short, long, global = true, default_value = BGPD_SOCKET)]
    pub(crate) endpoint: String,
    #[command(subcommand)]
    pub(crate) command: BgpCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BgpCommand {
    /// The speaker itself and its table.
    Global {
        #[command(subcommand)]
        command: GlobalCommand,
    },
    /// The neighbors and what they sent and were sent.
    Neighbor {
        #[command(subcommand)]
        command: NeighborCommand,
    },
    /// The tables: best paths, and what one neighbor sent or was sent.
    Rib(RibArgs),
    /// Every next hop in use: whether it can be reached, and how far it is.
    NextHop,
    /// The policies, their sets, and the chains of the neighbors.
    Policy(PolicyArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) command: Option<PolicyCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show every policy with its statements (the default).
    List,
    /// Show one policy.
    Get {
        /// Its name.
        name: String,
    },
    /// Show the sets that policies name.
    Sets,
    /// Show what each neighbor's chains are made of.
    Chains,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GlobalCommand {
    /// Show AS number, router id, port and switches.
    Get,
    /// Change them; what is not given stays.
    Set(SetArgs),
    /// The table of best and other paths.
    Rib(RibArgs),
    /// Ask whether the speaker answers.
    Health,
    /// Read the configuration file again, like SIGHUP.
    Reload,
    /// Change how much the speaker logs, until the file is read again.
    LogLevel {
        /// error, warn, info, debug, trace, or a filter such as info,sart_bgpd=debug.
        level: String,
    },
    /// Leave for good: ask every neighbor to use other routes (RFC 8326), wait, then end every session.
    Decommission {
        /// Text for the neighbors' operators, at most 255 octets (RFC 9003).
        #[arg(long, default_value = "")]
        text: String,
        /// Seconds between the two.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(..=3600))]
        wait: u32,
    },
}

#[derive(Debug, Default, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct SetArgs {
    /// AS number; restarts every session.
    #[arg(long)]
    pub(crate) asn: Option<u32>,
    /// Router id; restarts every session.
    #[arg(long)]
    pub(crate) router_id: Option<Ipv4Addr>,
    /// Whether equally good paths are used together.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) multi_path: Option<bool>,
    /// Whether neighbors of other ASes need a policy before anything is exchanged with them (RFC 8212).
    #[arg(long, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) ebgp_requires_policy: Option<bool>,
    /// Whether paths with an AS_SET in them are refused (RFC 9774).
    #[arg(long, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) reject_as_sets: Option<bool>,
    /// Whether a path counts only while the route manager knows a way to its next hop.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) track_next_hops: Option<bool>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RibArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(subcommand)]
    pub(crate) command: Option<RibCommand>,
}

/// Which paths of a table.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct FilterArgs {
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    /// Only this prefix.
    #[arg(long, global = true)]
    pub(crate) prefix: Option<String>,
    /// With --prefix: what lies inside it too.
    #[arg(long, global = true, requires = "prefix")]
    pub(crate) longer: bool,
    /// Only paths with such a community: 65000:100, 65000:*, no-export, 65000:1:2, rt:65000:1.
    #[arg(long, global = true)]
    pub(crate) community: Option<String>,
    /// Only AS paths that this regular expression matches: ^65001_, _65010$.
    #[arg(long, global = true)]
    pub(crate) as_path: Option<String>,
    /// Only paths of this neighbor; `local` is our own.
    #[arg(long, global = true)]
    pub(crate) peer: Option<String>,
    /// Only best paths.
    #[arg(long, global = true)]
    pub(crate) best: bool,
}

#[derive(Debug, Default, clap::Args)]
pub(crate) struct FamilyArgs {
    /// Only this address family.
    #[arg(short, long, global = true, value_enum)]
    pub(crate) afi: Option<Afi>,
    /// Subsequent address family.
    #[arg(short, long, global = true, value_enum, default_value_t = Safi::Unicast)]
    pub(crate) safi: Safi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Afi {
    Ipv4,
    Ipv6,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Safi {
    #[default]
    Unicast,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RibCommand {
    /// Show the table of best and other paths (the default).
    #[command(visible_alias = "local")]
    Get,
    /// Show what a neighbor sent, accepted or not.
    In {
        /// Its address.
        address: IpAddr,
    },
    /// Show what a neighbor was sent.
    Out {
        /// Its address.
        address: IpAddr,
    },
    /// Show the paths in use of every prefix that neighbors sent, then each change as it comes.
    Watch,
    /// Originate prefixes.
    Add {
        /// Prefixes, such as 10.0.0.0/24.
        #[arg(required = true)]
        prefixes: Vec<String>,
        /// origin=igp|egp|incomplete, local_pref=NUMBER or med=NUMBER; may be repeated.
        #[arg(short = 't', long = "attribute", value_parser = attribute)]
        attributes: Vec<Attribute>,
        /// Announce only to neighbors of this group; may be repeated.
        #[arg(short, long = "group")]
        groups: Vec<String>,
    },
    /// Withdraw prefixes that this speaker originates.
    Del {
        /// Prefixes, such as 10.0.0.0/24.
        #[arg(required = true)]
        prefixes: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    Origin(sart_rpc::v1::Origin),
    LocalPref(u32),
    Med(u32),
}

fn attribute(text: &str) -> Result<Attribute, String> {
    use sart_rpc::v1::Origin;
    let number =
        |value: &str| value.parse().map_err(|_| format!("`{value}` is not a number up to 4294967295"));
    match text.split_once('=') {
        Some(("origin", "igp")) => Ok(Attribute::Origin(Origin::Igp)),
        Some(("origin", "egp")) => Ok(Attribute::Origin(Origin::Egp)),
        Some(("origin", "incomplete")) => Ok(Attribute::Origin(Origin::Incomplete)),
        Some(("origin", value)) => Err(format!("origin `{value}` is not one of igp, egp, incomplete")),
        Some(("local_pref", value)) => number(value).map(Attribute::LocalPref),
        Some(("med", value)) => number(value).map(Attribute::Med),
        _ => Err("expected origin=…, local_pref=… or med=…".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum NeighborCommand {
    /// Show one neighbor.
    Get {
        /// Its address.
        address: IpAddr,
    },
    /// Show all neighbors.
    List,
    /// Show all neighbors, one a line, then each change as it comes.
    Watch,
    /// Show a neighbor's chains, or change them; what is not given stays. No session restarts.
    Policy(NeighborPolicyArgs),
    /// Add a neighbor.
    Add {
        /// Its address.
        address: IpAddr,
        /// Its AS number.
        asn: u32,
        /// Wait for it to connect.
        #[arg(long)]
        passive: bool,
        /// Refuse paths that do not begin with its AS.
        #[arg(long)]
        enforce_first_as: bool,
        /// A name for it; its address if none.
        #[arg(long)]
        name: Option<String>,
    },
    /// Remove a neighbor.
    Del {
        /// Its address.
        address: IpAddr,
    },
    /// Take a neighbor down and keep it down (Cease/Administrative Shutdown).
    Shutdown {
        /// Its address.
        address: IpAddr,
        /// Text for its operator, at most 255 octets (RFC 9003).
        #[arg(long, default_value = "")]
        text: String,
    },
    /// Take a neighbor up again.
    Start {
        /// Its address.
        address: IpAddr,
    },
    /// End a neighbor's session and begin anew; also ends a pause after a prefix limit.
    Reset {
        /// Its address.
        address: IpAddr,
        /// Text for its operator, at most 255 octets (RFC 9003).
        #[arg(long, default_value = "")]
        text: String,
    },
    /// Ask a neighbor for its routes again (RFC 2918).
    Refresh {
        /// Its address.
        address: IpAddr,
    },
    /// What a neighbor sent us, or we sent it.
    Rib {
        /// Its address.
        address: IpAddr,
        /// Which way.
        #[arg(short, long, value_enum)]
        kind: Kind,
        #[command(flatten)]
        filter: FilterArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct NeighborPolicyArgs {
    /// Its address.
    pub(crate) address: IpAddr,
    /// Policies for what it sends, in order, apart by commas; `none` takes the chain away.
    #[arg(long, value_delimiter = ',')]
    pub(crate) import: Option<Vec<String>>,
    /// What happens to a route of it that no statement decided about.
    #[arg(long, value_enum)]
    pub(crate) import_default: Option<ChainDefault>,
    /// Policies for what it is told, in order, apart by commas; `none` takes the chain away.
    #[arg(long, value_delimiter = ',')]
    pub(crate) export: Option<Vec<String>>,
    /// What happens to a route for it that no statement decided about.
    #[arg(long, value_enum)]
    pub(crate) export_default: Option<ChainDefault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChainDefault {
    Accept,
    Reject,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    In,
    Out,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FibArgs {
    /// Unix socket of the route manager; localhost:5001 means the default one.
    #[arg(short, long, global = true, default_value = FIBD_SOCKET)]
    pub(crate) endpoint: String,
    #[command(subcommand)]
    pub(crate) command: FibCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FibCommand {
    /// What routes come from where and go where.
    Channel {
        #[command(subcommand)]
        command: ChannelCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ChannelCommand {
    /// Show one channel.
    Get {
        /// Its name.
        name: String,
    },
    /// Show all channels.
    List,
    /// Show the routes of a channel and whether the kernel has them.
    Route {
        /// Its name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_grammar_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn upstreams_command_lines_parse() {
        for line in [
            "sart bgp global get",
            "sart -o json bgp -e localhost:5000 global get",
            "sart bgp global set --asn 65000 --router-id 10.0.0.1 --multi-path",
            "sart bgp global rib -a ipv4 -s unicast get",
            "sart bgp global rib add 10.0.0.0/24 10.1.0.0/24 -t origin=igp -t local_pref=300 -t med=100",
            "sart bgp global rib del 10.0.0.0/24",
            "sart bgp global health",
            "sart bgp neighbor get 10.0.0.2",
            "sart bgp neighbor list -o json",
            "sart bgp neighbor add 10.0.0.2 65001 --passive --enforce-first-as --name spine0",
            "sart bgp global set --reject-as-sets",
            "sart bgp global log-level info,sart_bgpd=debug",
            "sart bgp neighbor del 10.0.0.2",
            "sart bgp neighbor rib 10.0.0.2 -k in -a ipv6",
            "sart bgp rib",
            "sart bgp rib -o json get",
            "sart bgp rib in 10.0.0.2 --prefix 10.0.0.0/8 --longer",
            "sart bgp rib --community 65000:* out 10.0.0.2 -a ipv4",
            "sart bgp rib local --as-path ^65001_ --peer local --best -o json",
            "sart bgp rib watch",
            "sart bgp neighbor watch -o json",
            "sart bgp neighbor rib 10.0.0.2 -k out --community no-export",
            "sart bgp neighbor policy 10.0.0.2",
            "sart bgp neighbor policy 10.0.0.2 --import a,b --import-default reject --export none",
            "sart bgp global set --ebgp-requires-policy",
            "sart bgp global reload",
            "sart bgp global decommission --wait 5 --text moving",
            "sart bgp neighbor shutdown 10.0.0.2 --text maintenance",
            "sart bgp neighbor start 10.0.0.2",
            "sart bgp neighbor reset 10.0.0.2",
            "sart bgp neighbor refresh 10.0.0.2",
            "sart bgp global set --track-next-hops=false",
            "sart bgp next-hop -o json",
            "sart bgp policy",
            "sart bgp policy get from-spine -o json",
            "sart bgp policy sets",
            "sart bgp policy chains",
            "sart fib -e localhost:5001 channel list",
            "sart fib channel get bgp-to-kernel",
            "sart fib channel route bgp-to-kernel",
            "sart cni list",
            "sart cni -e /run/x.sock check -o json",
            "sart -o json cni repair",
        ] {
            if let Err(error) = Args::try_parse_from(line.split(' ')) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn wrong_usage_ends_with_two() {
        for line in [
            "sart",
            "sart bgp global set",
            "sart bgp neighbor add ten 1",
            "sart bgp neighbor rib 10.0.0.2",
            "sart bgp rib add",
            "sart bgp rib add 10.0.0.0/24 -t colour=red",
            "sart bgp rib add 10.0.0.0/24 -t med=-1",
            "sart -o yaml bgp rib",
            "sart bgp rib --unknown",
            "sart bgp rib --longer",
            "sart bgp rib in",
            "sart bgp neighbor policy 10.0.0.2 --import-default maybe",
            "sart bgp global decommission --wait 3601",
            "sart cni",
            "sart cni repair everything",
        ] {
            let error = Args::try_parse_from(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
