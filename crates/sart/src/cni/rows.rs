//! One row per attachment and per difference. Keys of the JSON may be added, never renamed.

use sart_rpc::v1;
use serde::Serialize;

pub(crate) const ATTACHMENT_COLUMNS: [&str; 7] =
    ["POD", "ADDRESSES", "POOLS", "LINK", "NETWORK", "CONTAINER", "STATE"];
pub(crate) const FINDING_COLUMNS: [&str; 4] = ["REASON", "SUBJECT", "STATE", "MESSAGE"];
/// So much of a container's id tells it from others, as runtimes show it.
const SHORT_ID: usize = 12;

/// What is attached.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttachmentRow {
    pub(crate) pod: String,
    pub(crate) addresses: Vec<AddressRow>,
    pub(crate) link: String,
    pub(crate) network: String,
    pub(crate) container: String,
    pub(crate) interface: String,
    pub(crate) state: String,
}

/// An address and where it is from.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AddressRow {
    pub(crate) address: String,
    pub(crate) pool: String,
}

/// What a comparison says.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) attachments: u32,
    /// Being worked on: nothing is said of them.
    pub(crate) busy: u32,
    pub(crate) findings: Vec<FindingRow>,
}

/// What differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FindingRow {
    pub(crate) reason: String,
    pub(crate) subject: String,
    pub(crate) state: State,
    pub(crate) message: String,
}

/// What became of it, or may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    /// `repair` would mend it.
    Mendable,
    /// Somebody has to decide.
    ByHand,
    /// Gone.
    Mended,
    /// It was tried in vain.
    Failed,
}

impl From<v1::Attachment> for AttachmentRow {
    fn from(one: v1::Attachment) -> Self {
        let row = |one: v1::AttachmentAddress| AddressRow { address: one.address, pool: one.pool };
        Self {
            pod: one.pod,
            addresses: one.addresses.into_iter().map(row).collect(),
            link: one.link,
            network: one.network,
            container: one.container,
            interface: one.interface,
            state: one.state,
        }
    }
}

impl AttachmentRow {
    pub(crate) fn cells(&self) -> Vec<String> {
        let filled = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let joined = |texts: Vec<&str>| filled(texts.join(","));
        let mut pools: Vec<&str> = self.addresses.iter().map(|one| one.pool.as_str()).collect();
        pools.dedup();
        vec![
            filled(self.pod.clone()),
            joined(self.addresses.iter().map(|one| one.address.as_str()).collect()),
            joined(pools),
            self.link.clone(),
            self.network.clone(),
            format!("{}/{}", self.container.chars().take(SHORT_ID).collect::<String>(), self.interface),
            self.state.clone(),
        ]
    }
}

/// Of a check.
pub(crate) fn report(findings: Vec<v1::AttachmentFinding>, (attachments, busy): (u32, u32)) -> Report {
    let row = |one: v1::AttachmentFinding| {
        let state = if one.mendable { State::Mendable } else { State::ByHand };
        FindingRow { reason: one.reason, subject: one.subject, state, message: one.message }
    };
    Report { attachments, busy, findings: findings.into_iter().map(row).collect() }
}

/// Of a repair.
pub(crate) fn repaired(findings: Vec<v1::AttachmentFinding>, (attachments, busy): (u32, u32)) -> Report {
    let row = |one: v1::AttachmentFinding| {
        let (state, message) = match (one.mended, one.mendable) {
            (true, _) => (State::Mended, one.message),
            (false, true) => (State::Failed, format!("{}: {}", one.message, one.failure)),
            (false, false) => (State::ByHand, one.message),
        };
        FindingRow { reason: one.reason, subject: one.subject, state, message }
    };
    Report { attachments, busy, findings: findings.into_iter().map(row).collect() }
}

impl Report {
    /// Whether nothing is left to do.
    pub(crate) fn agrees(&self) -> bool {
        self.findings.iter().all(|finding| finding.state == State::Mended)
    }

    /// One sentence.
    pub(crate) fn summary(&self) -> String {
        let left = self.findings.iter().filter(|finding| finding.state != State::Mended).count();
        let mended = self.findings.len() - left;
        let mut parts = vec![format!("{} attachments", self.attachments)];
        if mended > 0 {
            parts.push(format!("{mended} mended"));
        }
        parts.push(if left == 0 { "nothing differs".to_owned() } else { format!("{left} differ") });
        if self.busy > 0 {
            parts.push(format!("{} busy and left out", self.busy));
        }
        parts.join(", ")
    }
}

impl FindingRow {
    pub(crate) fn cells(&self) -> Vec<String> {
        let state = match self.state {
            State::Mendable => "mendable",
            State::ByHand => "by hand",
            State::Mended => "mended",
            State::Failed => "failed",
        };
        vec![self.reason.clone(), self.subject.clone(), state.to_owned(), self.message.clone()]
    }
}
