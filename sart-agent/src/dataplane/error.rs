//! Why the dataplane cannot be opened, attached or programmed. Only names failures; handles none.

use std::io;
use std::path::PathBuf;

use sart_dataplane::desired::{ServiceRef, VipId};

/// Why no kernel program of ours can run; the node's condition carries [`OpenError::reason`].
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// This build carries no kernel object.
    #[error(
        "this sart-agent was built without its BPF object: run `cargo xtask build-ebpf` and build it again"
    )]
    NoBpfObject,
    /// The process may not use BPF.
    #[error(
        "the kernel refuses BPF to this process ({action}): give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and before Linux 5.11 CAP_SYS_RESOURCE for the memory of its maps"
    )]
    MissingCapability {
        /// What was tried.
        action: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The pin folder cannot be made or read.
    #[error("cannot use the pin folder {path}: mount a bpffs there")]
    PinFolder {
        /// The folder or file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A pinned map has another layout than this agent's programs.
    #[error(
        "the pinned map {path} has {found}, this agent needs {wanted}: remove the folder (VIPs fall back to kube-proxy meanwhile) or run the release that made it"
    )]
    IncompatiblePin {
        /// The pin.
        path: PathBuf,
        /// Type, sizes and flags of the pinned map.
        found: String,
        /// Type, sizes and flags of ours.
        wanted: String,
    },
    /// The kernel does not accept a program or a map.
    #[error("the kernel refuses the BPF object at {stage}: {message}")]
    VerifierRefused {
        /// The map or program.
        stage: String,
        /// The kernel's message, with the end of the verifier's log.
        message: String,
    },
    /// A program was loaded but translates a known packet wrongly on this kernel.
    #[error("the self-test of {program} failed: {what}")]
    SelfTestFailed {
        /// The program.
        program: &'static str,
        /// Expected and seen.
        what: String,
    },
    /// The pinned maps cannot be read back.
    #[error("cannot read the map {map} back")]
    ReadBack {
        /// The map.
        map: &'static str,
        /// The kernel's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OpenError {
    /// The reason for a condition, an Event and a metric.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoBpfObject => "NoBpfObject",
            Self::MissingCapability { .. } => "MissingCapability",
            Self::PinFolder { .. } => "PinFolderUnusable",
            Self::IncompatiblePin { .. } => "IncompatiblePin",
            Self::VerifierRefused { .. } => "VerifierRefused",
            Self::SelfTestFailed { .. } => "SelfTestFailed",
            Self::ReadBack { .. } => "MapsUnreadable",
        }
    }
}

/// Why one interface does not carry our programs.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No such interface in this network namespace.
    #[error("there is no interface {interface} on this node")]
    NoInterface {
        /// Its name.
        interface: String,
    },
    /// The kernel refused to attach.
    #[error("cannot attach {program} to {interface}: {message}")]
    Refused {
        /// The program.
        program: &'static str,
        /// The interface.
        interface: String,
        /// The kernel's answer.
        message: String,
    },
    /// A link pin could not be read or changed.
    #[error("cannot change the pin {path}")]
    Pin {
        /// The pin.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

impl AttachError {
    /// The reason for a condition, an Event and a metric.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoInterface { .. } => "NoInterface",
            Self::Refused { .. } => "AttachRefused",
            Self::Pin { .. } => "PinUnusable",
        }
    }
}

/// Why a virtual address is not served by the maps; the address must not be announced with the proof `Bpf`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VipError {
    /// No endpoint takes new flows.
    #[error("{vip} of {service} has no ready endpoint on this node")]
    NoEndpoint {
        /// The address.
        vip: VipId,
        /// Its Service.
        service: ServiceRef,
    },
    /// The tables cannot hold it.
    #[error("{0}")]
    Refused(#[from] sart_dataplane::plan::Refusal),
    /// The kernel did not take it, or holds something else than what was written.
    #[error("{vip} of {service} is not in the kernel's maps: {message}")]
    NotProgrammed {
        /// The address.
        vip: VipId,
        /// Its Service.
        service: ServiceRef,
        /// What went wrong.
        message: String,
    },
}

impl VipError {
    /// The reason for a condition, an Event and a metric.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoEndpoint { .. } => "NoLocalEndpoint",
            Self::Refused(refusal) => refusal.reason(),
            Self::NotProgrammed { .. } => "NotProgrammed",
        }
    }
}
