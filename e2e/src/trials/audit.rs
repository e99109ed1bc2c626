//! Reads from the audit log who wrote Services. Whether an address had two holders the judge of sart-testkit says.

use anyhow::Result;

use crate::audit::{Event, Mark};

/// Writes of Services and their statuses since then: who wrote which.
pub(super) fn service_writes(since: &Mark) -> Result<Vec<String>> {
    since.gather(service_write)
}

fn service_write(event: &Event) -> Option<String> {
    let text = |pointer: &str| event.text(pointer);
    let verb = text("/verb").filter(|verb| ["create", "update", "patch", "delete"].contains(verb))?;
    if text("/objectRef/resource")? != "services" || !event.is_complete() {
        return None;
    }
    let name = text("/objectRef/name").unwrap_or_default();
    Some(format!("{} by {}: {verb} of {name}", text("/stageTimestamp")?, text("/user/username")?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_completed_writes_of_services_count() {
        let event = |verb: &str, resource: &str, stage: &str| {
            Event::from(
                json!({"verb": verb, "stage": stage, "stageTimestamp": "t", "user": {"username": "u"},
                       "objectRef": {"resource": resource, "name": "web"}}),
            )
        };
        let write = service_write(&event("patch", "services", "ResponseComplete"));
        assert_eq!(write.as_deref(), Some("t by u: patch of web"));
        for other in [
            event("watch", "services", "ResponseComplete"),
            event("patch", "pods", "ResponseComplete"),
            event("patch", "services", "RequestReceived"),
        ] {
            assert_eq!(service_write(&other), None);
        }
    }
}
