//! Embeds the library in a program, which decides scans: without a server, without a network, with one SQLite file.
//!
//! Run with `cargo run --example embed_gate`.

use std::time::Duration;

use voelgoed_scan_core::model::{
    AuditContext, DeviceRegister, EventId, EventPut, GateId, GatePut, KeyFormat, Name, ScanRequest,
    SessionStart, Timestamp,
};
use voelgoed_scan_core::node::Setup;
use voelgoed_scan_core::store::{NumberedLine, open};
use voelgoed_scan_core::token::MasterSecret;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("gate.db").display());
    // The core never reads the clock: the caller passes the time.
    let now = Timestamp::from_millis(1_795_370_645_120);

    // The audit log names who makes a change.
    let by = AuditContext::system();

    // A node needs a database, a master secret and a deduplication window.
    let store = open(&url, true).await?;
    let setup = Setup {
        store,
        master: MasterSecret::generate(),
        phoenix: None,
        window: Duration::from_secs(300),
        redis: None,
    };
    let (scanner, admin) = setup.open().await?;

    // The platform creates an event, a gate, a ticket and a device.
    let (organization, _owner, _secret) = admin
        .create_organization(Name::new("Harbour Theatre")?, &by, now)
        .await?;
    let (event, gate) = (EventId::generate(now), GateId::generate(now));
    let put: EventPut = serde_json::from_str(r#"{"name":"Opening night","status":"live"}"#)?;
    admin.put_event(organization.id, event, &put, &by, now).await?;
    let put: GatePut = serde_json::from_str(r#"{"name":"Main","status":"open"}"#)?;
    admin
        .put_gate(organization.id, event, gate, &put, &by, now)
        .await?;
    let line = serde_json::from_str(r#"{"code":"3KQR7F924M1XaB0z","ticket_class":"VIP"}"#)?;
    admin
        .import(
            organization.id,
            event,
            &[NumberedLine { number: 1, line }],
            &by,
            now,
        )
        .await?;
    let register: DeviceRegister = serde_json::from_str(r#"{"device_id":"scanner-1","name":"Scanner 1"}"#)?;
    let registered = admin
        .register_device(organization.id, &register, &by, now)
        .await?;
    let (_device, token) = registered.row().ok_or("the device's name is taken")?;

    // The device starts a session and scans the ticket twice.
    let authenticated = scanner
        .authenticate(&token.hash())
        .await?
        .ok_or("unknown token")?;
    scanner
        .start_session(
            &authenticated,
            &SessionStart {
                event_id: event,
                gate_id: gate,
                replace: false,
            },
            now,
        )
        .await?;
    let qr = admin
        .qr_payload(
            organization.id,
            event,
            "3KQR7F924M1XaB0z".parse()?,
            KeyFormat::Vg1,
        )
        .await?;
    let qr = qr.flatten().ok_or("no such ticket")?;
    for _ in 0..2 {
        let authenticated = scanner
            .authenticate(&token.hash())
            .await?
            .ok_or("unknown token")?;
        let request: ScanRequest = serde_json::from_value(serde_json::json!({ "qr": qr }))?;
        let answer = scanner.scan(&authenticated, request, now).await?;
        print_line(&format!(
            "{:10} {:16} {}",
            answer.result, answer.reason, answer.message
        ))?;
    }
    scanner.shutdown().await;
    Ok(())
}

fn print_line(line: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout().lock(), "{line}")
}
