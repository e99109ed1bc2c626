//! The metrics registry of a process. Names only; must never hold a figure itself.

pub use prometheus_client::metrics;
pub use prometheus_client::registry::Registry;

/// A registry whose metric names all begin with `prefix` (`sart_bgpd` gives `sart_bgpd_…`).
#[must_use]
pub fn registry(prefix: &str) -> Registry {
    Registry::with_prefix(prefix)
}

/// The text that a scraper of `registry` is given (OpenMetrics 1.0).
///
/// # Errors
/// If a metric's own encoder fails.
pub fn render(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}
