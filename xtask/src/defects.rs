//! `cargo xtask defects`: puts each known defect back as a patch, in a worktree of its own, and demands that its regression
//! test turns red. Proves the tests, not the product; the tree you stand in is never touched.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::run::{checked, command};
use crate::source::{root, say};

/// Which defects to put back.
#[derive(clap::Args)]
pub struct Args {
    /// Only patches whose file name contains this.
    #[arg(long)]
    only: Option<String>,
}

/// One patch of `e2e/defects`, with the header lines that say what must fail.
struct Defect {
    file: PathBuf,
    package: String,
    test: String,
}

/// Puts every chosen defect back in turn; fails if a test stays green or a patch no longer applies.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let defects = load(args.only.as_deref())?;
    ensure!(!defects.is_empty(), "no defect in e2e/defects matches");
    let tree = root().join("target/defects");
    remove_tree(&tree)?;
    let path = tree.to_string_lossy().into_owned();
    checked(&mut command("git", &["worktree", "add", "--quiet", "--detach", &path, "HEAD"]))?;
    let shown = defects.iter().filter(|defect| is_shown(defect, &tree)).count();
    remove_tree(&tree)?;
    let failed = defects.len() - shown;
    say(&format!("{shown} passed, {failed} failed"));
    ensure!(failed == 0, "{failed} regression test(s) do not see their defect");
    Ok(())
}

/// Every patch still fits the code as it is: a defect that cannot be put back proves nothing any more. Takes a second.
pub fn check() -> anyhow::Result<()> {
    let defects = load(None)?;
    let mut stale = Vec::new();
    for defect in &defects {
        let patch = defect.file.to_string_lossy().into_owned();
        let fits = command("git", &["apply", "--check", &patch]).output().context("start git")?;
        if !fits.status.success() {
            stale.push(patch);
        }
    }
    say(&format!("{} defects, {} no longer apply", defects.len(), stale.len()));
    ensure!(stale.is_empty(), "make these anew for the code as it is: {}", stale.join(", "));
    Ok(())
}

fn load(only: Option<&str>) -> anyhow::Result<Vec<Defect>> {
    let folder = root().join("e2e/defects");
    let mut defects = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".patch") && only.is_none_or(|only| name.contains(only)) {
            defects.push(parse(&file)?);
        }
    }
    defects.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(defects)
}

fn parse(file: &Path) -> anyhow::Result<Defect> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let header = |key: &str| {
        let value = text
            .lines()
            .take_while(|line| !line.starts_with("diff "))
            .find_map(|line| line.strip_prefix(key));
        value
            .map(|value| value.trim().to_owned())
            .with_context(|| format!("{} has no `{key}` line before its diff", file.display()))
    };
    Ok(Defect { file: file.to_path_buf(), package: header("Package:")?, test: header("Test:")? })
}

/// Puts one defect back and says at once what came of it: all of them take an hour.
fn is_shown(defect: &Defect, tree: &Path) -> bool {
    let result = turns_red(defect, tree);
    let verdict = result.as_ref().map_or_else(|error| format!("NOT SHOWN: {error:#}"), |()| "red".to_owned());
    let name = defect.file.file_stem().unwrap_or_default().to_string_lossy();
    say(&format!("{name:<50} {:<75} {verdict}", defect.test));
    result.is_ok()
}

/// The test must run and fail; a patch that does not compile proves nothing.
fn turns_red(defect: &Defect, tree: &Path) -> anyhow::Result<()> {
    let patch = defect.file.to_string_lossy().into_owned();
    checked(command("git", &["apply", &patch]).current_dir(tree)).context("the patch no longer applies")?;
    let test = command("cargo", &["test", "--quiet", "--package", &defect.package, &defect.test])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", root().join("target/defects-build"))
        .env("SART_REQUIRE_ALL", "1")
        .output();
    checked(command("git", &["checkout", "--quiet", "--", "."]).current_dir(tree))?;
    let output = test.context("start cargo test")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(
        printed.contains("test result: FAILED"),
        "{}",
        if output.status.success() { "the test stays green" } else { "the patched tree does not compile" }
    );
    Ok(())
}

fn remove_tree(tree: &Path) -> anyhow::Result<()> {
    if tree.exists() {
        let path = tree.to_string_lossy().into_owned();
        checked(&mut command("git", &["worktree", "remove", "--force", &path]))?;
    }
    checked(&mut command("git", &["worktree", "prune"]))
}
