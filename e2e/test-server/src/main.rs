//! What the lab's Services lead to. Over HTTP it answers when, from whom and where a request arrived; datagrams it sends back.
//! Called as `test-server pause` it only holds a pod's namespaces. It decides nothing and keeps nothing.

mod http;

use std::process::ExitCode;
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};

/// Where HTTP is answered.
const HTTP: u16 = 8080;
/// Where datagrams are echoed.
const ECHO: u16 = 8081;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mode = std::env::args().nth(1);
    let work = async {
        match mode.as_deref() {
            None => serve().await,
            Some("pause") => std::future::pending().await,
            Some(other) => {
                Err(std::io::Error::other(format!("unknown argument {other}; there is only `pause`")))
            }
        }
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        outcome = ended() => outcome,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // Nobody is left to tell if stderr is closed.
            let _ = writeln!(std::io::stderr(), "test-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> std::io::Result<()> {
    // One socket for both families: an IPv6 socket takes IPv4 as well, where there is IPv6.
    let host = if TcpListener::bind(("::", 0)).await.is_ok() { "::" } else { "0.0.0.0" };
    let listener = TcpListener::bind((host, HTTP)).await?;
    let socket = UdpSocket::bind((host, ECHO)).await?;
    tokio::try_join!(http::serve(listener), echo(socket))?;
    Ok(())
}

async fn echo(socket: UdpSocket) -> std::io::Result<()> {
    let mut buffer = vec![0; 65536];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        // A datagram that cannot be sent back is lost, as datagrams are.
        let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), from).await;
    }
}

/// The first process of a container gets no default action for signals, so it must ask for them.
async fn ended() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}
