//! The speaker daemon: moves bytes between sockets and `sart_bgp`, and serves its API; it never decides about a path.
