//! A speaker in the middle, a namespace for each neighbour around it.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sart_rpc::v1;
use sart_rpc::v1::bgp_service_client::BgpServiceClient;
use sart_testkit::{Frr, Namespace, Process, RawPeer, frr, wait_for};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

pub type Client = BgpServiceClient<Channel>;

/// Long enough for FRR's own one-second steps on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Returns from the test, with a printed reason, where it cannot run.
#[macro_export]
macro_rules! needs {
    ($missing:expr) => {
        if sart_testkit::skips($missing) {
            return;
        }
    };
}

/// The speaker's namespace and one for each neighbour, linked by 10.77.N.0/24 and fd77:N::/64.
pub struct Fabric {
    pub peers: Vec<Namespace>,
    pub sart: Namespace,
}

impl Fabric {
    pub fn new(purpose: &str, peers: usize) -> Self {
        let sart = Namespace::new(&format!("{purpose}-sart")).unwrap();
        let peers: Vec<_> = (0..peers)
            .map(|n| {
                let peer = Namespace::new(&format!("{purpose}-p{n}")).unwrap();
                let near = [format!("10.77.{n}.1/24"), format!("fd77:{n}::1/64")];
                let far = [format!("10.77.{n}.2/24"), format!("fd77:{n}::2/64")];
                let interface = format!("eth{n}");
                sart.link((&interface, &[&near[0], &near[1]]), &peer, ("eth0", &[&far[0], &far[1]])).unwrap();
                peer
            })
            .collect();
        Self { peers, sart }
    }

    /// FRR as neighbour `n`, in AS 65001 + n, with more lines for `router bgp`.
    pub fn frr(&self, n: usize, lines: &[&str]) -> Frr {
        let (near, id) = (near(n), far(n));
        let config = frr::config(65_001 + n as u32, &id, &[(&near, 65_000)], lines);
        Frr::start(&self.peers[n], &config).unwrap()
    }

    /// A connection to the speaker from neighbour `n`'s address.
    pub fn raw(&self, n: usize) -> RawPeer {
        let to = format!("{}:179", near(n)).parse().unwrap();
        RawPeer::connect(&self.peers[n], to, LIMIT).unwrap()
    }
}

/// The speaker's address on link `n`.
pub fn near(n: usize) -> String {
    format!("10.77.{n}.1")
}

/// The neighbour's address on link `n`.
pub fn far(n: usize) -> String {
    format!("10.77.{n}.2")
}

/// A running speaker and a client of its API.
pub struct Sart {
    pub process: Process,
    runtime: Runtime,
    pub client: Client,
    pub folder: TempDir,
}

impl Sart {
    /// Starts the daemon in `namespace` and waits for its API.
    pub fn start(namespace: &Namespace, flags: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), namespace, flags)
    }

    /// The same with a folder that holds files already.
    pub fn start_in(folder: TempDir, namespace: &Namespace, flags: &[&str]) -> Self {
        let socket = folder.path().join("bgpd.sock");
        let mut command = namespace.command(env!("CARGO_BIN_EXE_sart-bgpd"));
        command.arg("--api").arg(&socket).args(flags);
        let process = Process::start(command, &folder.path().join("bgpd.log")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = wait_for("the API", LIMIT, || {
            let channel = runtime.block_on(sart_rpc::connect(&socket))?;
            Ok(Some(BgpServiceClient::new(channel)))
        });
        let client = client.unwrap_or_else(|error| panic!("{error:#}\n{}", process.log()));
        Self { process, runtime, client, folder }
    }

    /// Starts the daemon again on the same socket.
    pub fn restart(&mut self, namespace: &Namespace) {
        let mut command = namespace.command(env!("CARGO_BIN_EXE_sart-bgpd"));
        command.arg("--api").arg(self.socket());
        self.process = Process::start(command, &self.folder.path().join("again.log")).unwrap();
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(LIMIT, future).await }).unwrap()
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("bgpd.sock")
    }

    /// Makes one call; the status is an error of the test.
    pub fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut Client) -> Result<tonic::Response<T>, tonic::Status>,
    ) -> T {
        self.try_call(call).unwrap_or_else(|status| panic!("{status}\n{}", self.process.log()))
    }

    pub fn try_call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut Client) -> Result<tonic::Response<T>, tonic::Status>,
    ) -> Result<T, tonic::Status> {
        self.runtime.block_on(call(&mut self.client)).map(tonic::Response::into_inner)
    }

    pub fn apply(&mut self, request: &v1::ApplyConfigRequest) -> v1::ApplyConfigResponse {
        let request = request.clone();
        self.call(async |client| client.apply_config(request).await)
    }

    pub fn neighbor(&mut self, n: usize) -> v1::Neighbor {
        self.neighbor_at(&far(n))
    }

    /// The neighbour at `address`, which need not be the one of a link.
    pub fn neighbor_at(&mut self, address: &str) -> v1::Neighbor {
        let request = v1::ListNeighborsRequest { address: address.to_owned() };
        self.call(async |client| client.list_neighbors(request).await).neighbors.remove(0)
    }

    pub fn wait_state(&mut self, n: usize, state: v1::SessionState) {
        let seen = wait_for("the session's state", LIMIT, || {
            let now = self.neighbor(n);
            if now.state() == state { Ok(Some(())) } else { anyhow::bail!("{now:?}") }
        });
        seen.unwrap_or_else(|error| panic!("neighbor {n}: {error:#}\n{}", self.process.log()));
    }

    pub fn announce(&mut self, prefix: &str, groups: &[&str]) -> v1::UpdatePathsResponse {
        let request = v1::UpdatePathsRequest { upserts: vec![path(prefix, groups)], withdrawals: vec![] };
        self.call(async |client| client.update_paths(request).await)
    }

    pub fn withdraw(&mut self, prefix: &str) -> v1::UpdatePathsResponse {
        let request = v1::UpdatePathsRequest { upserts: vec![], withdrawals: vec![prefix.to_owned()] };
        self.call(async |client| client.update_paths(request).await)
    }

    pub fn paths(&mut self, table: v1::Table, n: usize) -> Vec<v1::Path> {
        let neighbor = if table == v1::Table::Local { String::new() } else { far(n) };
        let request = v1::ListPathsRequest { table: table.into(), neighbor, ..Default::default() };
        let collected = self.runtime.block_on(async {
            let mut rows = self.client.list_paths(request).await?.into_inner();
            let mut paths = Vec::new();
            while let Some(path) = rows.message().await? {
                paths.push(path);
            }
            Ok::<_, tonic::Status>(paths)
        });
        collected.unwrap()
    }

    /// Reads the stream of best paths until `wanted` says so, and returns all it read.
    pub fn best_paths(&mut self, wanted: impl Fn(&v1::BestPathEvent) -> bool) -> Vec<v1::BestPathEvent> {
        let reading = async {
            let request = v1::WatchBestPathsRequest { families: vec![] };
            let mut events = self.client.watch_best_paths(request).await?.into_inner();
            let mut seen = Vec::new();
            while let Some(event) = events.message().await? {
                let last = wanted(&event);
                seen.push(event);
                if last {
                    break;
                }
            }
            Ok::<_, tonic::Status>(seen)
        };
        self.runtime.block_on(async { tokio::time::timeout(LIMIT, reading).await }).unwrap().unwrap()
    }
}

/// An identity in AS 65000 that imports everything and is no transit.
pub fn global() -> v1::Global {
    v1::Global {
        asn: 65_000,
        router_id: "10.77.255.1".into(),
        import_all: true,
        transit: v1::TransitPolicy::LocalOnly.into(),
        ..Default::default()
    }
}

/// Neighbour `n` in AS 65001 + n with short timers and the group `to-N`.
pub fn neighbor(n: usize) -> v1::NeighborConfig {
    v1::NeighborConfig {
        name: format!("peer{n}"),
        address: far(n),
        asn: 65_001 + n as u32,
        hold_time: 9,
        groups: vec![format!("to-{n}")],
        ..Default::default()
    }
}

pub fn path(prefix: &str, groups: &[&str]) -> v1::LocalPath {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    v1::LocalPath { prefix: prefix.to_owned(), groups, ..Default::default() }
}

pub fn config(neighbors: &[v1::NeighborConfig], paths: &[v1::LocalPath]) -> v1::ApplyConfigRequest {
    v1::ApplyConfigRequest {
        global: Some(global()),
        neighbors: neighbors.to_vec(),
        paths: paths.to_vec(),
        policy: None,
    }
}

/// Waits until FRR's table is `wanted`.
pub fn wait_prefixes(frr: &Frr, family: &str, wanted: &[&str]) {
    let seen = wait_for("FRR's table", LIMIT, || {
        let seen = frr.prefixes(family)?;
        if seen == wanted { Ok(Some(())) } else { anyhow::bail!("wanted {wanted:?}, FRR has {seen:?}") }
    });
    seen.unwrap_or_else(|error| panic!("{error:#}\n{}", frr.logs()));
}

pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// A page of what the daemon serves over HTTP in its namespace.
pub fn get(namespace: &Namespace, port: u16, page: &str) -> String {
    let request = format!("GET {page} HTTP/1.1\r\nHost: sart\r\nConnection: close\r\n\r\n");
    let answer = namespace.enter(|| {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    answer.unwrap()
}
