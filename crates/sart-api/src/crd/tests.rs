//! What the installed definitions must say, whatever the types look like.

use super::*;

fn columns(kind: &str) -> Vec<(String, String)> {
    let crds = all().unwrap();
    let crd = crds.iter().find(|c| c["spec"]["names"]["kind"] == kind).unwrap();
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap();
    let text = |column: &Value, key: &str| column[key].as_str().unwrap().to_owned();
    columns.iter().map(|c| (text(c, "name"), text(c, "jsonPath"))).collect()
}

fn visit(value: &Value, see: &mut impl FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|v| visit(v, see));
        }
        Value::Array(list) => list.iter().for_each(|v| visit(v, see)),
        _ => {}
    }
}

#[test]
fn printer_columns_are_upstreams_in_upstreams_order() {
    let names = |kind: &str| columns(kind).into_iter().map(|c| c.0).collect::<Vec<_>>().join(" ");
    assert_eq!(names("ClusterBGP"), "AGE");
    assert_eq!(names("NodeBGP"), "ASN ROUTERID BACKOFF STATUS AGE");
    assert_eq!(names("BGPPeer"), "ASN ADDRESS NODEBGP CLUSTERBGP BACKOFF STATUS AGE");
    assert_eq!(names("BGPPeerTemplate"), "AGE");
    assert_eq!(names("BGPAdvertisement"), "CIDR TYPE PROTOCOL AGE");
    assert_eq!(names("AddressPool"), "CIDR TYPE BLOCKSIZE AUTO AGE");
    assert_eq!(names("AddressBlock"), "CIDR TYPE POOLREF NODEREF AGE");
    assert_eq!(names("BlockRequest"), "POOL NODE");
    let status = (String::from("STATUS"), String::from(".status.conditions[-1:].status"));
    assert!(columns("NodeBGP").contains(&status) && columns("BGPPeer").contains(&status));
}

#[test]
fn every_kind_is_served_under_upstreams_group_and_version() {
    for crd in all().unwrap() {
        let version = &crd["spec"]["versions"][0];
        assert_eq!(crd["spec"]["group"], crate::GROUP);
        assert_eq!(version["name"], crate::VERSION);
        assert!(crd["spec"]["names"].get("shortNames").is_none_or(|s| s == &json!([])));
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap();
        let has_status = version["subresources"]["status"].is_object();
        assert_eq!(has_status, kind != "AddressClaim", "{kind}");
    }
}

#[test]
fn no_schema_has_a_construct_the_api_server_warns_about_or_refuses() {
    for crd in all().unwrap() {
        visit(&crd["spec"]["versions"][0]["schema"], &mut |schema| {
            assert!(!schema.contains_key("oneOf") && !schema.contains_key("anyOf"), "{schema:?}");
            if let Some(Value::String(format)) = schema.get("format") {
                assert!(!format.starts_with("uint"), "{schema:?}");
            }
        });
    }
}

#[test]
fn every_list_of_conditions_is_a_map_keyed_by_type_and_bounded() {
    let mut seen = 0;
    for crd in all().unwrap() {
        visit(&crd["spec"]["versions"][0]["schema"], &mut |schema| {
            let Some(conditions) = schema.get("properties").and_then(|p| p.get("conditions")) else {
                return;
            };
            seen += 1;
            assert_eq!(conditions["x-kubernetes-list-type"], "map");
            assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]));
            assert_eq!(conditions["maxItems"], json!(crate::condition::MAX_CONDITIONS));
        });
    }
    assert_eq!(seen, 7);
}

/// The rules of a kind's spec as the API server gets them; that it keeps them is tested against a real one.
#[test]
fn measured_the_cidr_of_a_pool_is_immutable_and_its_blocks_fit_it() {
    let crds = all().unwrap();
    let crd = crds.iter().find(|c| c["spec"]["names"]["kind"] == "AddressPool").unwrap();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let rules = spec["x-kubernetes-validations"].as_array().unwrap();
    for wanted in [
        "self.cidr == oldSelf.cidr",
        "self.type == oldSelf.type",
        "!has(self.blockSize) || !isCIDR(self.cidr) || self.blockSize >= cidr(self.cidr).prefixLength()",
    ] {
        assert!(rules.iter().any(|rule| rule["rule"] == wanted), "{wanted}");
    }
}
