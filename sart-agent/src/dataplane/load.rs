//! From the object to pinned maps and programs. Everything is loaded and tested before a pin changes, so a refusal leaves
//! what ran before as it was.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

use aya::maps::{MapError, MapInfo, MapType};
use aya::programs::SchedClassifier;
use aya::programs::Xdp;
use aya::{Ebpf, EbpfLoader};
use sart_ebpf_common::layout::{MAPS, MapKind, MapSpec, POD_FLOWS, PODS};

use super::{OpenError, selftest};

/// Programs on the way in and out, by the names in the object.
pub(super) const UP_IN: &str = "up_in";
/// See [`UP_IN`].
pub(super) const UP_OUT: &str = "up_out";
/// The counting program of the driver's hook.
pub(super) const XDP_IN: &str = "xdp_in";

/// Programs of a pod's link: what the pod sends, and what the stack sends to it.
pub(super) const POD_IN: &str = "pod_in";
/// See [`POD_IN`].
pub(super) const POD_OUT: &str = "pod_out";
const UPLINKS: [&str; 3] = [UP_OUT, UP_IN, XDP_IN];
const PODLINKS: [&str; 2] = [POD_OUT, POD_IN];

/// The folders below the pin root.
#[derive(Debug, Clone)]
pub(super) struct Pins {
    pub(super) maps: PathBuf,
    pub(super) programs: PathBuf,
    pub(super) links: PathBuf,
    pub(super) pods: PathBuf,
}

impl Pins {
    pub(super) fn at(root: &Path) -> Self {
        let folder = |name| root.join(name);
        Self { maps: folder("maps"), programs: folder("progs"), links: folder("links"), pods: folder("pods") }
    }

    /// Names them, and makes them where they are missing.
    pub(super) fn make(root: &Path) -> Result<Self, OpenError> {
        let pins = Self::at(root);
        for folder in [&pins.maps, &pins.programs, &pins.links, &pins.pods] {
            fs::create_dir_all(folder)
                .map_err(|source| OpenError::PinFolder { path: folder.clone(), source })?;
        }
        Ok(pins)
    }

    /// Whether an earlier agent left a whole set.
    fn are_complete(&self) -> bool {
        // The programs of pods may be missing: an earlier release had none, and they do without.
        let mut maps = MAPS.iter().filter(|spec| ![PODS, POD_FLOWS].contains(spec));
        maps.all(|spec| self.maps.join(spec.name).exists())
            && [UP_IN, UP_OUT].iter().all(|name| self.programs.join(name).exists())
    }
}

/// What became of the object.
pub(super) struct Prepared {
    /// What was just loaded; nothing when an earlier agent's programs stay in use.
    pub(super) fresh: Option<Ebpf>,
    /// Why they stay in use.
    pub(super) degraded: Option<OpenError>,
    /// Why there are no new programs for pods. They are judged apart: virtual addresses are served without them.
    pub(super) without_pods: Option<OpenError>,
}

/// Loads, tests and pins the object.
///
/// # Errors
/// See [`OpenError`]. When the kernel refuses the object and an earlier set is pinned, that set stays in use and the
/// reason is returned beside it.
pub(super) fn prepare(pins: &Pins, object: &[u8]) -> Result<Prepared, OpenError> {
    for spec in &MAPS {
        compatible(&pins.maps.join(spec.name), spec)?;
    }
    match renew(pins, object) {
        Ok((fresh, without_pods)) => Ok(Prepared { fresh: Some(fresh), degraded: None, without_pods }),
        Err(error) if pins.are_complete() && keeps(&error) => {
            Ok(Prepared { fresh: None, degraded: Some(error), without_pods: None })
        }
        Err(error) => Err(error),
    }
}

const fn keeps(error: &OpenError) -> bool {
    matches!(error, OpenError::VerifierRefused { .. } | OpenError::SelfTestFailed { .. })
}

fn renew(pins: &Pins, object: &[u8]) -> Result<(Ebpf, Option<OpenError>), OpenError> {
    let mut scratch = EbpfLoader::new();
    for spec in &MAPS {
        scratch.map_max_entries(spec.name, spec.max_entries.min(64));
    }
    let mut tested = scratch.load(object).map_err(|error| refused("the object", &error))?;
    load_uplinks(&mut tested)?;
    selftest::uplinks(&mut tested)?;
    let without_pods = load_podlinks(&mut tested).and_then(|()| selftest::pods(&mut tested)).err();
    drop(tested);

    let mut loader = EbpfLoader::new();
    for spec in &MAPS {
        loader.map_pin_path(spec.name, pins.maps.join(spec.name));
    }
    let mut loaded = loader.load(object).map_err(|error| refused("the maps", &error))?;
    load_uplinks(&mut loaded)?;
    let mut names = UPLINKS.to_vec();
    if without_pods.is_none() {
        load_podlinks(&mut loaded)?;
        names.extend(PODLINKS);
    }
    for name in &names {
        let fresh = pins.programs.join(format!("{name}-new"));
        pin(&mut loaded, name, &fresh)?;
    }
    // Only now, with all of them there, do the names change hands; the previous ones stay for a way back.
    for name in names {
        replace(&pins.programs, name)
            .map_err(|source| OpenError::PinFolder { path: pins.programs.join(name), source })?;
    }
    Ok((loaded, without_pods))
}

/// Loads the programs of uplinks into the kernel.
fn load_uplinks(ebpf: &mut Ebpf) -> Result<(), OpenError> {
    for name in [UP_IN, UP_OUT] {
        let program = classifier(ebpf, name)?;
        program.load().map_err(|error| refused(name, &error))?;
    }
    let program = ebpf.program_mut(XDP_IN).ok_or_else(|| missing(XDP_IN))?;
    let program: &mut Xdp = program.try_into().map_err(|error| refused(XDP_IN, &error))?;
    program.load().map_err(|error| refused(XDP_IN, &error))
}

/// Loads the programs of pods' links into the kernel.
fn load_podlinks(ebpf: &mut Ebpf) -> Result<(), OpenError> {
    PODLINKS.iter().try_for_each(|name| {
        let program = classifier(ebpf, name)?;
        program.load().map_err(|error| refused(name, &error))
    })
}

/// A classifier of the object.
pub(super) fn classifier<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, OpenError> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(|error| refused(name, &error))
}

fn missing(name: &str) -> OpenError {
    OpenError::VerifierRefused {
        stage: name.to_owned(),
        message: "the object has no such program".to_owned(),
    }
}

fn pin(ebpf: &mut Ebpf, name: &str, path: &Path) -> Result<(), OpenError> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(OpenError::PinFolder { path: path.to_owned(), source: error });
        }
        _ => {}
    }
    program
        .pin(path)
        .map_err(|error| OpenError::PinFolder { path: path.to_owned(), source: io::Error::other(error) })
}

fn replace(folder: &Path, name: &str) -> io::Result<()> {
    let (current, previous) = (folder.join(name), folder.join(format!("{name}-prev")));
    if current.exists() {
        fs::rename(&current, &previous)?;
    }
    fs::rename(folder.join(format!("{name}-new")), &current)
}

/// Compares a pinned map with what this agent's programs need; a missing one is fine.
fn compatible(path: &Path, spec: &MapSpec) -> Result<(), OpenError> {
    if !path.exists() {
        return Ok(());
    }
    let info = MapInfo::from_pin(path).map_err(|error| refused("the pinned maps", &error))?;
    let found = info.map_type().map(|kind| {
        layout(kind as u32, info.key_size(), info.value_size(), info.max_entries(), info.map_flags())
    });
    let found = found.map_err(|error: MapError| refused("the pinned maps", &error))?;
    let kind = match spec.kind {
        MapKind::Hash => MapType::Hash,
        MapKind::Array => MapType::Array,
        MapKind::PerCpuArray => MapType::PerCpuArray,
        MapKind::LruHash => MapType::LruHash,
    };
    let wanted = layout(kind as u32, spec.key, spec.value, spec.max_entries, spec.flags);
    if found == wanted {
        return Ok(());
    }
    Err(OpenError::IncompatiblePin { path: path.to_owned(), found, wanted })
}

fn layout(kind: u32, key: u32, value: u32, entries: u32, flags: u32) -> String {
    format!("type {kind}, key {key} B, value {value} B, {entries} entries, flags {flags:#x}")
}

/// Tells a lack of rights from a refusal.
pub(super) fn refused(stage: &str, error: &(dyn Error + 'static)) -> OpenError {
    let mut messages = vec![error.to_string()];
    let mut cause = Some(error);
    while let Some(current) = cause {
        let code = current.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        // EPERM is about the process; EACCES is the verifier's word for a bad program.
        if code == Some(1) {
            return OpenError::MissingCapability {
                action: "load or open BPF objects",
                source: io::Error::from_raw_os_error(1),
            };
        }
        cause = current.source();
        messages.extend(cause.map(ToString::to_string));
    }
    let message = messages.join(": ");
    let start = message.len().saturating_sub(2000);
    let tail = message.get(start..).map_or_else(|| message.clone(), ToOwned::to_owned);
    OpenError::VerifierRefused { stage: stage.to_owned(), message: tail }
}
