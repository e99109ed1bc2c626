//! Logs, metrics and health of the daemons. Shows what they report; must never decide whether a daemon works.

pub mod health;
pub mod http;
pub mod logs;
pub mod metrics;

pub use health::{Health, Readiness};
pub use http::TelemetryServer;
pub use logs::{LogFormat, LogOptions};
