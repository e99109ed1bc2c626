//! Counts sart's API writes in the API server's audit log since a point in time. Reads only.

use e2e::audit::{Event, Mark};

/// Writes of sart's service accounts since the mark, per Service. Leases, Events and the per-node status objects (whose
/// number does not grow with Services) are left out.
pub(crate) fn writes_per_service(since: &Mark, services: usize) -> anyhow::Result<f64> {
    let writes = since.gather(|event| is_write_of_sart(event).then_some(()))?.len();
    Ok(f64::from(u32::try_from(writes)?) / f64::from(u32::try_from(services)?))
}

fn is_write_of_sart(event: &Event) -> bool {
    let text = |pointer: &str| event.text(pointer).unwrap_or_default();
    event.is_complete()
        && text("/user/username").starts_with("system:serviceaccount:kube-system:sart")
        && matches!(text("/verb"), "create" | "update" | "patch")
        && !matches!(text("/objectRef/resource"), "leases" | "events" | "nodebgps")
}

#[cfg(test)]
mod tests {
    use super::{Event, is_write_of_sart};

    #[test]
    fn only_writes_of_sart_to_objects_of_a_service_count() {
        let event = |user: &str, verb: &str, resource: &str| {
            Event::from(serde_json::json!({
                "stage": "ResponseComplete", "verb": verb, "user": {"username": user},
                "objectRef": {"resource": resource},
            }))
        };
        let sart = "system:serviceaccount:kube-system:sart-controller";
        assert!(is_write_of_sart(&event(sart, "patch", "services")));
        assert!(!is_write_of_sart(&event(sart, "patch", "leases")));
        assert!(!is_write_of_sart(&event(sart, "watch", "services")));
        assert!(!is_write_of_sart(&event("admin", "create", "services")));
    }
}
