//! Finds the Rust sources that the structure checks read, and prints for people. Must never write a file.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// One parsed source file of a member crate.
pub struct Source {
    /// Path from the workspace root.
    pub path: PathBuf,
    /// Directory of the crate, from the workspace root.
    pub crate_dir: PathBuf,
    /// The text as read.
    pub text: String,
    /// Its syntax tree.
    pub tree: syn::File,
}

/// The workspace root, two levels above nothing: `xtask` lies directly in it.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Every source file that people wrote and that ships: no tests, no generated code.
pub fn shipped() -> anyhow::Result<Vec<Source>> {
    let root = root();
    let mut found = Vec::new();
    for dir in crate_dirs(&root)? {
        for entry in walkdir::WalkDir::new(root.join(&dir).join("src")).sort_by_file_name() {
            let entry = entry.with_context(|| format!("read the sources of {}", dir.display()))?;
            if entry.file_type().is_file() && ships(entry.path()) {
                found.push(parse(&root, &dir, entry.path())?);
            }
        }
    }
    Ok(found)
}

/// Directories of the member crates, from the workspace root, sorted.
pub fn crate_dirs(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for parent in [root.to_path_buf(), root.join("crates")] {
        for entry in std::fs::read_dir(&parent).with_context(|| format!("list {}", parent.display()))? {
            let path = entry?.path();
            if path.join("Cargo.toml").is_file() && path.join("src").is_dir() {
                dirs.push(path.strip_prefix(root)?.to_path_buf());
            }
        }
    }
    dirs.sort();
    Ok(dirs)
}

fn ships(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let in_generated = path.components().any(|c| c.as_os_str() == "generated");
    let in_tests = path.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "proptests");
    let test_file = matches!(name, "tests.rs" | "proptests.rs" | "end_to_end.rs");
    name.ends_with(".rs") && !in_generated && !in_tests && !test_file
}

fn parse(root: &Path, crate_dir: &Path, path: &Path) -> anyhow::Result<Source> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let tree = syn::parse_file(&text).with_context(|| format!("parse {}", path.display()))?;
    let path = path.strip_prefix(root)?.to_path_buf();
    Ok(Source { path, crate_dir: crate_dir.to_path_buf(), text, tree })
}

/// True for `#[cfg(test)]` and `#[test]` items, which no budget counts.
pub fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        path.is_ident("test")
            || (path.is_ident("cfg")
                && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test"))
    })
}

/// A line on standard output, which is what a task's user reads.
pub fn say(line: &str) {
    // A closed pipe (`cargo xtask shape | head`) is the reader's choice, not a fault of the task.
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// A line on standard error.
pub fn complain(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
