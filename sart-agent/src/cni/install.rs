//! Puts the plugin and its configuration where the runtime looks: the binary first, the configuration last and only once the
//! agent serves. Every file appears whole or not at all; nobody else's file is touched.

mod conflist;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

pub use conflist::conflist;

/// Name of the plugin, in the image and in the runtime's folder.
const BINARY: &str = "sart-cni";
/// The version that was there before the last change, for a way back.
const PREVIOUS: &str = ".sart-cni.previous";
/// Where runtimes look for plugins.
pub const BINARIES: &str = "/opt/cni/bin";
/// Where runtimes look for configurations.
pub const CONFIGURATIONS: &str = "/etc/cni/net.d";

/// Where things come from and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installer {
    /// The plugin in this image.
    pub source: PathBuf,
    /// The runtime's folder of plugins.
    pub binaries: PathBuf,
    /// The runtime's folder of configurations.
    pub configurations: PathBuf,
    /// Name of our configuration; the runtime takes the first by name.
    pub name: String,
    /// Socket that the configuration names.
    pub socket: PathBuf,
}

/// Why the runtime does not find us.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} {path}: {source}; is the folder of the host mounted there, and writable?")]
pub struct InstallError {
    step: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl InstallError {
    /// Label for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        "install"
    }
}

impl Default for Installer {
    fn default() -> Self {
        Self {
            source: Path::new("/").join(BINARY),
            binaries: BINARIES.into(),
            configurations: CONFIGURATIONS.into(),
            name: "10-sart.conflist".to_owned(),
            socket: sart_cni::config::SOCKET.into(),
        }
    }
}

impl Installer {
    /// Replaces the plugin, also while it runs (a rename leaves the running file alone: no ETXTBSY), and keeps the one that
    /// was there. The same bytes are not written again. True if it changed.
    ///
    /// # Errors
    /// See [`InstallError`]; what was there still is.
    pub fn binary(&self) -> Result<bool, InstallError> {
        let target = self.binaries.join(BINARY);
        let bytes = fs::read(&self.source).map_err(failed("read", &self.source))?;
        fs::create_dir_all(&self.binaries).map_err(failed("make", &self.binaries))?;
        match fs::read(&target) {
            Ok(present) if present == bytes && is_executable(&target) => return Ok(false),
            Ok(_) => self.keep(&target)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read", &target)(error)),
        }
        put(&target, &bytes, 0o755)?;
        Ok(true)
    }

    /// A second name for the file that is there; the file itself stays in place until the rename.
    fn keep(&self, target: &Path) -> Result<(), InstallError> {
        let previous = self.binaries.join(PREVIOUS);
        match fs::remove_file(&previous) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &previous)(error));
            }
            _ => {}
        }
        fs::hard_link(target, &previous).map_err(failed("keep", &previous))
    }

    /// Writes the configuration. Call it when ADD would work: from here on the runtime calls the plugin, and the kubelet says
    /// that the node is ready. True if it changed.
    ///
    /// # Errors
    /// See [`InstallError`].
    pub fn configuration(&self) -> Result<bool, InstallError> {
        let target = self.configurations.join(&self.name);
        let text = conflist(&self.binaries, &self.socket);
        fs::create_dir_all(&self.configurations).map_err(failed("make", &self.configurations))?;
        if fs::read(&target).is_ok_and(|present| present == text.as_bytes()) {
            return Ok(false);
        }
        put(&target, text.as_bytes(), 0o644)?;
        Ok(true)
    }

    /// Takes away what we put there, what a crash left half written included: the configuration first, so that nobody calls a
    /// plugin that is gone. Returns what there was, in that order.
    ///
    /// # Errors
    /// See [`InstallError`]; what is gone already is none.
    pub fn remove(&self) -> Result<Vec<PathBuf>, InstallError> {
        let (configuration, binary) = (self.configurations.join(&self.name), self.binaries.join(BINARY));
        let partial = [partial(&configuration), partial(&binary)];
        let mut ours = vec![configuration, binary, self.binaries.join(PREVIOUS)];
        ours.extend(partial);
        let mut removed = Vec::new();
        for path in ours {
            match fs::remove_file(&path) {
                Ok(()) => removed.push(path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("remove", &path)(error)),
            }
        }
        for folder in [&self.configurations, &self.binaries] {
            match File::open(folder).and_then(|folder| folder.sync_all()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("sync", folder)(error));
                }
                _ => {}
            }
        }
        Ok(removed)
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o111 == 0o111)
}

/// A file beside the target, on disk, renamed over it; containerd takes note of a rename within its folder.
fn put(target: &Path, bytes: &[u8], mode: u32) -> Result<(), InstallError> {
    let folder = target.parent().unwrap_or(Path::new("/"));
    let partial = partial(target);
    write(&partial, bytes, mode).map_err(failed("write", &partial))?;
    fs::rename(&partial, target).map_err(failed("replace", target))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

/// Name of a file that is not whole yet; its suffix is none that a runtime reads.
fn partial(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.sart-new"))
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    // The mode above passes the umask, and does nothing to a file that a crash left.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn failed(step: &'static str, path: &Path) -> impl Fn(io::Error) -> InstallError {
    move |source| InstallError { step, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
