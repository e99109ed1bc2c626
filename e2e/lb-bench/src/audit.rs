//! Counts sart's API writes in the API server's audit log between two points in time. Reads only.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

/// A position in the log.
pub(crate) struct Mark {
    path: PathBuf,
    offset: u64,
}

/// Just what the count needs of an `audit.k8s.io/v1` Event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    user: User,
    object_ref: Option<ObjectRef>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
struct ObjectRef {
    resource: String,
}

impl Mark {
    /// The end of the log as it is.
    pub(crate) fn now(path: &Path) -> anyhow::Result<Self> {
        let offset =
            std::fs::metadata(path).with_context(|| format!("find the audit log {}", path.display()))?.len();
        Ok(Self { path: path.to_path_buf(), offset })
    }

    /// Writes of sart's service accounts since the mark, per Service. Leases, Events and the per-node status objects
    /// (whose number does not grow with Services) are left out.
    pub(crate) fn writes_per_service(&self, services: usize) -> anyhow::Result<f64> {
        let mut log = File::open(&self.path)?;
        log.seek(SeekFrom::Start(self.offset))?;
        let mut writes = 0_u32;
        for line in BufReader::new(log).lines() {
            // The last line may be half written; it belongs to whatever comes after the run.
            if let Ok(event) = serde_json::from_str::<Event>(&line?) {
                writes += u32::from(event.is_write_of_sart());
            }
        }
        Ok(f64::from(writes) / f64::from(u32::try_from(services)?))
    }
}

impl Event {
    fn is_write_of_sart(&self) -> bool {
        let resource = self.object_ref.as_ref().map_or("", |object| object.resource.as_str());
        self.stage == "ResponseComplete"
            && self.user.username.starts_with("system:serviceaccount:kube-system:sart")
            && matches!(self.verb.as_str(), "create" | "update" | "patch")
            && !matches!(resource, "leases" | "events" | "nodebgps")
    }
}

#[cfg(test)]
mod tests {
    use super::Event;

    fn event(user: &str, verb: &str, resource: &str) -> Event {
        serde_json::from_value(serde_json::json!({
            "stage": "ResponseComplete", "verb": verb, "user": {"username": user},
            "objectRef": {"resource": resource},
        }))
        .unwrap()
    }

    #[test]
    fn only_writes_of_sart_to_objects_of_a_service_count() {
        let sart = "system:serviceaccount:kube-system:sart-controller";
        assert!(event(sart, "patch", "services").is_write_of_sart());
        assert!(!event(sart, "patch", "leases").is_write_of_sart());
        assert!(!event(sart, "watch", "services").is_write_of_sart());
        assert!(!event("admin", "create", "services").is_write_of_sart());
    }
}
