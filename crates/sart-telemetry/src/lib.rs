//! Logs, metrics registry, health and readiness of the daemons.
