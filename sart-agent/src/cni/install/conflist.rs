//! The configuration that the runtime reads.

use std::path::Path;

use serde_json::{Value, json};

/// Plugins that run behind ours if the node has them, with the capability each needs.
const CHAINED: [(&str, &str); 2] = [("portmap", "portMappings"), (BANDWIDTH, "bandwidth")];
/// Shapes a pod's link, on the host's end too.
const BANDWIDTH: &str = "bandwidth";

/// The list for a node whose plugins are in this folder. A runtime that knows several versions takes the newest of
/// `cniVersions`, for the whole chain: 1.1.0 is offered only where no older plugin runs behind ours.
#[must_use]
pub fn conflist(binaries: &Path, socket: &Path) -> String {
    let endpoint = format!("unix://{}", socket.display());
    let mut plugins = vec![json!({"type": "sart-cni", "endpoint": endpoint, "timeout": 60})];
    plugins.extend(CHAINED.iter().filter(|(name, _)| is_there(binaries, name)).map(chained));
    // A runtime's wish for a MAC is ours to grant. We are told of limits as well: a link that is shaped is attached in another way.
    plugins[0]["capabilities"] = json!({"mac": true});
    if is_there(binaries, BANDWIDTH) {
        plugins[0]["capabilities"][BANDWIDTH] = true.into();
    }
    let mut versions = vec!["0.3.1", "0.4.0", "1.0.0"];
    if plugins.len() == 1 {
        versions.push("1.1.0");
    }
    let list = json!({
        "cniVersion": "1.0.0",
        "cniVersions": versions,
        "name": "sart-network",
        "plugins": plugins,
    });
    format!("{list:#}\n")
}

fn chained((name, capability): &(&str, &str)) -> Value {
    json!({"type": name, "capabilities": {*capability: true}})
}

/// Also a symbolic link that leads nowhere from inside our container: on the node it may lead somewhere.
fn is_there(binaries: &Path, name: &str) -> bool {
    binaries.join(name).symlink_metadata().is_ok()
}
