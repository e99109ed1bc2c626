//! The route manager beside the speaker, in the same namespace, and what the kernel has by then.

use sart_rpc::v1;
use sart_rpc::v1::next_hop_service_client::NextHopServiceClient;
use sart_testkit::{Namespace, Process, wait_for};
use tempfile::TempDir;

use crate::fixture::{Fabric, LIMIT, Sart};

/// A running `sart-fibd`; killed when dropped.
pub struct Fibd {
    pub process: Process,
    _folder: TempDir,
}

impl Fibd {
    /// Follows `sart` for both families into the main table; `more` goes below its channels.
    pub fn start(fabric: &Fabric, sart: &Sart, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = sart.socket();
        let channel = |family: &str| {
            format!(
                "- name: {family}\n  ip_version: {family}\n  subscribers: [{{protocol: bgp, endpoint: {}}}]\n  \
                 publishers: [{{protocol: kernel, tables: [254]}}]\n",
                socket.display()
            )
        };
        let file = folder.path().join("fib.yaml");
        std::fs::write(&file, format!("channels:\n{}{}{more}", channel("ipv4"), channel("ipv6"))).unwrap();
        let mut command = fabric.sart.command(env!("CARGO_BIN_EXE_sart-fibd"));
        command.arg("-f").arg(&file).arg("--api").arg(folder.path().join("fibd.sock"));
        command.args(["--level", "debug"]);
        let process = Process::start(command, &folder.path().join("fibd.log")).unwrap();
        Self { process, _folder: folder }
    }
}

/// What the kernel has of `prefix` from the route manager; empty if nothing.
pub fn installed(namespace: &Namespace, prefix: &str) -> String {
    let family = if prefix.contains(':') { "-6" } else { "-4" };
    namespace.run(&["ip", "-o", family, "route", "show", prefix, "proto", "bgp"]).unwrap()
}

/// Waits until the kernel's route to `prefix` is as `wanted` says.
pub fn wait_installed(namespace: &Namespace, prefix: &str, wanted: impl Fn(&str) -> bool) {
    let seen = wait_for("the kernel's route", LIMIT, || {
        let route = installed(namespace, prefix);
        if wanted(&route) { Ok(Some(())) } else { anyhow::bail!("{prefix}: {route:?}") }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}"));
}

/// A running `ip monitor route`; killed when dropped.
pub struct Monitor<'a> {
    namespace: &'a Namespace,
    process: Process,
    _folder: TempDir,
}

impl<'a> Monitor<'a> {
    /// Watches from now on.
    pub fn start(namespace: &'a Namespace) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = namespace.command("ip");
        command.args(["-o", "monitor", "route"]);
        let process = Process::start(command, &folder.path().join("monitor.log")).unwrap();
        let monitor = Self { namespace, process, _folder: folder };
        monitor.mark("198.18.0.0");
        monitor
    }

    /// Writes and deletes a route that is no part of any test until that is seen.
    fn mark(&self, address: &str) {
        let seen = wait_for("the monitor", LIMIT, || {
            for deed in ["add", "del"] {
                self.namespace.run(&["ip", "route", deed, "blackhole", address, "proto", "static"])?;
            }
            Ok(self.process.log().contains(address).then_some(()))
        });
        seen.unwrap();
    }

    /// The changes of the route manager's routes seen so far, one line each.
    pub fn stop(self) -> Vec<String> {
        // Notifications come in order: all before this one have come when it has.
        self.mark("198.18.0.1");
        self.process.log().lines().filter(|line| line.contains("proto bgp")).map(str::to_owned).collect()
    }
}

impl Sart {
    /// The speaker's next hops, and whether somebody tracks them.
    pub fn next_hops(&self) -> v1::ListNextHopsResponse {
        let socket = self.socket();
        self.block_on(async {
            let channel = sart_rpc::connect(&socket).await.unwrap();
            let list = NextHopServiceClient::new(channel).list(v1::ListNextHopsRequest {}).await;
            list.unwrap().into_inner()
        })
    }

    /// Waits until `wanted` holds of them.
    pub fn wait_next_hops(&self, what: &str, wanted: impl Fn(&v1::ListNextHopsResponse) -> bool) {
        let seen = wait_for(what, LIMIT, || {
            let seen = self.next_hops();
            if wanted(&seen) { Ok(Some(())) } else { anyhow::bail!("{seen:?}") }
        });
        seen.unwrap_or_else(|error| panic!("{error:#}\n{}", self.process.log()));
    }

    /// Waits until a next hop is in this state, at this distance.
    pub fn wait_next_hop(&self, address: &str, state: v1::NextHopState, metric: u32) {
        self.wait_next_hops(address, |seen| {
            let hop = seen.next_hops.iter().find(|hop| hop.address == address);
            hop.is_some_and(|hop| (hop.state(), hop.metric) == (state, metric))
        });
    }
}
