//! Criteria 1 to 16: process, environment, standard input and output.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sart_testkit::wait_for;
use serde_json::{Value, json};

use crate::addresses::Families;
use crate::node::{NETWORK, Node, Said, said};

fn bare(environment: &[(&str, &str)], input: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sart-cni"));
    command.env_clear().envs(environment.iter().copied());
    said(command, input.as_bytes())
}

const CONFIG: &str = r#"{"cniVersion":"1.1.0","name":"n","type":"sart-cni","endpoint":"/nonexistent/cni.sock",
    "stateDir":"/proc/none"}"#;

fn full(verb: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("CNI_COMMAND", verb),
        ("CNI_CONTAINERID", "c0"),
        ("CNI_NETNS", "/nonexistent/ns"),
        ("CNI_IFNAME", "eth0"),
    ]
}

fn with(verb: &'static str, name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut all = full(verb);
    all.retain(|(known, _)| *known != name);
    all.push((name, value));
    all
}

#[test]
fn cni_criterion_1_version_needs_nothing_and_never_waits_for_input() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sart-cni"));
    command.env_clear().env("CNI_COMMAND", "VERSION");
    // The pipe stays open and silent while the plugin runs.
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let ended = wait_for("VERSION to end", Duration::from_secs(30), || Ok(child.try_wait()?));
    let _killed = child.kill();
    assert!(ended.unwrap().success());
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["cniVersion"], "1.1.0");
    assert!(document["supportedVersions"].is_array());
}

#[test]
fn cni_criterion_2_the_four_versions_are_spoken() {
    let document = bare(&[("CNI_COMMAND", "VERSION")], "").json();
    assert_eq!(document["supportedVersions"], json!(["0.3.1", "0.4.0", "1.0.0", "1.1.0"]));
}

#[test]
fn cni_criterion_3_without_a_command_it_says_what_it_is_and_an_unknown_one_is_refused() {
    let about = bare(&[], "");
    assert_eq!((about.code, about.stdout.as_str()), (Some(0), ""));
    assert!(about.stderr.contains("sart-cni") && about.stderr.contains("1.1.0"), "{about:?}");
    assert_eq!(bare(&[("CNI_COMMAND", "REMOVE")], CONFIG).error(), 4);
}

#[test]
fn cni_criterion_4_each_verb_demands_its_own_variables_and_no_more() {
    for (verb, needed) in [
        ("ADD", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"][..]),
        ("CHECK", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]),
        ("DEL", &["CNI_CONTAINERID", "CNI_IFNAME"]),
    ] {
        for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"] {
            let code = bare(&with(verb, name, ""), CONFIG).error();
            assert_eq!(code == 4, needed.contains(&name), "{verb} without {name} gave {code}");
        }
    }
    // No agent: but the environment was enough.
    assert_eq!(bare(&[("CNI_COMMAND", "STATUS")], CONFIG).error(), 50);
    assert_eq!(bare(&[("CNI_COMMAND", "GC")], CONFIG).code, Some(0));
}

#[test]
fn cni_criterion_5_every_missing_variable_is_named_at_once() {
    let said = bare(&[("CNI_COMMAND", "ADD")], CONFIG);
    assert_eq!(said.error(), 4);
    for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"] {
        assert!(said.json()["msg"].as_str().unwrap().contains(name), "{said:?}");
    }
}

#[test]
fn cni_criterion_6_malformed_ids_and_interface_names_are_refused() {
    for id in ["-a", ".a", "a/b", "a b", "ä", "a:b"] {
        assert_eq!(bare(&with("ADD", "CNI_CONTAINERID", id), CONFIG).error(), 4, "{id}");
    }
    for name in [".", "..", "a/b", "a:b", "a b", "a\tb", "sixteencharacter"] {
        assert_eq!(bare(&with("ADD", "CNI_IFNAME", name), CONFIG).error(), 4, "{name}");
    }
    for id in ["a", "0", "A.b_c-d"] {
        assert_ne!(bare(&with("ADD", "CNI_CONTAINERID", id), CONFIG).error(), 4, "{id}");
    }
}

#[test]
fn cni_criterion_7_bad_configurations_have_their_codes() {
    for (input, code) in [
        (r#"{"cniVersion":"1.1.0","name":""}"#, 7),
        (r#"{"cniVersion":"1.1.0"}"#, 7),
        (r#"{"cniVersion":"1.1.0","name":"a/b"}"#, 7),
        (r#"{"cniVersion":"1.1.0","name":7}"#, 7),
        (r#"{"cniVersion":"1.1.0","name":"a","timeout":-1}"#, 7),
        (r#"{"cniVersion":"1.1.0","name":"a","mtu":80}"#, 7),
        (r#"{"cniVersion":"1.1.0","name":"a","endpoint":"10.0.0.1:6000"}"#, 7),
        ("{", 6),
        ("[]", 6),
        ("null", 6),
        ("", 6),
        ("\u{0}\u{1}", 6),
    ] {
        for verb in ["ADD", "DEL", "CHECK"] {
            assert_eq!(bare(&full(verb), input).error(), code, "{verb} {input}");
        }
        for verb in ["GC", "STATUS"] {
            assert_eq!(bare(&[("CNI_COMMAND", verb)], input).error(), code, "{verb} {input}");
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_sart-cni"));
    command.env_clear().envs(full("ADD")).stdin(std::fs::File::open("/").unwrap());
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["code"], 5, "a folder cannot be read");
}

#[test]
fn cni_criterion_8_other_versions_are_refused_with_both_sides_and_without_effect() {
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    let before = node.inventory();
    for version in [json!("0.1.0"), json!("0.2.0"), json!("0.3.0"), json!("9.0.0"), Value::Null] {
        let mut config = node.config();
        config["cniVersion"] = version.clone();
        let said = node.call("ADD", &container, &config);
        assert_eq!(said.error(), 1, "{version}");
        let details = said.json()["details"].as_str().unwrap().to_owned();
        assert!(
            details.contains(version.as_str().unwrap_or("0.1.0")) && details.contains("1.1.0"),
            "{details}"
        );
    }
    node.assert_inventory(&before, "after refused versions");
}

#[test]
fn cni_criterion_9_verbs_do_not_exist_before_their_version() {
    for (verb, version, fails) in [
        ("CHECK", "0.3.1", true),
        ("CHECK", "0.4.0", false),
        ("GC", "1.0.0", true),
        ("GC", "1.1.0", false),
        ("STATUS", "1.0.0", true),
        ("STATUS", "1.1.0", false),
    ] {
        let config = CONFIG.replace("1.1.0", version);
        let said = bare(&full(verb), &config);
        let refused = said.code == Some(1) && said.error() == 1;
        assert_eq!(refused, fails, "{verb} {version}: {said:?}");
    }
}

#[test]
fn cni_criterion_10_one_document_or_nothing_also_when_told_to_end() {
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    assert!(node.added(&container)["ips"].is_array());
    node.check(&container, &node.added(&container)).silent();
    node.says_yes();
    node.gc(Some(&[&container])).silent();
    node.del(&container).silent();
    // A signal ends as an error document.
    let mut command = Command::new(env!("CARGO_BIN_EXE_sart-cni"));
    command.env_clear().envs(full("ADD")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    wait_for("the plugin to block the signal", Duration::from_secs(30), || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap_or_default();
        let term = 1 << (Signal::SIGTERM as u64 - 1);
        Ok((u64::from_str_radix(blocked.trim(), 16)? & term != 0).then_some(()))
    })
    .unwrap();
    kill(pid, Signal::SIGTERM).unwrap();
    let ended = wait_for("the plugin to end", Duration::from_secs(30), || Ok(child.try_wait()?));
    let _killed = child.kill();
    let output = child.wait_with_output().unwrap();
    assert_eq!(ended.unwrap().code(), Some(1));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["code"], 11);
}

#[test]
fn cni_criterion_11_our_own_codes_begin_at_100() {
    use sart_cni::failure::code;
    let ours =
        [code::INTERNAL, code::INTERFACE_EXISTS, code::NO_POOL, code::KERNEL, code::GC, code::CHECK_LINK];
    assert!(ours.iter().all(|code| (100..999).contains(code)));
    assert_eq!(code::UNTYPED, 999);
}

#[test]
fn cni_criterion_12_arguments_are_read_and_malformed_ones_refused() {
    assert_eq!(bare(&with("ADD", "CNI_ARGS", "novalue"), CONFIG).error(), 4);
    assert_eq!(bare(&with("ADD", "CNI_ARGS", "=v"), CONFIG).error(), 4);
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    let netns = container.netns();
    let environment = |arguments: &'static str| {
        [
            ("CNI_COMMAND", "ADD".to_owned()),
            ("CNI_CONTAINERID", container.id.clone()),
            ("CNI_NETNS", netns.clone()),
            ("CNI_IFNAME", "eth0".to_owned()),
            ("CNI_ARGS", arguments.to_owned()),
        ]
    };
    // What containerd sends; then a runtime that says nothing of the UID, and one that says nothing at all.
    for arguments in [
        "K8S_POD_NAMESPACE=ns;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=c;K8S_POD_UID=u;IgnoreUnknown=1",
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=p",
        "",
    ] {
        let environment = environment(arguments);
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        node.run(&environment, &node.config().to_string()).result();
        node.del(&container).silent();
    }
}

#[test]
fn cni_criterion_13_unknown_keys_are_tolerated() {
    let Some(node) = Node::dual() else { return };
    let container = node.container();
    let mut config = node.config();
    config["cni.dev/future"] = json!({"a": [1, 2]});
    config["somethingElse"] = json!(true);
    config["args"] = json!({"labels": []});
    config["runtimeConfig"] = json!({"portMappings": [{"hostPort": 80}], "bandwidth": {"ingressRate": 1}});
    node.call("ADD", &container, &config).result();
}

#[test]
fn cni_criterion_14_trace_context_does_not_disturb() {
    let mut environment = vec![("CNI_COMMAND", "VERSION")];
    environment.extend([("TRACEPARENT", "00-zz-\u{1}"), ("TRACESTATE", "=;,"), ("BAGGAGE", "a=b")]);
    assert_eq!(bare(&environment, "").code, Some(0));
}

#[test]
fn cni_criterion_15_the_own_namespace_is_refused_and_an_unopenable_path_is_not_that_error() {
    let Some(node) = Node::dual() else { return };
    let own = format!("/run/netns/{}", node.space.name());
    let environment = |verb: &'static str, netns: &str| {
        [("CNI_COMMAND", verb), ("CNI_CONTAINERID", "c"), ("CNI_IFNAME", "eth9"), ("CNI_NETNS", netns)]
            .map(|(name, value)| (name, value.to_owned()))
    };
    let run = |verb, netns: &str, more: Option<(&'static str, &str)>| {
        let environment = environment(verb, netns);
        let mut all: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(more);
        node.run(&all, &node.config().to_string())
    };
    assert_eq!(run("ADD", &own, None).error(), 8);
    assert_eq!(run("DEL", &own, None).error(), 8);
    assert_eq!(run("ADD", "/proc/self/exe", None).error(), 8, "not a namespace at all");
    assert_eq!(run("ADD", "/nonexistent/ns", None).error(), 5);
    run("DEL", "/nonexistent/ns", None).silent();
    run("DEL", &own, Some(("CNI_NETNS_OVERRIDE", "TRUE"))).silent();
    for family in ["-4", "-6"] {
        node.space.run(&["ip", family, "route", "del", "default"]).unwrap();
    }
    run("ADD", &own, Some(("CNI_NETNS_OVERRIDE", "1"))).result();
    run("DEL", &own, Some(("CNI_NETNS_OVERRIDE", "1"))).silent();
}

#[test]
fn cni_criterion_16_what_was_on_standard_input_is_nowhere_in_the_output() {
    let Some(node) = Node::idle(Families::V4, 1) else { return };
    let mut config = node.config();
    config["kubeconfig"] = json!("s3cret-token");
    config["name"] = json!(format!("{NETWORK}/"));
    let said = node.run(&full("ADD"), &config.to_string());
    assert_eq!(said.error(), 7);
    config["name"] = json!(NETWORK);
    for verb in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
        let said = node.run(&full(verb), &config.to_string());
        assert!(!format!("{said:?}").contains("s3cret"), "{said:?}");
    }
}

#[test]
fn a_link_is_shaped_where_the_runtime_or_the_list_names_a_rate_above_zero() {
    use sart_cni::environment::Verb;
    let shaped = |more: serde_json::Value| {
        let mut config = json!({"cniVersion": "1.0.0", "name": "n"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sart_cni::config::parse(config.to_string().as_bytes(), Verb::Add).map(|config| config.shaped)
    };
    let limits = |rates| shaped(json!({"runtimeConfig": {"bandwidth": rates}}));
    assert_eq!(shaped(json!({})), Ok(false));
    assert_eq!(limits(json!(null)), Ok(false));
    assert_eq!(limits(json!({"ingressRate": 0, "egressRate": 0, "ingressBurst": 9})), Ok(false));
    assert_eq!(limits(json!({"ingressRate": 1})), Ok(true));
    assert_eq!(limits(json!({"egressRate": 1})), Ok(true));
    assert_eq!(shaped(json!({"shaped": true})), Ok(true));
    assert_eq!(shaped(json!({"shaped": "yes"})).unwrap_err().code, 7);
}
