//! The lab: whole clusters in network namespaces, the demo and its checks.
