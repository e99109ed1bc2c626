//! The gRPC contract between the daemons: messages, clients, servers, and the Unix sockets they travel on.
//! It decides who may connect, never what a call does.

mod channel;
mod endpoint;
mod listener;

pub use channel::{ConnectError, connect, connect_lazy};
pub use endpoint::{AGENT_SOCKET, BGPD_SOCKET, EndpointError, FIBD_SOCKET, socket_path};
pub use listener::{BindError, Listener, bind_socket};

/// Package `sart.v1`, generated from `proto/sart/v1/*.proto` by `cargo run -p sart-rpc --example rpcgen`.
#[rustfmt::skip]
#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    clippy::too_many_lines,
    reason = "generated code; the .proto files carry the documentation"
)]
pub mod v1 {
    include!("generated/sart.v1.rs");
}
