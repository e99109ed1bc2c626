//! The file as written: every key, nothing checked but its shape. Must never give a missing value a meaning.

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::Fault;
use super::policy::{RawChain, RawPolicy, RawSets};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) asn: Option<Spanned<u32>>,
    pub(super) router_id: Option<Spanned<String>>,
    pub(super) port: Option<u16>,
    #[serde(default)]
    pub(super) neighbors: Vec<RawNeighbor>,
    #[serde(default)]
    pub(super) multi_path: bool,
    pub(super) max_paths: Option<Spanned<u8>>,
    pub(super) multi_path_relax: Option<bool>,
    #[serde(default)]
    pub(super) always_compare_med: bool,
    pub(super) deterministic_med: Option<Spanned<bool>>,
    #[serde(default)]
    pub(super) missing_med_as_worst: bool,
    #[serde(default)]
    pub(super) reject_as_sets: bool,
    pub(super) cluster_id: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) paths: Vec<RawPaths>,
    pub(super) import_ranges: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) protected_prefixes: Vec<Spanned<String>>,
    pub(super) transit: Option<Spanned<String>>,
    pub(super) ebgp_requires_policy: Option<bool>,
    pub(super) defined_sets: Option<RawSets>,
    pub(super) policies: Option<Vec<RawPolicy>>,
    #[serde(default)]
    pub(super) prefer_oldest: bool,
    #[serde(default)]
    pub(super) graceful_shutdown: bool,
    #[serde(default)]
    pub(super) track_next_hops: bool,
    #[serde(default)]
    pub(super) next_hop_metrics: Vec<RawMetric>,
    pub(super) log_level: Option<Spanned<String>>,
    pub(super) fib_endpoint: Option<Spanned<String>>,
    pub(super) fib_table: Option<Spanned<u32>>,
    pub(super) exporter: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetric {
    pub(super) address: Spanned<String>,
    pub(super) metric: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNeighbor {
    pub(super) name: Option<Spanned<String>>,
    pub(super) asn: Spanned<u32>,
    pub(super) address: Spanned<String>,
    pub(super) router_id: Option<Spanned<String>>,
    pub(super) route_reflector_client: Option<Spanned<bool>>,
    pub(super) enforce_first_as: Option<Spanned<bool>>,
    #[serde(default)]
    pub(super) passive: bool,
    pub(super) hold_time: Option<Spanned<u16>>,
    pub(super) keepalive_time: Option<u16>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    pub(super) port: Option<u16>,
    pub(super) import: Option<RawChain>,
    pub(super) export: Option<RawChain>,
    pub(super) connect_retry: Option<u16>,
    pub(super) shutdown: Option<Spanned<String>>,
    pub(super) prefix_limit: Option<RawPrefixLimit>,
    pub(super) export_limit: Option<Spanned<u32>>,
    #[serde(default)]
    pub(super) families: Vec<Spanned<String>>,
    pub(super) local_address: Option<Spanned<String>>,
    pub(super) ttl: Option<Spanned<u8>>,
    pub(super) ttl_security: Option<Spanned<u8>>,
    pub(super) password: Option<Spanned<String>>,
    pub(super) password_file: Option<Spanned<String>>,
    pub(super) send_hold_time: Option<u32>,
    #[serde(default)]
    pub(super) extended_messages: bool,
    #[serde(default)]
    pub(super) extended_next_hop: bool,
    #[serde(default)]
    pub(super) add_path: RawAddPath,
    pub(super) role: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) strict_role: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAddPath {
    #[serde(default)]
    pub(super) receive: bool,
    #[serde(default)]
    pub(super) send: u8,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrefixLimit {
    pub(super) max: Spanned<u32>,
    pub(super) warn_percent: Option<Spanned<u8>>,
    pub(super) restart: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPaths {
    pub(super) prefixes: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) attributes: Vec<RawAttribute>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
}

/// One `- key: value` item.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAttribute {
    pub(super) origin: Option<Spanned<String>>,
    pub(super) local_pref: Option<u32>,
    pub(super) med: Option<u32>,
}

pub(super) fn parse(text: &str) -> Result<RawConfig, Fault> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |at| at.line());
        // The parser appends the place; ours is in front.
        let problem = error.to_string();
        let problem = problem.lines().next().unwrap_or_default();
        let problem = problem.split(" at line ").next().unwrap_or(problem);
        // A hint for programmers, not for whoever wrote the file.
        let problem = problem.split(", set DuplicateKeyPolicy").next().unwrap_or(problem);
        let problem = problem.rsplit_once(": line ").map_or(problem, |(text, _)| text);
        Fault { line, field: key_on(text, line), problem: problem.to_owned() }
    })
}

/// The key that the line with the fault sets, or the last one set above it.
fn key_on(text: &str, line: u64) -> String {
    let last = usize::try_from(line).unwrap_or(usize::MAX);
    let above: Vec<&str> = text.lines().take(last).collect();
    let key = above.iter().rev().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let key = line.trim().trim_start_matches("- ").split_once(':')?.0.trim();
        (!key.is_empty() && !key.contains([' ', '"', '{', '['])).then(|| key.to_owned())
    });
    key.unwrap_or_else(|| "file".to_owned())
}
