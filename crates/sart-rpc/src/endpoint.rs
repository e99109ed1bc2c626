//! Which socket an endpoint text means. Never accepts an address that would leave the machine.

use std::path::PathBuf;

/// Where the speaker serves unless told otherwise.
pub const BGPD_SOCKET: &str = "/run/sart/bgpd.sock";
/// Where the route manager serves unless told otherwise.
pub const FIBD_SOCKET: &str = "/run/sart/fibd.sock";
/// Where the node agent serves the pod network's operators.
pub const AGENT_SOCKET: &str = "/run/sart/agent.sock";

/// Why an endpoint text is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EndpointError {
    /// TCP is not served: the daemons authenticate callers by socket credentials, which TCP has none of.
    #[error(
        "endpoint `{endpoint}`: TCP is not supported; give a Unix socket (`/path` or `unix:/path`), or 127.0.0.1:5000 for \
         the speaker's and 127.0.0.1:5001 for the route manager's default socket"
    )]
    Tcp {
        /// The text as given.
        endpoint: String,
    },
    /// Neither a path nor one of the known addresses.
    #[error("endpoint `{endpoint}` is not an absolute socket path (`/path` or `unix:/path`)")]
    NotAPath {
        /// The text as given.
        endpoint: String,
    },
}

impl EndpointError {
    /// Label for metrics and conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Tcp { .. } => "TcpEndpoint",
            Self::NotAPath { .. } => "NotASocketPath",
        }
    }
}

/// The socket behind `endpoint`.
///
/// Configurations written for upstream name loopback ports; those mean our default sockets: 5000 the speaker, 5001 and 5010
/// the route manager. `unix:/path`, `unix:///path` and `/path` are taken as they are.
pub fn socket_path(endpoint: &str) -> Result<PathBuf, EndpointError> {
    let text = endpoint.trim();
    let path = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")).unwrap_or(text);
    if path.starts_with('/') {
        return Ok(PathBuf::from(path));
    }
    let address = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .unwrap_or(text)
        .trim_end_matches('/');
    match address.rsplit_once(':') {
        Some(("127.0.0.1" | "localhost" | "[::1]", "5000")) => Ok(PathBuf::from(BGPD_SOCKET)),
        Some(("127.0.0.1" | "localhost" | "[::1]", "5001" | "5010")) => Ok(PathBuf::from(FIBD_SOCKET)),
        Some((_, port)) if port.parse::<u16>().is_ok() => {
            Err(EndpointError::Tcp { endpoint: endpoint.to_owned() })
        }
        _ => Err(EndpointError::NotAPath { endpoint: endpoint.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_ports_and_paths_name_sockets() {
        for (endpoint, socket) in [
            ("127.0.0.1:5000", BGPD_SOCKET),
            ("localhost:5000", BGPD_SOCKET),
            ("http://localhost:5000/", BGPD_SOCKET),
            ("127.0.0.1:5001", FIBD_SOCKET),
            ("localhost:5010", FIBD_SOCKET),
            ("/run/x.sock", "/run/x.sock"),
            ("unix:/run/x.sock", "/run/x.sock"),
            ("unix:///run/x.sock", "/run/x.sock"),
        ] {
            assert_eq!(socket_path(endpoint), Ok(PathBuf::from(socket)), "{endpoint}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        for (endpoint, reason) in [
            ("10.0.0.1:5000", "TcpEndpoint"),
            ("127.0.0.1:5002", "TcpEndpoint"),
            ("http://10.0.0.1:5000", "TcpEndpoint"),
            ("relative.sock", "NotASocketPath"),
            ("unix:relative", "NotASocketPath"),
            ("", "NotASocketPath"),
        ] {
            let error = socket_path(endpoint).unwrap_err();
            assert_eq!(error.reason(), reason, "{endpoint}");
            assert!(error.to_string().contains(&format!("`{endpoint}`")));
        }
    }
}
