//! The file, the flags and the API refuse what is wrong and keep what was right.

use std::process::Command;

use nix::sys::signal::Signal;
use sart_rpc::v1::{self, SessionState::Established};
use sart_testkit::{missing, missing_with_frr, wait_for};

use crate::fixture::{Fabric, LIMIT, Sart, config, far, global, neighbor, path, wait_prefixes, write};
use crate::needs;

fn run(flags: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sart-bgpd")).args(flags).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_wrong_file_or_flag_ends_with_two_and_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bgp.yaml");
    let name = file.display().to_string();
    for (text, wanted) in [
        ("asn: 0\nrouter_id: 10.0.0.1\n", ":1: asn: `0`"),
        ("asn: 1\nrouter_id: 10.0.0.1\ncolour: red\n", ":3: colour: unknown field"),
        ("asn: 1\nrouter_id: 10.0.0.1\nneighbors:\n- asn: 2\n  address: x\n", ":5: neighbors[].address: `x`"),
    ] {
        write(&file, text);
        let (code, error) = run(&["-f", &name]);
        assert_eq!(code, Some(2), "{error}");
        assert!(error.starts_with(&format!("sart-bgpd: {name}{wanted}")), "{error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    }
    for flags in [
        &["-f", "/nonexistent.yaml"][..],
        &["--colour"],
        &["-a", "0", "-r", "10.0.0.1"],
        &["-a", "65000"],
        &["-l", "loud"],
        &["--api", "10.0.0.1:5000"],
        &["--ttl", "0"],
    ] {
        let (code, error) = run(flags);
        assert_eq!(code, Some(2), "{flags:?}: {error}");
        assert!(!error.is_empty());
    }
}

#[test]
fn measured_a_standalone_speaker_needs_no_fib_and_reloads_as_a_difference() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("file", 1);
    let frr = fabric.frr(0, &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bgp.yaml");
    let text = |paths: &str| {
        format!(
            "asn: 65000\nrouter_id: 10.77.255.1\nfib_endpoint: 127.0.0.1:5010\nneighbors:\n- asn: 65001\n  address: {}\n\
             paths:\n- prefixes: [{paths}]\n  attributes:\n  - med: 7\n",
            far(0)
        )
    };
    write(&file, &text("10.69.0.0/24"));
    let name = file.display().to_string();
    let mut sart = Sart::start_in(folder, &fabric.sart, &["-f", &name]);
    wait_prefixes(&frr, "ipv4", &["10.69.0.0/24"]);
    assert!(sart.process.log().contains("fib_endpoint is ignored"), "{}", sart.process.log());

    write(&file, &text("10.69.0.0/24, 10.70.0.0/24"));
    sart.process.signal(Signal::SIGHUP).unwrap();
    wait_prefixes(&frr, "ipv4", &["10.69.0.0/24", "10.70.0.0/24"]);

    write(&file, &text("10.69.0.0/99"));
    sart.process.signal(Signal::SIGHUP).unwrap();
    wait_for("the refusal", LIMIT, || {
        Ok(sart.process.log().contains("the last good configuration stays in force").then_some(()))
    })
    .unwrap();
    assert!(sart.process.log().contains("10.69.0.0/99"));
    wait_prefixes(&frr, "ipv4", &["10.69.0.0/24", "10.70.0.0/24"]);
    let seen = sart.neighbor(0);
    assert_eq!((seen.state(), seen.flaps), (Established, 0));
}

#[test]
fn criterion_37_another_log_level_by_file_or_by_hand_resets_nothing() {
    needs!(missing_with_frr());
    let fabric = Fabric::new("loglevel", 1);
    let frr = fabric.frr(0, &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bgp.yaml");
    let text = |level: &str, prefix: &str| {
        format!(
            "asn: 65000\nrouter_id: 10.77.255.1\nlog_level: {level}\nneighbors:\n- asn: 65001\n  address: {}\n\
             paths:\n- prefixes: [{prefix}]\n",
            far(0)
        )
    };
    write(&file, &text("error", "10.69.0.0/24"));
    let name = file.display().to_string();
    let mut sart = Sart::start_in(folder, &fabric.sart, &["-f", &name]);
    wait_prefixes(&frr, "ipv4", &["10.69.0.0/24"]);
    assert_eq!(sart.process.log(), "", "nothing is an error");

    write(&file, &text("info", "10.70.0.0/24"));
    let reload = async |client: &mut crate::fixture::Client| client.reload(v1::ReloadRequest {}).await;
    assert_eq!(sart.call(reload).neighbors_reset, 0);
    assert!(sart.process.log().contains("applied the file again"), "{}", sart.process.log());
    wait_prefixes(&frr, "ipv4", &["10.70.0.0/24"]);

    let set = |level: &str| v1::SetLogLevelRequest { level: level.to_owned() };
    let status = sart.try_call(async |client| client.set_log_level(set("loud")).await).unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
    assert!(status.message().starts_with("level: log level `loud`"), "{status}");
    sart.call(async |client| client.set_log_level(set("error")).await);
    let before = sart.process.log();
    sart.announce("10.71.0.0/24", &[]);
    wait_prefixes(&frr, "ipv4", &["10.70.0.0/24", "10.71.0.0/24"]);
    let request = v1::ResetNeighborRequest { address: far(0), ..Default::default() };
    let flaps = sart.neighbor(0).flaps;
    sart.call(async |client| client.reset_neighbor(request).await);
    assert_eq!((flaps, sart.process.log()), (0, before), "a reset is a warning, not an error");
}

#[test]
fn a_refused_request_names_the_field_and_changes_nothing() {
    needs!(missing());
    let fabric = Fabric::new("refuse", 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    assert_eq!(sart.call(async |client| client.get_global(v1::GetGlobalRequest {}).await).asn, 0);
    let good = config(&[neighbor(0)], &[path("10.0.1.0/32", &[])]);
    sart.apply(&good);
    let with = |change: fn(&mut v1::ApplyConfigRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    for (request, wanted) in [
        (with(|request| request.global = None), "global"),
        (with(|request| request.global = Some(v1::Global { asn: 0, ..global() })), "asn"),
        (
            with(|request| request.global = Some(v1::Global { router_id: "x".into(), ..global() })),
            "router_id",
        ),
        (with(|request| request.global = Some(v1::Global { port: 70_000, ..global() })), "port"),
        (with(|request| request.neighbors[0].address = "x".into()), "address"),
        (with(|request| request.neighbors[0].hold_time = 2), "hold_time"),
        (with(|request| request.neighbors[0].families = vec![99]), "families"),
        (with(|request| request.neighbors.push(neighbor(0))), "address"),
        (with(|request| request.paths[0].prefix = "10.0.1.1/24".into()), "prefix"),
        (with(|request| request.paths.push(path("10.0.1.0/32", &[]))), "prefix"),
    ] {
        let status = sart.try_call(async |client| client.apply_config(request).await).unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
        assert!(status.message().contains(wanted), "{wanted}: {status}");
    }
    assert_eq!(sart.apply(&good), v1::ApplyConfigResponse::default(), "nothing had changed");
}

#[test]
fn neighbors_by_hand_fail_with_a_status_that_says_what_to_do() {
    needs!(missing());
    let fabric = Fabric::new("hand", 1);
    let mut sart = Sart::start(&fabric.sart, &[]);
    let add = || v1::AddNeighborRequest { neighbor: Some(neighbor(0)) };
    let delete = || v1::DeleteNeighborRequest { address: far(0) };
    let status = sart.try_call(async |client| client.add_neighbor(add()).await).unwrap_err();
    assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status}");
    sart.call(async |client| client.set_global(v1::SetGlobalRequest { global: Some(global()) }).await);
    let added = sart.call(async |client| client.add_neighbor(add()).await);
    assert_eq!(added.config.unwrap().name, "peer0");
    let status = sart.try_call(async |client| client.add_neighbor(add()).await).unwrap_err();
    assert_eq!(status.code(), tonic::Code::AlreadyExists, "{status}");
    sart.call(async |client| client.delete_neighbor(delete()).await);
    let status = sart.try_call(async |client| client.delete_neighbor(delete()).await).unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound, "{status}");
}

#[test]
fn a_second_speaker_on_one_socket_ends_with_one_before_it_disturbs_the_first() {
    needs!(missing());
    let fabric = Fabric::new("twice", 1);
    let sart = Sart::start(&fabric.sart, &[]);
    let socket = sart.socket().display().to_string();
    let (code, error) = run(&["--api", &socket]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("is served by another process"), "{error}");
    assert!(sart.socket().exists());
}
