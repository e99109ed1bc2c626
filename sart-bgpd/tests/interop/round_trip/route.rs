//! A route in one form for all speakers, and how each of them prints it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use sart_rpc::v1;
use serde_json::Value;

/// Everything that is compared of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// 0 to 2.
    pub origin: u64,
    pub path: Vec<u64>,
    pub next_hop: String,
    pub med: Option<u64>,
    pub local_pref: u64,
    pub atomic_aggregate: bool,
    /// AS number and address.
    pub aggregator: Option<(u64, String)>,
    /// `65000:1`.
    pub communities: Vec<String>,
    /// `rt:65000:1` or `soo:…`.
    pub ext_communities: Vec<String>,
    /// `65000:1:2`.
    pub large_communities: Vec<String>,
    pub originator: Option<String>,
    pub cluster_list: Vec<String>,
    /// Only to Customer.
    pub otc: Option<u64>,
    /// The address in the IPv6 extended community.
    pub six_target: Option<Ipv6Addr>,
    /// The value of the attribute that nobody knows.
    pub unknown: Vec<u8>,
}

pub type Table = BTreeMap<String, Route>;

/// Rows of our API.
pub fn of_ours(rows: Vec<v1::Path>) -> Table {
    let route = |path: v1::Path| {
        let aggregator = path.aggregator.split_once(' ');
        let route = Route {
            origin: u64::try_from(path.origin).unwrap(),
            path: path.segments.iter().flat_map(|segment| &segment.asns).map(|asn| u64::from(*asn)).collect(),
            next_hop: path.next_hops.first().cloned().unwrap_or_default(),
            med: path.med.map(u64::from),
            local_pref: path.local_pref.map_or(0, u64::from),
            atomic_aggregate: path.atomic_aggregate,
            aggregator: aggregator.map(|(asn, address)| (asn.parse().unwrap(), address.to_owned())),
            communities: path.communities.iter().map(|value| pair(u64::from(*value))).collect(),
            ext_communities: path.ext_communities,
            large_communities: path.large_communities,
            originator: Some(path.originator_id).filter(|id| !id.is_empty()),
            cluster_list: path.cluster_list,
            ..Route::default()
        };
        (path.prefix, route)
    };
    rows.into_iter().map(route).collect()
}

fn pair(value: u64) -> String {
    format!("{}:{}", value >> 16, value & 0xffff)
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// `show bgp … unicast json detail` of FRR.
pub fn of_frr(table: &Value) -> Table {
    let routes = table["routes"].as_object().into_iter().flatten();
    routes.filter_map(|(prefix, rows)| Some((prefix.clone(), frr_route(rows.as_array()?.get(1)?)))).collect()
}

fn frr_route(row: &Value) -> Route {
    let ext = row["extendedCommunity"]["string"].as_str().unwrap_or_default();
    let segments = row["aspath"]["segments"].as_array().into_iter().flatten();
    let origin = ["IGP", "EGP", "incomplete"].iter().position(|name| row["origin"] == *name);
    Route {
        origin: origin.map_or(99, |at| at as u64),
        path: segments.flat_map(|segment| numbers(&segment["list"])).collect(),
        next_hop: row["nexthops"][0]["ip"].as_str().unwrap_or_default().to_owned(),
        med: row["metric"].as_u64(),
        local_pref: row["locPrf"].as_u64().unwrap_or_default(),
        atomic_aggregate: row["atomicAggregate"] == true,
        aggregator: row["aggregatorAs"].as_u64().zip(row["aggregatorId"].as_str().map(str::to_owned)),
        communities: texts(&row["community"]["list"]),
        ext_communities: ext.split_whitespace().map(str::to_lowercase).collect(),
        large_communities: texts(&row["largeCommunity"]["list"]),
        originator: row["originatorId"].as_str().map(str::to_owned),
        cluster_list: texts(&row["clusterList"]["list"]),
        otc: row["otc"].as_u64(),
        six_target: None,
        unknown: Vec::new(),
    }
}

/// `global rib -j` of GoBGP.
pub fn of_gobgp(table: &Value) -> Table {
    let routes = table.as_object().into_iter().flatten();
    routes.map(|(prefix, paths)| (prefix.clone(), gobgp_route(&paths[0]["attrs"]))).collect()
}

fn gobgp_route(attributes: &Value) -> Route {
    let mut route = Route::default();
    for attribute in attributes.as_array().into_iter().flatten() {
        let number = |field: &str| attribute[field].as_u64().unwrap_or_default();
        match number("type") {
            1 => route.origin = number("value"),
            2 => {
                let segments = attribute["as_paths"].as_array().into_iter().flatten();
                route.path = segments.flat_map(|segment| numbers(&segment["asns"])).collect();
            }
            3 | 14 => route.next_hop = attribute["nexthop"].as_str().unwrap_or_default().to_owned(),
            4 => route.med = Some(number("metric")),
            5 => route.local_pref = number("value"),
            6 => route.atomic_aggregate = true,
            7 => route.aggregator = Some(number("as")).zip(attribute["address"].as_str().map(str::to_owned)),
            8 => route.communities = numbers(&attribute["communities"]).into_iter().map(pair).collect(),
            16 => route.ext_communities = gobgp_ext(&attribute["value"]),
            32 => route.large_communities = gobgp_large(&attribute["value"]),
            9 => route.originator = attribute["value"].as_str().map(str::to_owned),
            10 => route.cluster_list = texts(&attribute["value"]),
            25 => {
                // Address and local part with a colon between them.
                let target = attribute["value"][0]["value"].as_str().and_then(|text| text.rsplit_once(':'));
                route.six_target = target.and_then(|(address, _)| address.parse().ok());
            }
            // GoBGP does not know it.
            35 => {
                route.otc = gobgp_octets(attribute).try_into().ok().map(|otc| u32::from_be_bytes(otc).into())
            }
            200 => route.unknown = gobgp_octets(attribute),
            other => panic!("attribute {other} was not sent: {attribute}"),
        }
    }
    route
}

fn gobgp_ext(values: &Value) -> Vec<String> {
    let text = |value: &Value| {
        let kind = if value["subtype"] == 2 { "rt" } else { "soo" };
        format!("{kind}:{}", value["value"].as_str().unwrap_or_default())
    };
    values.as_array().into_iter().flatten().map(text).collect()
}

/// The value of an attribute that it does not know, which it prints in base64.
fn gobgp_octets(attribute: &Value) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = attribute["value"].as_str().unwrap_or_default().trim_end_matches('=');
    let digit = |letter: u8| DIGITS.iter().position(|digit| *digit == letter);
    let digits = text.bytes().map(|letter| digit(letter).unwrap_or_else(|| panic!("{attribute}")) as u32);
    let digits: Vec<_> = digits.collect();
    let octets = |four: &[u32]| {
        let word = (0..4).fold(0, |word, at| word << 6 | four.get(at).copied().unwrap_or(0));
        word.to_be_bytes()[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(octets).collect()
}

fn gobgp_large(values: &Value) -> Vec<String> {
    let text = |value: &Value| format!("{}:{}:{}", value["ASN"], value["LocalData1"], value["LocalData2"]);
    values.as_array().into_iter().flatten().map(text).collect()
}

/// `show route all` of BIRD.
pub fn of_bird(text: &str) -> Table {
    let (mut table, mut prefix) = (Table::new(), String::new());
    for line in text.lines() {
        if let Some((name, value)) =
            line.trim_start().strip_prefix("BGP.").and_then(|line| line.split_once(':'))
        {
            bird_attribute(table.entry(prefix.clone()).or_default(), name, value.trim());
        } else if line.contains(" [") && line.contains('/') && !line.starts_with([' ', '\t']) {
            prefix = line.split_whitespace().next().unwrap_or_default().to_owned();
        }
    }
    table
}

fn bird_attribute(route: &mut Route, name: &str, value: &str) {
    match name {
        "origin" => {
            let at = ["IGP", "EGP", "Incomplete"].iter().position(|name| value == *name);
            route.origin = at.map_or(99, |at| at as u64);
        }
        "as_path" => route.path = value.split_whitespace().filter_map(|asn| asn.parse().ok()).collect(),
        "next_hop" => route.next_hop = value.to_owned(),
        "med" => route.med = value.parse().ok(),
        "local_pref" => route.local_pref = value.parse().unwrap_or_default(),
        "atomic_aggr" => route.atomic_aggregate = true,
        "aggregator" => {
            let parts = value.split_once(" AS");
            route.aggregator = parts.and_then(|(address, asn)| Some((asn.parse().ok()?, address.to_owned())));
        }
        "community" => route.communities = bird_list(value),
        "ext_community" => route.ext_communities = bird_list(value),
        "large_community" => route.large_communities = bird_list(value),
        "originator_id" => route.originator = Some(value.to_owned()),
        "cluster_list" => route.cluster_list = value.split_whitespace().map(str::to_owned).collect(),
        "otc" => route.otc = value.parse().ok(),
        // BIRD does not know these two, transitive ones.
        "19 [t]" => {
            let octets = octets(value);
            route.six_target =
                octets.get(2..18).and_then(|at| <[u8; 16]>::try_from(at).ok()).map(Ipv6Addr::from);
        }
        "c8 [t]" => route.unknown = octets(value),
        other => panic!("attribute {other} was not sent: {value}"),
    }
}

/// `01 1a 07`.
fn octets(value: &str) -> Vec<u8> {
    value.split_whitespace().map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
}

/// `(65000, 1) (65000, 2)` as `65000:1` and `65000:2`; `ro` is what others call `soo`.
fn bird_list(value: &str) -> Vec<String> {
    let items = value.split(['(', ')']).map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| item.split(',').map(str::trim).collect::<Vec<_>>().join(":").replace("ro:", "soo:"))
        .collect()
}
