//! Conditions and actions of a statement, each as words for a person and as a JSON value.

use sart_rpc::v1;
use serde_json::{Value, json};

/// One condition or action.
pub(super) struct Item {
    /// The JSON key.
    pub key: &'static str,
    /// The JSON value.
    pub value: Value,
    /// The same for a person.
    pub words: String,
}

pub(super) const fn then(then: v1::PolicyThen) -> &'static str {
    match then {
        v1::PolicyThen::Next => "next",
        v1::PolicyThen::Accept => "accept",
        v1::PolicyThen::Reject => "reject",
    }
}

/// `10.0.0.0/8 ge 16 le 24 covering`.
pub(super) fn prefix_range(range: &v1::PrefixRange) -> String {
    let mut text = range.prefix.clone();
    for (word, length) in [("ge", range.ge), ("le", range.le)] {
        text.extend(length.map(|length| format!(" {word} {length}")));
    }
    if range.covering {
        text.push_str(" covering");
    }
    text
}

pub(super) fn conditions(conditions: Option<&v1::PolicyConditions>) -> Vec<Item> {
    let Some(of) = conditions else { return Vec::new() };
    let source = match of.source() {
        v1::RouteSource::Unspecified => "",
        v1::RouteSource::Local => "local",
        v1::RouteSource::External => "external",
        v1::RouteSource::Internal => "internal",
    };
    let sets = [
        ("prefixSet", "prefix", &of.prefix_set),
        ("asPathSet", "as path", &of.as_path_set),
        ("communitySet", "community", &of.community_set),
        ("extCommunitySet", "ext community", &of.ext_community_set),
        ("largeCommunitySet", "large community", &of.large_community_set),
        ("nextHopSet", "next hop", &of.next_hop_set),
        ("neighborSet", "neighbor", &of.neighbor_set),
        ("sourceSet", "sender", &of.source_set),
    ];
    let sets =
        sets.into_iter().filter_map(|(key, what, set)| set.as_ref().map(|set| set_match(key, what, set)));
    let texts = [
        ("family", "family", of.family.as_str()),
        ("asPathLength", "as path length", &of.as_path_length),
        ("source", "source", source),
        ("origin", "origin", &of.origin),
    ];
    sets.chain(texts.into_iter().filter_map(|(key, what, text)| given(key, what, text))).collect()
}

fn set_match(key: &'static str, what: &str, of: &v1::SetMatch) -> Item {
    let (how, word) = match of.how() {
        v1::SetMatchKind::Any => ("any", "in"),
        v1::SetMatchKind::All => ("all", "has all of"),
        v1::SetMatchKind::Invert => ("invert", "not in"),
    };
    Item { key, value: json!({"set": of.set, "how": how}), words: format!("{what} {word} {}", of.set) }
}

fn given(key: &'static str, what: &str, text: &str) -> Option<Item> {
    (!text.is_empty()).then(|| Item { key, value: json!(text), words: format!("{what} {text}") })
}

pub(super) fn actions(actions: Option<&v1::PolicyActions>) -> Vec<Item> {
    let Some(of) = actions else { return Vec::new() };
    let local_pref = of.local_pref.map(|value| Item {
        key: "localPref",
        value: json!(value),
        words: format!("local pref {value}"),
    });
    let prepend = of.prepend.as_ref().map(|prepend| {
        let asn = if prepend.asn == 0 { "own".to_owned() } else { prepend.asn.to_string() };
        let words = format!("prepend {asn} x{}", prepend.count);
        Item { key: "prepend", value: json!({"asn": asn, "count": prepend.count}), words }
    });
    let lists = [
        ("communities", "communities", &of.communities),
        ("extCommunities", "ext communities", &of.ext_communities),
        ("largeCommunities", "large communities", &of.large_communities),
    ];
    let lists =
        lists.into_iter().filter_map(|(key, what, list)| list.as_ref().map(|list| change(key, what, list)));
    let mut items: Vec<Item> = local_pref.into_iter().collect();
    items.extend(given("med", "med", &of.med));
    items.extend(prepend);
    items.extend(given("origin", "origin", &of.origin));
    items.extend(lists);
    items.extend(given("nextHop", "next hop", &of.next_hop));
    items
}

fn change(key: &'static str, what: &str, of: &v1::CommunityChange) -> Item {
    let mut words = Vec::new();
    let mut value = serde_json::Map::new();
    let lists =
        [("replace", of.replaces, &of.replace), ("remove", false, &of.remove), ("add", false, &of.add)];
    for (word, even_if_empty, list) in lists {
        if even_if_empty || !list.is_empty() {
            words.push(format!(
                "{word} {}",
                if list.is_empty() { "with none".to_owned() } else { list.join(" ") }
            ));
            value.insert(word.to_owned(), json!(list));
        }
    }
    Item { key, value: Value::Object(value), words: format!("{what} {}", words.join(" ")) }
}
