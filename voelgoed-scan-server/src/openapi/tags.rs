//! The tags of the operations: the subjects by which programs that show the document, or generate clients, group them.

/// The tags with their descriptions, in the order of the document.
pub(super) const ALL: &[(&str, &str)] = &[
    (SCANS, "Decide, record, undo and list scans."),
    (SESSIONS, "Sessions: a device at a gate of an event."),
    (
        OFFLINE,
        "Manifests, uploads of offline scans, and the conflicts that they cause.",
    ),
    (DEVICES, "Scanner devices and their enrolment."),
    (EVENTS, "Events and their gates."),
    (TICKETS, "Tickets: import, search, change, sign."),
    (LIVE, "Occupancy, the live stream and the report of an event."),
    (KEYS, "API keys and signing keys."),
    (WEBHOOKS, "Webhooks and their deliveries."),
    (ORGANIZATION, "Settings of the organization, and its audit log."),
    (
        OPERATIONS,
        "Health, metrics, this document and the web page. No credential.",
    ),
];

const SCANS: &str = "Scans";
const SESSIONS: &str = "Sessions";
const OFFLINE: &str = "Offline";
const DEVICES: &str = "Devices";
const EVENTS: &str = "Events";
const TICKETS: &str = "Tickets";
const LIVE: &str = "Live";
const KEYS: &str = "Keys";
const WEBHOOKS: &str = "Webhooks";
const ORGANIZATION: &str = "Organization";
const OPERATIONS: &str = "Operations";

/// The tag of a path. Its last segment with a subject decides.
pub(super) fn of(path: &str) -> &'static str {
    path.rsplit('/').find_map(subject).unwrap_or(OPERATIONS)
}

fn subject(segment: &str) -> Option<&'static str> {
    Some(match segment {
        "scan" | "scans" | "check-in" => SCANS,
        "sessions" => SESSIONS,
        "manifest" | "sync" | "conflicts" => OFFLINE,
        "device" | "devices" | "enroll" => DEVICES,
        "events" | "gates" => EVENTS,
        "tickets" | "personal-data" => TICKETS,
        "occupancy" | "activity" | "stream" | "signals" | "report" => LIVE,
        "api-keys" | "signing-keys" => KEYS,
        "webhooks" | "deliveries" => WEBHOOKS,
        "organization" | "audit" => ORGANIZATION,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_api_has_the_tag_of_its_subject() {
        for (path, tag) in [
            ("/api/v1/scanning/scan", SCANS),
            ("/api/v1/scanning/conflicts/{scan_id}/accept", OFFLINE),
            ("/api/v1/scanning/devices/{id}/enrollment", DEVICES),
            ("/api/v1/events/{id}/gates/{gate_id}", EVENTS),
            ("/api/v1/events/{id}/tickets/{code}/qr", TICKETS),
            ("/api/v1/scanning/events/{id}/occupancy", LIVE),
            ("/api/v1/scanning/events/{id}/tickets/{code}/check-in", SCANS),
            ("/api/v1/audit", ORGANIZATION),
            ("/api/v1/webhooks/{id}/deliveries/{delivery}/redeliver", WEBHOOKS),
            ("/healthz", OPERATIONS),
        ] {
            assert_eq!(of(path), tag, "{path}");
        }
        for route in crate::api::routes() {
            let needs_subject = route.path.starts_with("/api/");
            assert_eq!(of(route.path) != OPERATIONS, needs_subject, "{}", route.path);
        }
    }
}
