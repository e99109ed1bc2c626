//! Where expensive downloads and tool builds are kept between checkouts. Creates nothing.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// The folder of the user's cache that is ours.
pub fn cache() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("sart"))
}
