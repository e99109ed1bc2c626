//! As much of HTTP/1.1 as a health probe and curl need: every request gets the same JSON, and connections are kept.

use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// More than this before the empty line is no request of ours.
const HEAD_LIMIT: usize = 16 * 1024;

#[derive(Debug, Serialize)]
struct Answer {
    timestamp: String,
    from: String,
    to: String,
}

/// Accepts connections until accepting fails.
pub async fn serve(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (stream, from) = listener.accept().await?;
        // What goes wrong on one connection concerns only its client.
        tokio::spawn(async move { connection(stream, from).await });
    }
}

async fn connection(mut stream: TcpStream, from: SocketAddr) -> std::io::Result<()> {
    let to = stream.local_addr()?;
    let mut pending = Vec::new();
    loop {
        while let Some(end) = end_of_head(&pending) {
            let close = asks_to_close(pending.get(..end).unwrap_or_default());
            pending.drain(..end);
            stream.write_all(&response(from, to)).await?;
            if close {
                return stream.shutdown().await;
            }
        }
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await?;
        if length == 0 || pending.len() > HEAD_LIMIT {
            return Ok(());
        }
        pending.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
}

fn response(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let answer = Answer { timestamp: jiff::Timestamp::now().to_string(), from: plain(from), to: plain(to) };
    let mut body = serde_json::to_vec(&answer).unwrap_or_default();
    body.push(b'\n');
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.append(&mut body);
    response
}

/// An IPv4 client on an IPv6 socket is shown by its IPv4 address.
fn plain(address: SocketAddr) -> String {
    let ip: IpAddr = address.ip().to_canonical();
    SocketAddr::new(ip, address.port()).to_string()
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4)
}

fn asks_to_close(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.contains("\r\nconnection: close\r\n")
        || head.lines().next().is_some_and(|line| line.ends_with("http/1.0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_client_of_an_ipv6_socket_is_named_by_its_ipv4_address() {
        let from = SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0xc0a8, 0x0a02], 4711));
        assert_eq!(plain(from), "192.168.10.2:4711");
    }

    #[test]
    fn the_answer_is_json_with_timestamp_from_and_to() {
        let text = String::from_utf8(response(
            SocketAddr::from(([192, 168, 10, 2], 1)),
            SocketAddr::from(([10, 244, 1, 2], 8080)),
        ));
        let body =
            text.as_deref().ok().and_then(|text| text.split_once("\r\n\r\n")).map_or("", |(_, body)| body);
        let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        assert_eq!((&json["from"], &json["to"]), (&"192.168.10.2:1".into(), &"10.244.1.2:8080".into()));
        assert!(json["timestamp"].as_str().is_some_and(|timestamp| timestamp.ends_with('Z')));
    }

    #[test]
    fn two_requests_in_one_segment_are_two_requests() {
        let both = b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n";
        let first = end_of_head(both).unwrap_or_default();
        assert!(!asks_to_close(&both[..first]));
        assert!(asks_to_close(&both[first..]));
    }
}
