//! The speakers that are measured: how each is configured and started. All get the same: no policy but "everything", no
//! kernel routes, one passive session for each neighbour, an advertisement interval of 0.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sart_testkit::{Bird, Frr, Gobgp, Namespace, Process, bird, frr, gobgp, wait_for};
use tempfile::TempDir;

/// The AS number of every measured speaker.
pub(crate) const ASN: u32 = 65_000;

/// Which speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Sart,
    Bird,
    Frr,
    Gobgp,
}

/// Where our own is; the others are where Debian puts them.
pub(crate) struct Programs {
    pub(crate) sart: PathBuf,
}

/// A neighbour as the measured speaker sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neighbor {
    /// Number of its link: 10.78.N.1 is the speaker, 10.78.N.2 the neighbour.
    pub(crate) link: u32,
    pub(crate) asn: u32,
    pub(crate) hold_time: u16,
}

/// A running speaker; ends when dropped.
pub(crate) enum Subject<'a> {
    Sart(Process, TempDir),
    Bird(Bird),
    Frr(Frr),
    Gobgp(Gobgp<'a>),
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Sart, Self::Bird, Self::Frr, Self::Gobgp];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sart => "sart",
            Self::Bird => "bird",
            Self::Frr => "frr",
            Self::Gobgp => "gobgp",
        }
    }

    pub(crate) fn is_installed(self) -> bool {
        match self {
            Self::Sart => true,
            Self::Bird => bird::is_installed(),
            Self::Frr => frr::is_installed(),
            Self::Gobgp => gobgp::is_installed(),
        }
    }

    pub(crate) fn start<'a>(
        self,
        programs: &Programs,
        namespace: &'a Namespace,
        neighbors: &[Neighbor],
    ) -> anyhow::Result<Subject<'a>> {
        Ok(match self {
            Self::Sart => sart(&programs.sart, namespace, neighbors)?,
            Self::Bird => Subject::Bird(Bird::start(namespace, &bird_config(neighbors))?),
            Self::Frr => Subject::Frr(Frr::start_alone(namespace, &frr_config(neighbors))?),
            Self::Gobgp => Subject::Gobgp(Gobgp::start(namespace, &gobgp_config(neighbors))?),
        })
    }
}

impl Neighbor {
    pub(crate) fn near(&self) -> String {
        format!("10.78.{}.1", self.link)
    }

    pub(crate) fn far(&self) -> String {
        format!("10.78.{}.2", self.link)
    }
}

impl Subject<'_> {
    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Sart(process, _) => process.id(),
            Self::Bird(bird) => bird.pid(),
            Self::Frr(frr) => frr.pid(),
            Self::Gobgp(gobgp) => gobgp.pid(),
        }
    }

    /// The socket of our API.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        match self {
            Self::Sart(_, folder) => Some(folder.path().join("bgpd.sock")),
            _ => None,
        }
    }

    /// The end of its log, for a run that failed.
    pub(crate) fn log(&self) -> String {
        let log = match self {
            Self::Sart(process, _) => process.log(),
            Self::Bird(bird) => bird.log(),
            Self::Frr(frr) => frr.logs(),
            Self::Gobgp(gobgp) => gobgp.log(),
        };
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

fn sart<'a>(program: &Path, namespace: &Namespace, neighbors: &[Neighbor]) -> anyhow::Result<Subject<'a>> {
    let folder = tempfile::Builder::new().prefix("sart-bench-").tempdir()?;
    let (file, socket) = (folder.path().join("bgp.yaml"), folder.path().join("bgpd.sock"));
    std::fs::write(&file, sart_config(neighbors))?;
    let mut command = namespace.command(&program.display().to_string());
    command.args(["--level", "warn"]).arg("--api").arg(&socket).arg("-f").arg(&file);
    let mut process = Process::start(command, &folder.path().join("bgpd.log"))?;
    wait_for("the API of sart-bgpd", Duration::from_secs(20), || {
        anyhow::ensure!(process.is_running()?, "sart-bgpd ended: {}", process.log());
        Ok(socket.exists().then_some(()))
    })?;
    Ok(Subject::Sart(process, folder))
}

fn sart_config(neighbors: &[Neighbor]) -> String {
    let mut text = format!("asn: {ASN}\nrouter_id: 10.78.255.1\nneighbors:\n");
    for neighbor in neighbors {
        text.push_str(&format!(
            "- {{name: n{}, address: {}, asn: {}, passive: true, hold_time: {}}}\n",
            neighbor.link,
            neighbor.far(),
            neighbor.asn,
            neighbor.hold_time
        ));
    }
    text
}

fn bird_config(neighbors: &[Neighbor]) -> String {
    let mut text = "router id 10.78.255.1;\nprotocol device {}\n".to_owned();
    for neighbor in neighbors {
        text.push_str(&format!(
            "protocol bgp n{} {{ local {} as {ASN}; neighbor {} as {}; passive on; hold time {}; \
             ipv4 {{ import all; export all; }}; }}\n",
            neighbor.link,
            neighbor.near(),
            neighbor.far(),
            neighbor.asn,
            neighbor.hold_time
        ));
    }
    text
}

fn frr_config(neighbors: &[Neighbor]) -> String {
    let mut text = format!(
        "router bgp {ASN}\n bgp router-id 10.78.255.1\n no bgp ebgp-requires-policy\n no bgp network import-check\n"
    );
    for neighbor in neighbors {
        let (address, hold) = (neighbor.far(), neighbor.hold_time);
        text.push_str(&format!(
            " neighbor {address} remote-as {}\n neighbor {address} timers {} {hold}\n neighbor {address} passive\n \
             neighbor {address} advertisement-interval 0\n",
            neighbor.asn,
            hold / 3
        ));
    }
    text
}

fn gobgp_config(neighbors: &[Neighbor]) -> String {
    let mut text = format!("[global.config]\n as = {ASN}\n router-id = \"10.78.255.1\"\n");
    for neighbor in neighbors {
        text.push_str(&format!(
            "[[neighbors]]\n [neighbors.config]\n  neighbor-address = \"{}\"\n  peer-as = {}\n \
             [neighbors.transport.config]\n  passive-mode = true\n [neighbors.timers.config]\n  hold-time = {}\n  \
             keepalive-interval = {}\n",
            neighbor.far(),
            neighbor.asn,
            neighbor.hold_time,
            neighbor.hold_time / 3
        ));
    }
    text
}
