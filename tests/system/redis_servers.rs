//! Redis as operators run it: over TLS, with a user of few rights, behind sentinels, replaced; and what is refused at the start.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use voelgoed_scan_server::config::RedisKeys;
use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::program::Launch;
use voelgoed_scan_suite::proxy::Proxy;
use voelgoed_scan_suite::services::{MASTER, Redis, Sentinel, free_port, shared_database};
use voelgoed_scan_suite::{Client, Cluster, wait_until};

async fn scan(device: &Client, qr: &str) -> Value {
    let body = json!({ "qr": qr, "scan_id": new_id() });
    device.scan(&body).await.expect(200).json()
}

async fn wait_for_bus(cluster: &Cluster) {
    for node in cluster.nodes.iter().flatten() {
        wait_until("the bus is up", || async {
            node.scanner().bus_is_up() == Some(true)
        })
        .await;
    }
}

/// Whether a node uses Redis for its cache.
async fn uses_redis(owner: &Client) -> bool {
    let metrics = owner.get("/metrics").await.expect(200);
    metrics.text().contains("voelgoed_scan_redis_up 1")
}

/// Waits until every node uses this server, for its cache and as its bus.
async fn wait_until_used(redis: &Redis, cluster: &Cluster, tenant: &Tenant) {
    let nodes = cluster.nodes.len();
    wait_until("every node listens there", || async {
        redis.answers(&["pubsub", "numsub", "voelgoed:changes"], &nodes.to_string())
    })
    .await;
    wait_for_bus(cluster).await;
    for node in 0..nodes {
        let owner = cluster.client_at(node, &tenant.owner);
        wait_until("Redis is used", || uses_redis(&owner)).await;
    }
}

/// Admits tickets until one of them is in Redis, and returns its payload. A node does not wait long for a slow Redis, so that
/// the first one need not be there.
async fn wait_for_a_ticket_in(redis: &Redis, tenant: &Tenant) -> String {
    let admitted = Mutex::new(String::new());
    wait_until("a ticket is in Redis", || async {
        let (codes, qrs) = import(tenant, 1).await;
        assert_eq!(scan(&tenant.device, &qrs[0]).await["reason"], "admitted");
        admitted.lock().expect("no panic").clone_from(&qrs[0]);
        let keys = redis.execute(&["keys", "voelgoed-scan:org:*:ticket:*"]);
        keys.contains(&codes[0])
    })
    .await;
    admitted.into_inner().expect("no panic")
}

/// Imports tickets. Returns their codes and payloads.
async fn import(tenant: &Tenant, count: usize) -> (Vec<String>, Vec<String>) {
    let path = format!("/api/v1/events/{}/tickets", tenant.event);
    let imported = tenant
        .owner
        .send(
            "POST",
            &format!("{path}?return=codes"),
            Some("application/x-ndjson"),
            "{}\n".repeat(count),
        )
        .await
        .expect(200);
    let lines = imported.lines();
    let codes = lines.iter().filter_map(|line| line["code"].as_str());
    let codes: Vec<_> = codes.map(str::to_owned).collect();
    let mut qrs = Vec::new();
    for code in &codes {
        let qr = tenant.owner.get(&format!("{path}/{code}/qr")).await;
        qrs.push(qr.expect(200).text().to_owned());
    }
    (codes, qrs)
}

/// A certificate for the host `localhost` and its key, in files that Redis can read.
struct Certificate {
    folder: tempfile::TempDir,
}

impl Certificate {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let names = ["localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate");
        let certificate = Self { folder };
        std::fs::write(certificate.path(), cert.pem()).expect("written");
        std::fs::write(certificate.key(), signing_key.serialize_pem()).expect("written");
        // Redis runs as another user.
        open_to_all(certificate.folder.path());
        certificate
    }

    fn path(&self) -> String {
        self.folder.path().join("redis.pem").display().to_string()
    }

    fn key(&self) -> String {
        self.folder.path().join("redis.key").display().to_string()
    }

    /// The settings of a server that also listens with TLS on a port, and replicates over TLS.
    fn settings(&self, port: u16) -> Vec<[String; 2]> {
        let setting = |name: &str, value: &str| [name.to_owned(), value.to_owned()];
        vec![
            setting("tls-port", &port.to_string()),
            setting("tls-cert-file", &self.path()),
            setting("tls-key-file", &self.key()),
            setting("tls-ca-cert-file", &self.path()),
            setting("tls-auth-clients", "no"),
            setting("tls-replication", "yes"),
        ]
    }

    /// Starts a Redis that also listens with TLS. Returns its port for TLS.
    async fn redis(&self, further: &[&str]) -> (Redis, u16) {
        let port = free_port();
        let mut arguments = vec!["--replica-announce-ip".to_owned(), "localhost".to_owned()];
        for [name, value] in self.settings(port) {
            arguments.extend([format!("--{name}"), value]);
        }
        let mut arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        arguments.extend(further);
        (Redis::start_with(&arguments).await, port)
    }
}

fn open_to_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a permission");
}

#[tokio::test]
async fn redis_over_tls_is_trusted_by_its_authority_alone() {
    let files = Certificate::new();
    let certificate = files.path();
    let (redis, port) = files.redis(&[]).await;
    let url = format!("rediss://localhost:{port}/0");
    let mut cluster = Cluster::start(0, shared_database(), Some(url.clone())).await;
    cluster.config.redis_ca = Some(certificate.clone().into());
    cluster.add_node(0).await;
    let tenant = cluster.tenant("Over TLS").await;
    wait_for_bus(&cluster).await;
    wait_for_a_ticket_in(&redis, &tenant).await;
    cluster.stop().await;

    // Without the authority, and for a host that the certificate does not name, Redis is not used. Scans are decided.
    for (ca, url) in [
        (None, url),
        (Some(certificate), format!("rediss://127.0.0.1:{port}/0")),
    ] {
        let mut cluster = Cluster::start(0, shared_database(), Some(url)).await;
        cluster.config.redis_ca = ca.map(Into::into);
        cluster.add_node(0).await;
        let tenant = cluster.tenant("Not trusted").await;
        assert_eq!(
            scan(&tenant.device, &tenant.qr(1).await).await["reason"],
            "admitted"
        );
        wait_until("Redis counts as down", || async {
            let metrics = tenant.owner.get("/metrics").await.expect(200);
            metrics.text().contains("voelgoed_scan_redis_up 0")
        })
        .await;
        // The node before may write its last scans after it has stopped, so only the keys of this one count.
        for text in [&tenant.event, &tenant.codes[1]] {
            assert_eq!(redis.execute(&["keys", &format!("*{text}*")]).trim(), "");
        }
        cluster.stop().await;
    }
}

/// The commands of `docs/redis.md` that make the user of the nodes.
fn documented_users() -> Vec<Vec<&'static str>> {
    let documentation = include_str!("../../docs/redis.md");
    let lines = documentation
        .lines()
        .filter(|line| line.starts_with("ACL SETUSER ") && !line.contains("sentinel|"));
    lines.map(|line| line.split_whitespace().collect()).collect()
}

/// The command of `docs/redis.md` that makes the user of the nodes at a sentinel.
fn documented_user_of_sentinels() -> Vec<&'static str> {
    let documentation = include_str!("../../docs/redis.md");
    let line = documentation
        .lines()
        .find(|line| line.starts_with("ACL SETUSER ") && line.contains("sentinel|"));
    line.expect("a command").split_whitespace().collect()
}

/// The commands that a user may execute.
fn commands_of<'a>(users: &[Vec<&'a str>]) -> Vec<&'a str> {
    let words = users.iter().flatten();
    words.filter_map(|word| word.strip_prefix('+')).collect()
}

/// Two nodes that use Redis with the rights of these users alone. Everything that uses Redis takes place.
async fn nothing_is_refused(users: &[Vec<&str>], keys: RedisKeys) {
    let redis = Redis::start().await;
    for user in users {
        assert_eq!(redis.execute(user).trim(), "OK", "{user:?}");
    }
    redis.execute(&["acl", "log", "reset"]);
    let url = format!("redis://gate:PASSWORD@127.0.0.1:{}/0", redis.port());
    let mut cluster = Cluster::start(0, shared_database(), Some(url)).await;
    cluster.config.redis_keys = keys;
    cluster.add_node(0).await;
    cluster.add_node(0).await;
    let tenant = cluster.tenant("Few rights").await;
    wait_for_bus(&cluster).await;
    let other = cluster.client_at(1, &tenant.device);
    let mut stream = EventStream::open(&cluster.client_at(1, &tenant.owner), &tenant.event).await;
    for _ in 0..3 {
        let qr = wait_for_a_ticket_in(&redis, &tenant).await;
        stream.next_named("scan").await;
        assert_eq!(scan(&other, &qr).await["reason"], "already_scanned");
    }
    drop(stream);
    let undone = scan(&tenant.device, &tenant.qr(4).await).await;
    let undo = format!(
        "/api/v1/scanning/scans/{}/undo",
        undone["scan_id"].as_str().expect("an id")
    );
    tenant
        .owner
        .post(&undo, &json!({ "reason": "a mistake" }))
        .await
        .expect(200);
    let event = format!("/api/v1/events/{}/personal-data", tenant.event);
    tenant.owner.call("DELETE", &event).await.expect(200);
    // A Redis that fails is probed.
    redis.execute(&["client", "kill", "type", "normal", "skipme", "yes"]);
    wait_until_used(&redis, &cluster, &tenant).await;
    wait_for_a_ticket_in(&redis, &tenant).await;
    if keys == RedisKeys::Platform {
        let occupancy = format!("voelgoed:org:*:event:{}:occupancy", tenant.event);
        wait_until("the platform's keys are written", || async {
            !redis.execute(&["keys", &occupancy]).trim().is_empty()
        })
        .await;
    }
    // No right is superfluous.
    for command in commands_of(users) {
        wait_until(&format!("{command} is executed"), || async {
            let executed = format!("cmdstat_{command}:");
            redis.execute(&["info", "commandstats"]).contains(&executed)
        })
        .await;
    }
    cluster.stop().await;
    assert_eq!(
        redis.execute(&["acl", "log"]).trim(),
        "",
        "Redis refused something"
    );
}

#[tokio::test]
async fn the_documented_rights_of_a_user_suffice() {
    let users = documented_users();
    assert_eq!(users.len(), 2, "one user, and what the platform's keys need");
    nothing_is_refused(&users[..1], RedisKeys::Own).await;
    nothing_is_refused(&users, RedisKeys::Platform).await;
}

#[tokio::test]
async fn a_redis_that_refuses_the_keys_counts_as_down_though_it_answers_ping() {
    let redis = Redis::start().await;
    let user = "acl setuser gate on >PASSWORD allchannels ~other:* +@all";
    redis.execute(&user.split(' ').collect::<Vec<_>>());
    let url = format!("redis://gate:PASSWORD@127.0.0.1:{}/0", redis.port());
    let cluster = Cluster::start(1, shared_database(), Some(url)).await;
    let tenant = cluster.tenant("Other keys").await;
    let is_up = async |up: u8| {
        let metrics = tenant.owner.get("/metrics").await.expect(200);
        metrics.text().contains(&format!("voelgoed_scan_redis_up {up}"))
    };
    assert_eq!(
        scan(&tenant.device, &tenant.qr(1).await).await["reason"],
        "admitted"
    );
    wait_until("Redis counts as down", || is_up(0)).await;
    let log = || {
        redis
            .execute(&["acl", "log", "100"])
            .matches("voelgoed-scan:probe")
            .count()
    };
    wait_until("it is probed with a key", || async { log() > 0 }).await;
    assert!(is_up(0).await);
    let user = "acl setuser gate ~voelgoed-scan:*";
    redis.execute(&user.split(' ').collect::<Vec<_>>());
    wait_until("Redis is used", || is_up(1)).await;
    wait_for_a_ticket_in(&redis, &tenant).await;
}

#[tokio::test]
async fn what_the_gate_cannot_work_with_is_refused_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = format!("sqlite://{}", directory.path().join("gate.db").display());
    let refused = |arguments: &[&str], expected: &str| {
        let output = Launch::new(&database)
            .with(arguments.iter().copied())
            .fail_by_redis();
        assert!(output.contains(expected), "{arguments:?}: {output}");
    };
    let cluster = Redis::start_with(&["--cluster-enabled", "yes"]).await;
    refused(&["--redis-url", &cluster.url()], "turn cluster mode off");
    let redis = Redis::start().await;
    let sentinel = Sentinel::watching(&redis).await;
    let url = format!("redis+sentinel://127.0.0.1:{}/another", sentinel.port());
    refused(&["--redis-url", &url], "the sentinels know no master `another`");
    let url = format!("redis://127.0.0.1:{}/0", sentinel.port());
    refused(&["--redis-url", &url], "this is a sentinel");
    let url = format!("redis+sentinel://127.0.0.1:{}", sentinel.port());
    refused(&["--redis-url", &url], "the name of the master is missing");
    refused(&["--redis-url", "http://127.0.0.1"], "not a Redis URL");
    let file = directory.path().join("ca.pem");
    let ca = file.display().to_string();
    let launch = |url: &str, ca: &str| {
        let launch = Launch::new(&database).with(["--redis-url", url]);
        launch.with(["--redis-ca", ca]).fail_by_redis()
    };
    let missing = launch("rediss://127.0.0.1", &ca);
    assert!(missing.contains(&ca), "{missing}");
    std::fs::write(&file, "no certificate").expect("written");
    let empty = launch("rediss://127.0.0.1", &ca);
    assert!(empty.contains("--redis-ca") && empty.contains("PEM"), "{empty}");
    let CertifiedKey { cert, .. } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(&file, cert.pem()).expect("written");
    let plain = launch(&redis.url(), &ca);
    assert!(
        plain.contains("--redis-ca") && plain.contains("rediss://"),
        "{plain}"
    );
}

#[tokio::test]
async fn a_redis_that_became_a_replica_is_left_for_the_one_at_its_address() {
    let redis = Redis::start().await;
    let successor = Redis::start().await;
    let name = Proxy::start(format!("127.0.0.1:{}", redis.port())).await;
    let url = format!("redis://{}/0", name.address());
    let cluster = Cluster::start(2, shared_database(), Some(url)).await;
    let tenant = cluster.tenant("Managed").await;
    wait_for_bus(&cluster).await;
    wait_for_a_ticket_in(&redis, &tenant).await;
    // The connections stay, and nobody scans. Both nodes find out.
    name.lead_to(format!("127.0.0.1:{}", successor.port()));
    redis.execute(&["replicaof", "127.0.0.1", &successor.port().to_string()]);
    wait_until_used(&successor, &cluster, &tenant).await;
    wait_for_a_ticket_in(&successor, &tenant).await;
}

/// How many tickets the load presents.
const TICKETS: usize = 240;

/// People who present their tickets at two nodes at once.
struct Load {
    qrs: Vec<String>,
    next: AtomicUsize,
    has_ended: AtomicBool,
    admitted: Vec<AtomicUsize>,
}

impl Load {
    async fn new(tenant: &Tenant) -> (Arc<Self>, Vec<String>) {
        let (codes, qrs) = import(tenant, TICKETS).await;
        let load = Self {
            admitted: qrs.iter().map(|_| AtomicUsize::new(0)).collect(),
            qrs,
            next: AtomicUsize::new(0),
            has_ended: AtomicBool::new(false),
        };
        (Arc::new(load), codes)
    }

    /// Presents one ticket after the other at both doors until the load ends. Every scan gets an answer.
    async fn arrive(self: Arc<Self>, doors: [Client; 2]) {
        while !self.has_ended.load(Ordering::SeqCst) {
            let at = self.next.fetch_add(1, Ordering::SeqCst) % TICKETS;
            let [first, second] = &doors;
            let (first, second) = tokio::join!(scan(first, &self.qrs[at]), scan(second, &self.qrs[at]));
            for answer in [first, second] {
                if answer["reason"] == "admitted" {
                    self.admitted[at].fetch_add(1, Ordering::SeqCst);
                } else {
                    assert_eq!(answer["reason"], "already_scanned", "{answer}");
                }
            }
        }
    }

    /// Waits until this many more tickets were presented.
    async fn presented(&self, more: usize) {
        let until = self.next.load(Ordering::SeqCst) + more;
        wait_until("tickets are presented", || async {
            self.next.load(Ordering::SeqCst) >= until
        })
        .await;
    }
}

#[tokio::test]
async fn a_failover_by_sentinels_fails_no_scan_and_admits_nobody_twice() {
    let mut redis = Redis::start().await;
    let replica = redis.replica().await;
    let mut sentinels = Vec::new();
    for _ in 0..3 {
        sentinels.push(Sentinel::watching(&redis).await);
    }
    for sentinel in &sentinels {
        wait_until("the sentinels know each other and the replica", || async {
            sentinel.field("num-other-sentinels") == "2" && sentinel.field("num-slaves") == "1"
        })
        .await;
    }
    let hosts: Vec<_> = sentinels
        .iter()
        .map(|one| format!("127.0.0.1:{}", one.port()))
        .collect();
    let url = format!("redis+sentinel://{}/{MASTER}/0", hosts.join(","));
    let cluster = Cluster::start(2, shared_database(), Some(url)).await;
    wait_for_bus(&cluster).await;
    let tenant = cluster.tenant("Failover").await;
    wait_for_a_ticket_in(&redis, &tenant).await;
    let (load, codes) = Load::new(&tenant).await;
    let doors = [0, 1].map(|node| cluster.client_at(node, &tenant.device));
    let people: Vec<_> = (0..4)
        .map(|_| tokio::spawn(Arc::clone(&load).arrive(doors.clone())))
        .collect();
    load.presented(20).await;
    redis.kill();
    let promoted = replica.port().to_string();
    wait_until("a sentinel names the replica", || async {
        let named = sentinels.iter().any(|one| one.field("port") == promoted);
        named || people.iter().any(tokio::task::JoinHandle::is_finished)
    })
    .await;
    load.presented(20).await;
    wait_until_used(&replica, &cluster, &tenant).await;
    wait_for_a_ticket_in(&replica, &tenant).await;
    load.presented(20).await;
    load.has_ended.store(true, Ordering::SeqCst);
    for person in people {
        person.await.expect("every scan was answered");
    }
    let presented = load.next.load(Ordering::SeqCst).min(TICKETS);
    for (at, code) in codes.iter().enumerate().take(presented) {
        assert_eq!(load.admitted[at].load(Ordering::SeqCst), 1, "ticket {at}");
        let path = format!("/api/v1/events/{}/tickets/{code}", tenant.event);
        let ticket = tenant.owner.get(&path).await.expect(200).json();
        assert_eq!(ticket["scan_count"], 1, "{ticket}");
    }
}

#[tokio::test]
async fn a_node_that_most_sentinels_do_not_answer_uses_no_redis() {
    let redis = Redis::start().await;
    let mut sentinels = Vec::new();
    for _ in 0..3 {
        sentinels.push(Sentinel::watching(&redis).await);
    }
    let hosts: Vec<_> = sentinels
        .iter()
        .map(|one| format!("127.0.0.1:{}", one.port()))
        .collect();
    let url = format!("redis+sentinel://{}/{MASTER}", hosts.join(","));
    let cluster = Cluster::start(1, shared_database(), Some(url)).await;
    wait_for_bus(&cluster).await;
    let tenant = cluster.tenant("Cut off").await;
    wait_for_a_ticket_in(&redis, &tenant).await;
    let mut stopped = sentinels.split_off(1);
    for sentinel in &mut stopped {
        sentinel.kill();
    }
    wait_until("the bus is down", || async {
        cluster.node(0).scanner().bus_is_up() == Some(false)
    })
    .await;
    for index in 2..5 {
        let qr = tenant.qr(index).await;
        assert_eq!(scan(&tenant.device, &qr).await["reason"], "admitted");
        assert_eq!(scan(&tenant.device, &qr).await["reason"], "already_scanned");
    }
    for sentinel in &mut stopped {
        sentinel.start_process().await;
    }
    wait_until_used(&redis, &cluster, &tenant).await;
    wait_for_a_ticket_in(&redis, &tenant).await;
}

#[tokio::test]
async fn sentinels_and_servers_are_reached_over_tls_each_with_a_user_of_its_own() {
    let certificate = Certificate::new();
    let (master, master_port) = certificate.redis(&[]).await;
    let (replica, _) = certificate
        .redis(&["--replicaof", "localhost", &master_port.to_string()])
        .await;
    let port = free_port();
    let mut lines: Vec<_> = certificate
        .settings(port)
        .iter()
        .map(|line| line.join(" "))
        .collect();
    lines.push("sentinel resolve-hostnames yes\nsentinel announce-hostnames yes".to_owned());
    lines.push(format!("sentinel monitor {MASTER} localhost {master_port} 1\n"));
    let sentinel = Sentinel::configured(&lines.join("\n")).await;
    let (of_server, of_sentinel) = (documented_users(), documented_user_of_sentinels());
    for server in [&master, &replica] {
        assert_eq!(server.execute(&of_server[0]).trim(), "OK");
    }
    assert_eq!(sentinel.execute(&of_sentinel).trim(), "OK");
    let url = format!(
        "rediss+sentinel://gate:PASSWORD@localhost:{port}/{MASTER}\
         ?sentinel_username=gate&sentinel_password=PASSWORD-OF-SENTINELS"
    );
    let mut cluster = Cluster::start(0, shared_database(), Some(url)).await;
    cluster.config.redis_ca = Some(certificate.path().into());
    cluster.add_node(0).await;
    cluster.add_node(0).await;
    wait_for_bus(&cluster).await;
    let tenant = cluster.tenant("Sentinels over TLS").await;
    wait_for_a_ticket_in(&master, &tenant).await;
    wait_until("the sentinel knows the replica", || async {
        sentinel.field("num-slaves") == "1"
    })
    .await;
    wait_until("the sentinel accepts a planned failover", || async {
        sentinel.execute(&["sentinel", "failover", MASTER]).trim() == "OK"
    })
    .await;
    wait_until_used(&replica, &cluster, &tenant).await;
    assert!(replica.execute(&["role"]).starts_with("master"));
    wait_for_a_ticket_in(&replica, &tenant).await;
    for server in [&master, &replica] {
        assert_eq!(server.execute(&["acl", "log"]).trim(), "");
    }
    assert_eq!(sentinel.execute(&["acl", "log"]).trim(), "");
}
