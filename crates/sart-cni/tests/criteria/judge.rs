//! `cnitool` of libcni as the outside judge: it reads our conflist, chooses the version, keeps its cache, and calls every verb.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::node::{Container, Node, Said, said};

/// `SART_CNITOOL`, else the one that `cargo xtask setup` left in the cache.
fn cnitool() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("SART_CNITOOL") {
        return Some(path.into());
    }
    let cache = Path::new(&std::env::var_os("HOME")?).join(".cache/sart");
    let names = std::fs::read_dir(cache).ok()?.flatten().map(|entry| entry.path());
    let built = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("cnitool-") && !name.contains(".part-")
    };
    names.filter(built).max()
}

fn judge(node: &Node, tool: &Path, verb: &str, container: &Container) -> Said {
    let mut command = node.space.command(tool.to_str().unwrap());
    let plugin = Path::new(env!("CARGO_BIN_EXE_sart-cni")).parent().unwrap();
    command.env("NETCONFPATH", node.path("net.d")).env("CNI_PATH", plugin);
    command.args([verb, "sart-network", &container.netns()]);
    said(command, b"")
}

#[test]
fn cnitool_adds_checks_collects_and_deletes_with_the_installed_configuration() {
    let tool = cnitool();
    let missing = tool.is_none().then_some("cnitool is not built: run `cargo xtask setup`");
    if sart_testkit::skips(missing) {
        return;
    }
    let (Some(tool), Some(node)) = (tool, Node::dual()) else { return };
    let before = node.inventory();
    // What the installer writes for a node without other plugins, but with this test's places in it.
    let text = sart_agent::cni::install::conflist(&node.path("none"), &node.path("cni.sock"));
    let mut list: Value = serde_json::from_str(&text).unwrap();
    list["plugins"][0]["stateDir"] = node.path("state").display().to_string().into();
    std::fs::create_dir(node.path("net.d")).unwrap();
    std::fs::write(node.path("net.d/10-sart.conflist"), list.to_string()).unwrap();

    let container = node.container();
    assert_eq!(judge(&node, &tool, "status", &container).code, Some(0));
    let added = judge(&node, &tool, "add", &container);
    let result = added.result();
    assert_eq!(result["cniVersion"], "1.1.0", "the newest of both sides");
    assert_eq!(result["ips"][1]["address"], "fd00:1::1/128");
    let checked = judge(&node, &tool, "check", &container);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    container.run(&["ip", "route", "del", "default"]);
    let checked = judge(&node, &tool, "check", &container);
    assert!(checked.code != Some(0) && checked.stderr.contains("default route"), "{checked:?}");
    for _ in 0..2 {
        let deleted = judge(&node, &tool, "del", &container);
        assert_eq!(deleted.code, Some(0), "{deleted:?}");
    }
    node.assert_inventory(&before, "after cnitool's del");

    // cnitool names no attachments at all, neither valid nor stale: GC must not take that for "none is valid".
    let result = node.added(&container);
    let collected = judge(&node, &tool, "gc", &container);
    assert_eq!(collected.code, Some(0), "{collected:?}");
    node.check(&container, &result).silent();
}
