//! A speaker that serves best paths and nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use sart_rpc::Listener;
use sart_rpc::v1::bgp_service_server::{BgpService, BgpServiceServer};
use sart_rpc::v1::{self, *};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Watcher = mpsc::UnboundedSender<Result<BestPathEvent, Status>>;

#[derive(Default)]
struct Table {
    paths: BTreeMap<String, BestPath>,
    watchers: Vec<(Watcher, bool, bool)>,
    held: bool,
}

impl Table {
    fn send(&mut self, path: &BestPath) {
        let v6 = path.prefix.contains(':');
        for (watcher, wants_v6, _) in self.watchers.iter().filter(|(_, wants_v6, _)| *wants_v6 == v6) {
            assert_eq!(*wants_v6, v6);
            let event = BestPathEvent { event: Some(best_path_event::Event::Path(path.clone())) };
            // A watcher that has gone is no failure.
            let _gone = watcher.send(Ok(event));
        }
    }

    fn end_of_rib(&mut self) {
        if self.held {
            return;
        }
        for (watcher, _, ended) in self.watchers.iter_mut().filter(|(_, _, ended)| !ended) {
            let event = BestPathEvent { event: Some(best_path_event::Event::EndOfRib(true)) };
            let _gone = watcher.send(Ok(event));
            *ended = true;
        }
    }
}

/// The speaker and its runtime.
pub struct Speaker {
    pub socket: PathBuf,
    runtime: Runtime,
    table: Arc<Mutex<Table>>,
    stop: watch::Sender<u32>,
}

impl Speaker {
    pub fn new(socket: PathBuf) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut speaker = Self { socket, runtime, table: Arc::default(), stop: watch::channel(0).0 };
        speaker.start();
        speaker
    }

    pub fn start(&mut self) {
        let mut stop = self.stop.subscribe();
        let service = BgpServiceServer::new(Service(Arc::clone(&self.table)));
        let _inside = self.runtime.enter();
        let listener = Listener::bind(&self.socket).unwrap();
        self.runtime.spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            tokio::select! {
                served = server.serve_with_incoming(listener) => served.unwrap(),
                _ = stop.changed() => {}
            }
        });
    }

    /// Ends the server and all its streams.
    pub fn stop(&mut self) {
        self.stop.send_modify(|count| *count += 1);
        self.table.lock().unwrap().watchers.clear();
        while self.socket.exists() {
            std::thread::yield_now();
        }
    }

    pub fn announce(&self, prefix: &str, next_hops: &[&str]) {
        let hop = |address: &&str| BestNextHop { address: (*address).to_owned(), weight: 1 };
        let path = BestPath {
            prefix: prefix.to_owned(),
            next_hops: next_hops.iter().map(hop).collect(),
            internal: false,
        };
        let mut table = self.table.lock().unwrap();
        table.paths.insert(prefix.to_owned(), path.clone());
        table.send(&path);
    }

    pub fn withdraw(&self, prefix: &str) {
        let path = BestPath { prefix: prefix.to_owned(), ..BestPath::default() };
        let mut table = self.table.lock().unwrap();
        table.paths.remove(prefix);
        table.send(&path);
    }

    pub fn hold_end_of_rib(&self, held: bool) {
        let mut table = self.table.lock().unwrap();
        table.held = held;
        table.end_of_rib();
    }
}

struct Service(Arc<Mutex<Table>>);

#[tonic::async_trait]
impl BgpService for Service {
    type WatchNeighborsStream = Events<NeighborEvent>;
    type ListPathsStream = Events<Path>;
    type StreamPathsStream = Events<UpdatePathsResponse>;
    type WatchBestPathsStream = UnboundedReceiverStream<Result<BestPathEvent, Status>>;

    async fn watch_best_paths(
        &self,
        request: Request<WatchBestPathsRequest>,
    ) -> Result<Response<Self::WatchBestPathsStream>, Status> {
        let v6 = request.into_inner().families == [AddressFamily::Ipv6Unicast as i32];
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut table = self.0.lock().unwrap();
        for path in table.paths.values().filter(|path| path.prefix.contains(':') == v6) {
            let event = BestPathEvent { event: Some(best_path_event::Event::Path(path.clone())) };
            sender.send(Ok(event)).unwrap();
        }
        table.watchers.push((sender, v6, false));
        table.end_of_rib();
        Ok(Response::new(UnboundedReceiverStream::new(receiver)))
    }

    async fn get_global(&self, _: Request<GetGlobalRequest>) -> Result<Response<Global>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn apply_config(
        &self,
        _: Request<ApplyConfigRequest>,
    ) -> Result<Response<ApplyConfigResponse>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn set_global(&self, _: Request<SetGlobalRequest>) -> Result<Response<Global>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn add_neighbor(&self, _: Request<AddNeighborRequest>) -> Result<Response<Neighbor>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn delete_neighbor(
        &self,
        _: Request<DeleteNeighborRequest>,
    ) -> Result<Response<DeleteNeighborResponse>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn shutdown_neighbor(
        &self,
        _: Request<sart_rpc::v1::ShutdownNeighborRequest>,
    ) -> Result<Response<sart_rpc::v1::Neighbor>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn start_neighbor(
        &self,
        _: Request<sart_rpc::v1::StartNeighborRequest>,
    ) -> Result<Response<sart_rpc::v1::Neighbor>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn reset_neighbor(
        &self,
        _: Request<sart_rpc::v1::ResetNeighborRequest>,
    ) -> Result<Response<sart_rpc::v1::Neighbor>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn refresh_neighbor(
        &self,
        _: Request<sart_rpc::v1::RefreshNeighborRequest>,
    ) -> Result<Response<sart_rpc::v1::Neighbor>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn decommission(
        &self,
        _: Request<sart_rpc::v1::DecommissionRequest>,
    ) -> Result<Response<sart_rpc::v1::DecommissionResponse>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn list_neighbors(
        &self,
        _: Request<ListNeighborsRequest>,
    ) -> Result<Response<ListNeighborsResponse>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn watch_neighbors(
        &self,
        _: Request<WatchNeighborsRequest>,
    ) -> Result<Response<Self::WatchNeighborsStream>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn get_policy(
        &self,
        _: Request<v1::GetPolicyRequest>,
    ) -> Result<Response<v1::GetPolicyResponse>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn set_policy(
        &self,
        _: Request<v1::SetPolicyRequest>,
    ) -> Result<Response<v1::GetPolicyResponse>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn set_neighbor_policy(
        &self,
        _: Request<v1::SetNeighborPolicyRequest>,
    ) -> Result<Response<v1::GetPolicyResponse>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn reload(&self, _: Request<v1::ReloadRequest>) -> Result<Response<ApplyConfigResponse>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn set_log_level(
        &self,
        _: Request<v1::SetLogLevelRequest>,
    ) -> Result<Response<v1::SetLogLevelResponse>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn update_paths(
        &self,
        _: Request<UpdatePathsRequest>,
    ) -> Result<Response<UpdatePathsResponse>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn stream_paths(
        &self,
        _: Request<Streaming<UpdatePathsRequest>>,
    ) -> Result<Response<Self::StreamPathsStream>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
    async fn list_paths(
        &self,
        _: Request<ListPathsRequest>,
    ) -> Result<Response<Self::ListPathsStream>, Status> {
        Err(Status::unimplemented("best paths only"))
    }
}
