//! The effects of a write in Redis.

use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::*;
use crate::bus::RedisConnection;
use crate::model::{Ledger, OrganizationId, Ticket, TicketCode};
use crate::node::cache::redis::RedisTicketCache;

const WINDOW: Duration = Duration::from_secs(300);

/// The commands that a server got, each with its arguments.
type Commands = Arc<Mutex<Vec<Vec<String>>>>;

/// Starts a server that answers every command of Redis with `OK`. Returns its URL.
async fn serve(commands: Commands) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(answer_all(stream, Arc::clone(&commands)));
        }
    });
    format!("redis://{address}")
}

async fn answer_all(stream: TcpStream, commands: Commands) {
    let mut stream = BufReader::new(stream);
    while let Some(length) = read_number(&mut stream).await {
        let mut command = Vec::new();
        for _ in 0..length {
            let size = read_number(&mut stream).await.expect("an argument follows");
            let mut argument = vec![0; size + 2];
            stream
                .read_exact(&mut argument)
                .await
                .expect("the argument is complete");
            command.push(String::from_utf8_lossy(&argument).trim_end().to_owned());
        }
        commands.lock().push(command);
        if stream.get_mut().write_all(b"+OK\r\n").await.is_err() {
            return;
        }
    }
}

/// Reads the number of a line such as `*3` or `$5`. `None` at the end.
async fn read_number(stream: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.trim_end().get(1..)?.parse().ok()
}

/// An exit with the ticket of this number.
fn exit(number: u8) -> Decided {
    let id = Uuid::from_u128(number.into());
    let organization = OrganizationId::from_uuid(Uuid::from_u128(1));
    let record = json!({
        "scan_id": id, "organization_id": organization, "ticket_id": id, "ticket_code": null, "event_id": id,
        "gate_id": id, "device_id": id, "scan_session_id": null, "result": "valid", "reason": "exited",
        "would_have_been": null, "direction": "exit", "scanned_at": "2026-11-22T18:00:00Z",
        "device_scanned_at": null, "received_at": "2026-11-22T18:00:00Z", "source": "online",
        "decided_by": "database", "override": null, "undone": null, "local_result": null, "metadata": null,
    });
    let place = json!({"inside": 0, "capacity": null});
    let answer = json!({
        "scan_id": id, "result": "valid", "reason": "exited", "replayed": false, "direction": "exit",
        "scanned_at": "2026-11-22T18:00:00Z", "session_id": null, "event_id": id,
        "gate": {"id": id, "name": "Main"}, "ticket": null, "previous_scan": null,
        "occupancy": {"gate": place, "event": place}, "decided_by": "database", "warnings": [], "message": "",
    });
    let ticket = Ticket {
        id: crate::model::TicketId::from_uuid(id),
        organization_id: organization,
        event_id: crate::model::EventId::from_uuid(id),
        code: TicketCode::from_bytes([number; 12]).expect("a code"),
        status: crate::model::TicketStatus::Scanned,
        ticket_class: None,
        gate_ids: None,
        seat: None,
        valid_from: None,
        valid_until: None,
        entry_limit: 1,
        scan_count: 1,
        note: None,
        inserted_at: crate::model::Timestamp::from_millis(0),
        updated_at: crate::model::Timestamp::from_millis(0),
    };
    Decided {
        answer: serde_json::from_value(answer).expect("an answer"),
        record: serde_json::from_value(record).expect("a record"),
        ticket: Some(TicketFacts {
            ticket,
            ledger: Ledger::default(),
            version: 2,
        }),
    }
}

#[tokio::test]
async fn the_exits_of_a_write_are_invalidated_in_redis_by_one_call() {
    let commands = Commands::default();
    let url = serve(Arc::clone(&commands)).await;
    let redis = RedisConnection::new(&url, None).expect("a connection");
    let directory = tempfile::tempdir().expect("a directory");
    let database = format!("sqlite://{}", directory.path().join("gate.db").display());
    let store = crate::store::open(&database, true).await.expect("a database");
    let effects = PostCommitEffects {
        ticket_cache: Arc::new(TicketCache::new(WINDOW)),
        scan_ids: Arc::new(ScanIds::new()),
        redis_cache: Some(RedisTicketCache::start(redis.server(), WINDOW)),
        platform_keys: None,
        occupancy_cache: Arc::default(),
        feed: Arc::new(Feed::new(store, None)),
        publisher: BusPublisher::channel(false).0,
    };
    let recorded: Vec<_> = (1..=3)
        .map(|number| Recorded::Decided(Box::new(exit(number))))
        .collect();
    let epoch = effects.before_write();
    let task = effects.after_write(epoch, Vec::new(), recorded.iter());
    task.expect("Redis is told").await;
    let is_tombstone =
        |command: &&Vec<String>| command[0] == "EVAL" && command[3].starts_with("voelgoed-scan:org:");
    let commands = commands.lock();
    let first = commands.iter().find(is_tombstone).expect("Redis was told");
    assert_eq!(first[2], "3", "the number of keys");
}
