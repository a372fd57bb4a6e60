//! Measures how long a phone takes to open its database with the manifest of 100,000 tickets, and how much memory that takes:
//! `cargo run --release --example bench_phone_open`. `scripts/bench` calls it for target 11.
//!
//! A second process opens the database, so that the memory of making the manifest does not count.

#![expect(clippy::expect_used, reason = "a measurement stops at an unexpected result")]
#![expect(clippy::print_stdout, reason = "the result is the output")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use voelgoed_scan_core::client::{OfflineScanner, OfflineScannerSetup};
use voelgoed_scan_core::manifest::{ManifestDraft, ManifestFacts, ManifestTicket, TicketKeys};
use voelgoed_scan_core::model::{CustomMessages, Event, OrganizationId, TicketCode, TicketStatus, Timestamp};
use voelgoed_scan_core::token::{Keyring, MasterSecret};

const TICKETS: usize = 100_000;
const ORGANIZATION: &str = "ea8ed02a-82a1-4593-8f23-37cd3794c522";
const EVENT: &str = "0192f0c1-7a4e-7000-8000-000000000002";

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_370_645_120)
}

fn keyring() -> Keyring {
    let organization: OrganizationId = ORGANIZATION.parse().expect("an id");
    let master = MasterSecret::from_bytes(&[1; 32]).expect("32 bytes");
    Keyring::derive(&master, organization, &[]).expect("a keyring")
}

fn setup(file: &Path) -> OfflineScannerSetup {
    OfflineScannerSetup {
        file: file.to_owned(),
        organization_id: ORGANIZATION.parse().expect("an id"),
        device_id: "0192f0c1-7a4e-7000-8000-000000000004".parse().expect("an id"),
        device_name: "Phone 1".to_owned(),
        can_override: false,
        manifest_key: keyring().manifest_key().expect("a key"),
        device_secret: None,
    }
}

fn manifest() -> Vec<u8> {
    let event: Event = serde_json::from_value(json!({
        "id": EVENT, "organization_id": ORGANIZATION, "name": "Opening night", "status": "live",
        "starts_at": null, "ends_at": null, "doors_open_at": null, "doors_close_at": null, "rescheduled_at": null,
        "time_zone": "UTC", "day_starts_at": "00:00", "capacity": null, "reentry": "never", "allow_unsigned": false,
        "allow_media": false, "ticket_classes": [], "stale_manifest": "warn", "manifest_max_age_s": 43_200,
        "inserted_at": "2026-11-01T00:00:00.000Z", "updated_at": "2026-11-01T00:00:00.000Z"
    }))
    .expect("an event");
    let keys = TicketKeys::of(event.organization_id, event.id);
    let tickets = (0..TICKETS).map(|_| ManifestTicket {
        key: keys.key(TicketCode::generate()),
        status: TicketStatus::Active,
        ticket_class: None,
        gate_ids: None,
        valid_from: None,
        valid_until: None,
        entry_limit: 1,
        admissions: 0,
        inside: 0,
        last_admission: None,
        media: Vec::new(),
        day_admissions: 0,
    });
    let facts = ManifestFacts {
        version: 1,
        made_at: now(),
        expires_at: now().plus(Duration::from_hours(12)),
        event: &event,
        gates: &[],
        keys: &[],
        messages: CustomMessages::NONE,
        dedup_window: Duration::from_secs(300),
    };
    let draft = ManifestDraft::full(&facts, tickets).expect("there is room");
    draft.sign(&keyring()).expect("a manifest key")
}

/// A figure of `/proc/self/status` in KiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find(|line| line.starts_with(name))
        .expect("the figure");
    let number: String = line.chars().filter(char::is_ascii_digit).collect();
    number.parse().expect("a number")
}

async fn open(file: &Path) {
    let setup = setup(file);
    let before = memory("VmRSS:");
    let begun = Instant::now();
    let scanner = OfflineScanner::open(setup).await.expect("the database opens");
    let elapsed = begun.elapsed();
    // The peak holds what is only needed while the database is opened, the other figure what stays.
    let (peak, stays) = (memory("VmHWM:"), memory("VmRSS:"));
    let state = scanner.state().await.expect("a state");
    assert_eq!(state.manifest.map(|manifest| manifest.tickets), Some(TICKETS));
    println!(
        "{}",
        json!({ "ms": elapsed.as_secs_f64() * 1000.0, "peak_kib": peak.saturating_sub(before),
                "stays_kib": stays.saturating_sub(before) })
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Some(file) = std::env::args_os().nth(1) {
        open(&PathBuf::from(file)).await;
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("phone.db");
    let scanner = OfflineScanner::open(setup(&file))
        .await
        .expect("the database opens");
    let event = EVENT.parse().expect("an id");
    scanner
        .install(event, manifest(), now())
        .await
        .expect("installed");
    scanner.close().await.expect("it closes");
    let program = std::env::current_exe().expect("the program");
    let status = Command::new(program).arg(&file).status().expect("it starts");
    assert!(status.success());
}
