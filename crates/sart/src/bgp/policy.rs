//! `sart bgp policy` and `sart bgp neighbor policy`: policies as a table of statements and as JSON.

mod statement;

use sart_rpc::v1;
use serde::Serialize;
use serde_json::Value;

use self::statement::{Item, actions, conditions, then};
use super::Client;
use crate::args::{ChainDefault, Format, NeighborPolicyArgs, PolicyCommand};
use crate::output::{json as to_json, refused, table};

pub(super) async fn run(
    client: &mut Client,
    command: Option<PolicyCommand>,
    format: Format,
) -> anyhow::Result<String> {
    let answer = client.get_policy(v1::GetPolicyRequest {}).await.map_err(|status| refused(&status))?;
    let answer = answer.into_inner();
    match command {
        None | Some(PolicyCommand::List) => policies(&answer, None, format),
        Some(PolicyCommand::Get { name }) => policies(&answer, Some(&name), format),
        Some(PolicyCommand::Sets) => sets(&answer, format),
        Some(PolicyCommand::Chains) => chains(&answer.neighbors, format),
    }
}

/// Shows a neighbor's chains, after changing what was given.
pub(super) async fn of_neighbor(
    client: &mut Client,
    args: NeighborPolicyArgs,
    format: Format,
) -> anyhow::Result<String> {
    let address = args.address.to_string();
    let answer = if args.changes() {
        let neighbors = super::list(client, address.clone()).await?;
        let config = neighbors.into_iter().next().and_then(|neighbor| neighbor.config).unwrap_or_default();
        let request = v1::SetNeighborPolicyRequest {
            address: address.clone(),
            import: changed(config.import, args.import, args.import_default),
            export: changed(config.export, args.export, args.export_default),
        };
        client.set_neighbor_policy(request).await
    } else {
        client.get_policy(v1::GetPolicyRequest {}).await
    };
    let answer = answer.map_err(|status| refused(&status))?.into_inner();
    let of_it: Vec<_> = answer.neighbors.into_iter().filter(|neighbor| neighbor.address == address).collect();
    anyhow::ensure!(!of_it.is_empty(), "no neighbor {address}");
    chains(&of_it, format)
}

impl NeighborPolicyArgs {
    const fn changes(&self) -> bool {
        self.import.is_some()
            || self.export.is_some()
            || self.import_default.is_some()
            || self.export_default.is_some()
    }
}

/// What is not given stays; the policy `none` takes the chain away.
pub(super) fn changed(
    old: Option<v1::PolicyChain>,
    policies: Option<Vec<String>>,
    default: Option<ChainDefault>,
) -> Option<v1::PolicyChain> {
    let none = policies.as_ref().is_some_and(|names| *names == ["none"]);
    if (none || (policies.is_none() && old.is_none())) && default.is_none() {
        return None;
    }
    let mut chain = old.unwrap_or_default();
    if let Some(policies) = policies {
        chain.policies = if none { Vec::new() } else { policies };
    }
    match default {
        Some(ChainDefault::Accept) => chain.set_default(v1::PolicyDefault::Accept),
        Some(ChainDefault::Reject) => chain.set_default(v1::PolicyDefault::Reject),
        None => {}
    }
    Some(chain)
}

/// Configured and generated policies, the latter first, as they are asked.
fn all(answer: &v1::GetPolicyResponse) -> impl Iterator<Item = (bool, &v1::Policy)> {
    let generated = answer.generated.iter().flat_map(|config| &config.policies).map(|policy| (true, policy));
    let configured =
        answer.configured.iter().flat_map(|config| &config.policies).map(|policy| (false, policy));
    generated.chain(configured)
}

#[derive(Debug, Serialize)]
struct Policies<'a> {
    policies: Vec<Policy<'a>>,
}

#[derive(Debug, Serialize)]
struct Policy<'a> {
    name: &'a str,
    /// Made from import ranges, protected prefixes and transit.
    generated: bool,
    statements: Vec<Statement<'a>>,
}

#[derive(Debug, Serialize)]
struct Statement<'a> {
    name: &'a str,
    r#match: Value,
    set: Value,
    then: &'static str,
}

pub(super) fn policies(
    answer: &v1::GetPolicyResponse,
    only: Option<&str>,
    format: Format,
) -> anyhow::Result<String> {
    let found: Vec<_> =
        all(answer).filter(|(_, policy)| only.is_none_or(|name| name == policy.name)).collect();
    if let Some(name) = only {
        anyhow::ensure!(!found.is_empty(), "no policy {name}; `sart bgp policy` shows which there are");
    }
    match format {
        Format::Plain => {
            let header = ["POLICY", "STATEMENT", "MATCH", "SET", "THEN"];
            Ok(table(&header, found.iter().flat_map(|(_, policy)| rows(policy))))
        }
        Format::Json => {
            let policies = found.iter().map(|(generated, policy)| as_json(policy, *generated)).collect();
            to_json(&Policies { policies })
        }
    }
}

fn rows(policy: &v1::Policy) -> Vec<Vec<String>> {
    let words = |items: Vec<Item>, none: &str| {
        let words: Vec<String> = items.into_iter().map(|item| item.words).collect();
        if words.is_empty() { none.to_owned() } else { words.join(", ") }
    };
    let row = |(index, statement): (usize, &v1::PolicyStatement)| {
        vec![
            policy.name.clone(),
            if statement.name.is_empty() { index.to_string() } else { statement.name.clone() },
            words(conditions(statement.conditions.as_ref()), "everything"),
            words(actions(statement.actions.as_ref()), "-"),
            then(statement.then()).to_owned(),
        ]
    };
    policy.statements.iter().enumerate().map(row).collect()
}

fn as_json(policy: &v1::Policy, generated: bool) -> Policy<'_> {
    let object = |items: Vec<Item>| {
        Value::Object(items.into_iter().map(|item| (item.key.to_owned(), item.value)).collect())
    };
    let statement = |statement: &'_ v1::PolicyStatement| {
        (
            object(conditions(statement.conditions.as_ref())),
            object(actions(statement.actions.as_ref())),
            then(statement.then()),
        )
    };
    let statements = policy.statements.iter().map(|of| {
        let (conditions, set, then) = statement(of);
        Statement { name: &of.name, r#match: conditions, set, then }
    });
    Policy { name: &policy.name, generated, statements: statements.collect() }
}

#[derive(Debug, Serialize)]
struct Sets<'a> {
    sets: Vec<Set<'a>>,
}

#[derive(Debug, Serialize)]
struct Set<'a> {
    kind: &'static str,
    name: &'a str,
    members: Vec<String>,
}

pub(super) fn sets(answer: &v1::GetPolicyResponse, format: Format) -> anyhow::Result<String> {
    let configs = answer.generated.iter().chain(&answer.configured);
    let sets: Vec<Set<'_>> = configs.flat_map(sets_of).collect();
    match format {
        Format::Plain => {
            let row = |set: &Set<'_>| vec![set.kind.to_owned(), set.name.to_owned(), set.members.join(", ")];
            Ok(table(&["KIND", "SET", "MEMBERS"], sets.iter().map(row)))
        }
        Format::Json => to_json(&Sets { sets }),
    }
}

fn sets_of(config: &v1::PolicyConfig) -> Vec<Set<'_>> {
    let prefixes = config.prefix_sets.iter().map(|set| Set {
        kind: "prefix",
        name: &set.name,
        members: set.prefixes.iter().map(statement::prefix_range).collect(),
    });
    let values = [
        ("as-path", &config.as_path_sets),
        ("community", &config.community_sets),
        ("ext-community", &config.ext_community_sets),
        ("large-community", &config.large_community_sets),
        ("next-hop", &config.next_hop_sets),
        ("neighbor", &config.neighbor_sets),
    ];
    let values = values.into_iter().flat_map(|(kind, sets)| {
        sets.iter().map(move |set| Set { kind, name: &set.name, members: set.members.clone() })
    });
    prefixes.chain(values).collect()
}

#[derive(Debug, Serialize)]
struct Chains<'a> {
    neighbors: Vec<NeighborChains<'a>>,
}

#[derive(Debug, Serialize)]
struct NeighborChains<'a> {
    address: &'a str,
    name: &'a str,
    import: Effective<'a>,
    export: Effective<'a>,
}

/// A chain as it is in force.
#[derive(Debug, Serialize)]
struct Effective<'a> {
    policies: &'a [String],
    /// What happens to a route that no statement decided about.
    end: &'a str,
}

impl<'a> Effective<'a> {
    fn new(chain: Option<&'a v1::EffectiveChain>) -> Self {
        Self {
            policies: chain.map_or(&[], |chain| &chain.policies),
            end: chain.map_or("", |chain| &chain.end),
        }
    }

    fn words(&self) -> String {
        let policies = self.policies.iter().map(String::as_str);
        policies.chain([self.end]).collect::<Vec<_>>().join(", then ")
    }
}

pub(super) fn chains(neighbors: &[v1::NeighborPolicy], format: Format) -> anyhow::Result<String> {
    let chains = neighbors.iter().map(|neighbor| NeighborChains {
        address: &neighbor.address,
        name: &neighbor.name,
        import: Effective::new(neighbor.import.as_ref()),
        export: Effective::new(neighbor.export.as_ref()),
    });
    match format {
        Format::Plain => {
            let row = |of: NeighborChains<'_>| {
                vec![of.address.to_owned(), of.name.to_owned(), of.import.words(), of.export.words()]
            };
            Ok(table(&["NEIGHBOR", "NAME", "IMPORT", "EXPORT"], chains.map(row)))
        }
        Format::Json => to_json(&Chains { neighbors: chains.collect() }),
    }
}
