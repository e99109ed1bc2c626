//! Where the lab keeps its files, and the mark by which its processes and cgroups are known. Creates nothing.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// Environment variable that every process of a lab carries; its value is the lab's folder.
pub const MARK: &str = "SART_LAB";

/// The folders and names of one lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    target: PathBuf,
}

impl Layout {
    /// The lab of the checkout whose target folder this is (an absolute path).
    pub fn new(target: &Path) -> Self {
        Self { target: target.to_owned() }
    }

    /// The checkout's target folder, which keeps more than the lab.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Everything the lab writes.
    pub fn root(&self) -> PathBuf {
        self.target.join("lab")
    }

    /// Held by whoever changes the lab; outside its folder, so that it can be held while the folder goes.
    pub fn lock(&self) -> PathBuf {
        self.target.join("lab.lock")
    }

    /// Logs and dumps kept when something failed.
    pub fn artifacts(&self) -> PathBuf {
        self.target.join("lab-artifacts")
    }

    /// OCI archives of our images.
    pub fn images(&self) -> PathBuf {
        self.target.join("images")
    }

    /// A file of the lab.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// A program of Kubernetes: a link to the multi-call binary, which goes by the name it is called by.
    pub fn program(&self, name: &str) -> PathBuf {
        self.root().join("bin").join(name)
    }

    /// Private folder of one machine.
    pub fn machine(&self, name: &str) -> PathBuf {
        self.root().join("machines").join(name)
    }

    /// Log of one program; `name` is `<program>-<machine>`.
    pub fn log(&self, name: &str) -> PathBuf {
        self.root().join("log").join(format!("{name}.log"))
    }

    /// Credentials of one user of the API server.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.root().join(format!("{user}.kubeconfig"))
    }

    /// Name of the lab's cgroup in each hierarchy: labs of two checkouts do not meet.
    pub fn cgroup(&self) -> String {
        let digest = Sha256::digest(self.root().as_os_str().as_encoded_bytes());
        let id: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("sart-lab-{id}")
    }
}
