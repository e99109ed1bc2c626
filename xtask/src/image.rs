//! `cargo xtask image`: OCI archives of our own static binaries, from scratch, the same bytes for the same binaries.

mod archive;
mod binaries;

use crate::source::root;
use anyhow::{Context as _, Result};
use e2e::progress::Step;
use std::path::{Path, PathBuf};

/// Build the OCI archives `target/images/*.tar`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Which images; all if none is named.
    #[arg(value_enum)]
    names: Vec<Name>,
    /// Quicker to build, slower to run.
    #[arg(long)]
    debug: bool,
}

/// An image of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Name {
    /// The controller.
    SartController,
    /// The node agent.
    SartAgent,
    /// The BGP speaker and the route manager.
    SartBgpd,
    /// What the sample Services lead to.
    TestServer,
    /// Holds a pod's namespaces in the lab.
    Pause,
}

/// How the binaries are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Optimised.
    Release,
    /// Quick to build.
    Debug,
}

/// What is in an image.
#[derive(Debug, Clone, Copy)]
struct Recipe {
    name: &'static str,
    /// (package, binary), each at `/<binary>`.
    binaries: &'static [(&'static str, &'static str)],
    entrypoint: &'static [&'static str],
}

const CLI: (&str, &str) = ("sart", "sart");

impl Name {
    /// Every image.
    pub const ALL: [Self; 5] =
        [Self::SartController, Self::SartAgent, Self::SartBgpd, Self::TestServer, Self::Pause];

    const fn recipe(self) -> Recipe {
        match self {
            Self::SartController => Recipe {
                name: "sart-controller",
                binaries: &[("sart-controller", "sart-controller"), CLI],
                entrypoint: &["/sart-controller"],
            },
            Self::SartAgent => Recipe {
                name: "sart-agent",
                binaries: &[("sart-agent", "sart-agent"), ("sart-cni", "sart-cni"), CLI],
                entrypoint: &["/sart-agent"],
            },
            Self::SartBgpd => Recipe {
                name: "sart-bgpd",
                binaries: &[("sart-bgpd", "sart-bgpd"), ("sart-bgpd", "sart-fibd"), CLI],
                entrypoint: &["/sart-bgpd"],
            },
            Self::TestServer => Recipe {
                name: "test-server",
                binaries: &[("test-server", "test-server")],
                entrypoint: &["/test-server"],
            },
            Self::Pause => Recipe {
                name: "pause",
                binaries: &[("test-server", "test-server")],
                entrypoint: &["/test-server", "pause"],
            },
        }
    }

    /// The name a pod asks for.
    pub fn reference(self) -> String {
        format!("sart.terassyi.net/{}:{}", self.recipe().name, env!("CARGO_PKG_VERSION"))
    }
}

/// Runs the task.
pub fn run(args: &Args) -> Result<()> {
    let names = if args.names.is_empty() { Name::ALL.to_vec() } else { args.names.clone() };
    build(&names, if args.debug { Profile::Debug } else { Profile::Release }).map(drop)
}

/// Builds the images' binaries and writes the archives that changed; returns where they are.
pub fn build(names: &[Name], profile: Profile) -> Result<Vec<PathBuf>> {
    let recipes: Vec<_> = names.iter().map(|name| (name.reference(), name.recipe())).collect();
    let packages =
        recipes.iter().flat_map(|(_, recipe)| recipe.binaries.iter().map(|(package, _)| *package)).collect();
    if names.contains(&Name::SartAgent) {
        // The agent carries the kernel programs; without them it would leave everything to kube-proxy.
        crate::build_ebpf::run()?;
    }
    let folder = binaries::build(&packages, profile)?;
    let images = root().join("target/images");
    std::fs::create_dir_all(&images).with_context(|| format!("cannot create {}", images.display()))?;
    recipes.iter().map(|(reference, recipe)| write(reference, recipe, &folder, &images)).collect()
}

/// Builds the static, optimised binaries of these packages and returns the folder they are in.
pub fn binaries(packages: &[&str]) -> Result<PathBuf> {
    binaries::build(&packages.iter().copied().collect(), Profile::Release)
}

/// The archives in a folder.
pub fn archives(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("no images in {}; run `cargo xtask image`", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut archives: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "tar")).collect();
    archives.sort();
    Ok(archives)
}

fn write(reference: &str, recipe: &Recipe, binaries: &Path, images: &Path) -> Result<PathBuf> {
    let step = Step::start(format!("image {reference}"));
    let files = recipe.binaries.iter().map(|(_, binary)| {
        let path = binaries.join(binary);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(((*binary).to_owned(), bytes))
    });
    let bytes = archive::oci(reference, &files.collect::<Result<Vec<_>>>()?, recipe.entrypoint)?;
    let path = images.join(format!("{}.tar", recipe.name));
    if std::fs::read(&path).is_ok_and(|old| old == bytes) {
        step.done("unchanged");
        return Ok(path);
    }
    let partial = path.with_extension("part");
    std::fs::write(&partial, &bytes).with_context(|| format!("cannot write {}", partial.display()))?;
    std::fs::rename(&partial, &path).with_context(|| format!("cannot write {}", path.display()))?;
    step.done(&format!("{:.1} MB", bytes.len() as f64 / 1e6));
    Ok(path)
}
