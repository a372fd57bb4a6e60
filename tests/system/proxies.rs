//! The proxies nginx and `HAProxy` in front of two nodes, with the configurations of `deploy/`: a rolling restart under load fails no
//! request.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::program::{Launch, Program};
use voelgoed_scan_suite::services::{free_port, shared_database, signal};
use voelgoed_scan_suite::wait::report_duration;
use voelgoed_scan_suite::{Client, Cluster, wait_until};

/// The number of clients that send one request after the other. A machine that is overloaded would fail requests and starts
/// for other reasons.
const CLIENTS: usize = 3;

/// Held by a test, because both together overload a small machine.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The number of requests between two steps of a restart. There are nine steps.
#[expect(
    clippy::disallowed_methods,
    reason = "the length of a run that a person starts"
)]
fn requests_per_step() -> usize {
    let requests = std::env::var("VOELGOED_SCAN_RESTART_REQUESTS");
    requests.map_or(300, |text| {
        text.parse()
            .expect("VOELGOED_SCAN_RESTART_REQUESTS is a number of requests")
    })
}

/// The addresses of the nodes in the configurations of `deploy/`.
const NODES: [&str; 2] = ["node-a:8080", "node-b:8080"];

/// A proxy, which ends when this value is dropped.
struct Proxy {
    process: Child,
    _directory: TempDir,
}

impl Proxy {
    fn start(program: &str, arguments: &[&str], configuration: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("proxy.conf");
        std::fs::write(&path, configuration).expect("written");
        assert!(
            Path::new(program).exists(),
            "{program} is missing: scripts/services installs it"
        );
        let process = Command::new(program)
            .args(arguments)
            .arg(&path)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the proxy starts");
        Self {
            process,
            _directory: directory,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // A kill would leave the workers of nginx.
        signal(self.process.id(), "TERM");
        let _ = self.process.wait();
    }
}

/// The configuration of nginx in `deploy/`, without TLS, on loopback.
fn nginx(port: u16, nodes: &[String; 2]) -> Proxy {
    let redirect = free_port();
    let mut text = String::new();
    for line in include_str!("../../deploy/nginx.conf").lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("listen 443") {
            let _ = writeln!(text, "listen 127.0.0.1:{port};");
        } else if trimmed.starts_with("listen 80") {
            let _ = writeln!(text, "listen 127.0.0.1:{redirect};");
        } else if trimmed.starts_with("pid ") {
            text.push_str("pid nginx.pid;\n");
        } else if !trimmed.starts_with("ssl_") {
            text.push_str(line);
            text.push('\n');
        }
    }
    for (name, address) in NODES.iter().zip(nodes) {
        assert!(text.contains(name), "{text}");
        text = text.replace(name, address);
    }
    Proxy::start("/usr/sbin/nginx", &["-p", ".", "-g", "daemon off;", "-c"], &text)
}

/// The configuration of `HAProxy` in `deploy/`, without TLS, on loopback.
fn haproxy(port: u16, nodes: &[String; 2]) -> Proxy {
    let mut text = String::new();
    for line in include_str!("../../deploy/haproxy.cfg").lines() {
        if line.trim_start().starts_with("bind ") {
            let _ = writeln!(text, "    bind 127.0.0.1:{port}");
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    for (name, address) in NODES.iter().zip(nodes) {
        assert!(text.contains(name), "{text}");
        text = text.replace(&format!(" {name}"), &format!(" {address}"));
    }
    Proxy::start("/usr/sbin/haproxy", &["-db", "-f"], &text)
}

async fn restart_nodes_under_load(start_proxy: impl FnOnce(u16, &[String; 2]) -> Proxy) {
    let _turn = ONE_AT_A_TIME.lock().await;
    let mut cluster = Cluster::start(1, shared_database(), None).await;
    let tenant = cluster.tenant("Here").await;
    let qr = tenant.qr(1).await;
    cluster.stop().await;
    let secret = cluster.config.secrets.secret_key_file.clone().expect("a file");
    let ports = [free_port(), free_port(), free_port()];
    let nodes = [0, 1].map(|node| format!("127.0.0.1:{}", ports[node]));
    let launch = |node: usize| {
        Launch::new(&cluster.config.database_url)
            .with(["--listen", nodes[node].as_str()])
            .with(["--secret-key-file", &secret.display().to_string()])
            .with(["--drain-delay", "3s"])
    };
    let mut programs: Vec<Program> = Vec::new();
    for node in 0..2 {
        programs.push(launch(node).start().await);
    }
    let proxy = start_proxy(ports[2], &nodes);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], ports[2]));
    let device = tenant.device.at(address);
    wait_until("the proxy answers", || async {
        let body = json!({ "qr": "x" });
        device
            .try_scan(&body)
            .await
            .is_some_and(|response| response.status == 200)
    })
    .await;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let (device, qr) = (device.clone(), qr.clone());
            tokio::spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let body = json!({ "qr": qr, "scan_id": new_id() });
                    let response = device.try_scan(&body).await;
                    if response.as_ref().map(|response| response.status) != Some(200) {
                        failures.push(format!("{response:?}"));
                    }
                    answered.fetch_add(1, Ordering::SeqCst);
                }
                failures
            })
        })
        .collect();
    let requests = requests_per_step();
    let more_requests = async || {
        let before = answered.load(Ordering::SeqCst);
        wait_until("requests are answered", || {
            std::future::ready(answered.load(Ordering::SeqCst) >= before + requests)
        })
        .await;
    };
    let began = Instant::now();
    more_requests().await;
    for _ in 0..2 {
        for (node, program) in programs.iter_mut().enumerate() {
            program.signal("TERM");
            assert!(program.wait().await.success());
            more_requests().await;
            *program = launch(node).start().await;
            let client = Client::new(program.address());
            // As an orchestrator does, the next node stops only when the proxy uses this one.
            wait_until("the proxy sends scans to the node", || async {
                let metrics = client.get("/metrics").await;
                let mut lines = metrics.text().lines();
                lines.any(|line| line.starts_with("voelgoed_scan_scans_total"))
            })
            .await;
            more_requests().await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    let mut failures = Vec::new();
    for client in clients {
        failures.extend(client.await.expect("without a panic"));
    }
    let answered = answered.load(Ordering::SeqCst);
    report_duration(
        &format!("{} of {answered} requests failed", failures.len()),
        began.elapsed(),
    );
    assert!(
        failures.is_empty(),
        "{} of {answered}: {:?}",
        failures.len(),
        failures.first()
    );
    drop(proxy);
}

#[tokio::test]
async fn no_request_fails_behind_nginx_while_two_nodes_restart() {
    restart_nodes_under_load(nginx).await;
}

#[tokio::test]
async fn no_request_fails_behind_haproxy_while_two_nodes_restart() {
    restart_nodes_under_load(haproxy).await;
}
