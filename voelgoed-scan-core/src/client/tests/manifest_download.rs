//! Downloads of manifests over networks that are slow, cut and replaced.
//!
//! The server of these tests sends a manifest in ranges as the real one does; `tests/system/manifest_transfer.rs` has the
//! real one.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::time::{Instant, sleep};

use super::*;
use crate::manifest::{ManifestDraft, ManifestTicket, TicketKey};
use crate::model::EventId;

/// What happens to requests for a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    /// Parts arrive at once.
    Fast,
    /// Parts arrive at this many bytes a second, and every 20 s whatever is under way is cut.
    SlowWithCuts(u32),
    /// Parts arrive at once until this many bytes have arrived. Then the network is down.
    DownAfter(usize),
    /// A part arrives whenever the test allows one.
    Stepwise,
    /// A captive portal answers.
    CaptivePortal,
}

/// A server with one manifest, and the network to it. All other requests go to the fake server.
struct ManifestServer {
    others: Arc<FakeServer>,
    network: Mutex<Network>,
    /// The gzip file and its tag.
    file: Mutex<(Vec<u8>, String)>,
    /// Whether the server can resume a transfer of a former file.
    former: Mutex<Option<(Vec<u8>, String)>>,
    begun: Instant,
    /// The parts that may arrive.
    steps: tokio::sync::Semaphore,
    /// The number of bytes of manifests that have arrived at the phone.
    arrived: AtomicUsize,
    /// The `If-None-Match` of each request.
    conditions: Mutex<Vec<Option<String>>>,
}

fn header(name: &str, value: &str) -> HttpHeader {
    HttpHeader {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    file.write_all(bytes).expect("memory");
    file.finish().expect("memory")
}

impl ManifestServer {
    fn replace(&self, bytes: &[u8], tag: &str) {
        *self.file.lock() = (gzip(bytes), format!("\"{tag}\""));
    }

    /// The response to a request, as RFC 9110 has it.
    fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let value = |name: &str| {
            let found = request.headers.iter().find(|header| header.name == name);
            found.map(|header| header.value.clone())
        };
        let accept = value("Accept").expect("the header");
        assert!(
            accept.starts_with(crate::manifest::MANIFEST_GZIP_MEDIA_TYPE),
            "{accept}"
        );
        let (mut file, mut tag) = self.file.lock().clone();
        if value("If-None-Match").as_ref() == Some(&tag) {
            return HttpResponse {
                status: 304,
                headers: vec![header("ETag", &tag)],
                body: Vec::new(),
            };
        }
        let if_range = value("If-Range");
        if let Some(former) = self
            .former
            .lock()
            .clone()
            .filter(|former| if_range.as_ref() == Some(&former.1))
        {
            (file, tag) = former;
        }
        let whole = file.len();
        let range = value("Range").expect("the header");
        let (first, last) = range
            .strip_prefix("bytes=")
            .and_then(|range| range.split_once('-'))
            .expect("a range");
        let first: usize = first.parse().expect("a number");
        let last: usize = last.parse::<usize>().expect("a number").min(whole - 1);
        if if_range.is_some_and(|expected| expected != tag) {
            return HttpResponse {
                status: 200,
                headers: vec![header("ETag", &tag)],
                body: file,
            };
        }
        assert!(first <= last, "the phone asks for nothing that is not there");
        HttpResponse {
            status: 206,
            headers: vec![
                header("etag", &tag),
                header("content-range", &format!("bytes {first}-{last}/{whole}")),
            ],
            body: file[first..=last].to_vec(),
        }
    }
}

fn unreachable() -> TransportError {
    TransportError::Unreachable {
        reason: "the network is cut".to_owned(),
    }
}

#[async_trait]
impl Transport for ManifestServer {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        if !request.url.contains("/manifest") {
            return self.others.send(request).await;
        }
        let condition = request
            .headers
            .iter()
            .find(|header| header.name == "If-None-Match");
        self.conditions
            .lock()
            .push(condition.map(|header| header.value.clone()));
        let network = *self.network.lock();
        let response = self.respond(&request);
        let length = response.body.len();
        match network {
            Network::Fast => {}
            Network::Stepwise => self.steps.acquire().await.expect("it is open").forget(),
            Network::SlowWithCuts(speed) => {
                let duration = Duration::from_millis(150)
                    + Duration::from_secs(1) * u32::try_from(length).expect("it fits") / speed;
                let since_cut = self.begun.elapsed().as_millis() % 20_000;
                let until_cut = Duration::from_millis(20_000 - u64::try_from(since_cut).expect("it fits"));
                sleep(duration.min(until_cut)).await;
                if duration >= until_cut {
                    return Err(unreachable());
                }
            }
            Network::DownAfter(limit) => {
                if self.arrived.load(Ordering::SeqCst) + length > limit {
                    return Err(unreachable());
                }
            }
            Network::CaptivePortal => {
                return Ok(HttpResponse {
                    status: 200,
                    headers: vec![header("content-type", "text/html")],
                    body: b"<h1>Your room number?</h1>".to_vec(),
                });
            }
        }
        self.arrived.fetch_add(length, Ordering::SeqCst);
        Ok(response)
    }
}

/// The manifest of the event with this many tickets.
fn manifest(test_event: &TestEvent, tickets: u32) -> Vec<u8> {
    let plain = test_event.ticket(1);
    let tickets = (0..tickets).map(|number| {
        let mut key = [0; 16];
        for (at, byte) in key.iter_mut().enumerate() {
            // Keys are hashes, which do not compress.
            let mixed = number
                .wrapping_mul(2_654_435_761)
                .rotate_left(u32::try_from(at).expect("it is small") * 5)
                .wrapping_mul(2_246_822_519);
            *byte = mixed.to_be_bytes()[0];
        }
        key[..4].copy_from_slice(&number.to_be_bytes());
        ManifestTicket {
            key: TicketKey::from_bytes(key),
            ..plain.clone()
        }
    });
    let draft = ManifestDraft::full(&test_event.facts(), tickets).expect("it is not too large");
    draft.sign(&test_event.keyring()).expect("a server signs")
}

struct Phone {
    fixture: Fixture,
    server: Arc<ManifestServer>,
    client: ScannerClient,
}

impl Phone {
    /// A phone with a session whose server has a manifest of this many tickets.
    async fn new(tickets: u32) -> Self {
        let mut fixture = Fixture::new(TestEvent::new());
        let file = gzip(&manifest(&TestEvent::new(), tickets));
        let server = Arc::new(ManifestServer {
            others: Arc::clone(&fixture.server),
            network: Mutex::new(Network::Fast),
            file: Mutex::new((file, "\"1-ab-file\"".to_owned())),
            former: Mutex::new(None),
            begun: Instant::now(),
            steps: tokio::sync::Semaphore::new(0),
            arrived: AtomicUsize::new(0),
            conditions: Mutex::new(Vec::new()),
        });
        fixture.setup.transport = Arc::clone(&server) as _;
        let client = ScannerClient::enroll(fixture.setup.clone(), &Fixture::uri())
            .await
            .expect("a device");
        let (event, gate) = fixture.server.event_and_gate();
        client.start_session(event, gate, false).await.expect("a session");
        Self {
            fixture,
            server,
            client,
        }
    }

    /// Drops the client without closing it, as a kill does, and opens it again.
    async fn restart(mut self) -> Self {
        drop(self.client);
        let opened = ScannerClient::open(self.fixture.setup.clone()).await;
        self.client = opened.expect("the database opens").expect("it is enrolled");
        self
    }

    fn set(&self, network: Network) {
        *self.server.network.lock() = network;
    }

    async fn tickets(&self) -> Option<usize> {
        let state = self.client.state().await.expect("a state");
        state.manifest.map(|manifest| manifest.tickets)
    }

    fn length(&self) -> usize {
        self.server.file.lock().0.len()
    }

    fn arrived(&self) -> usize {
        self.server.arrived.load(Ordering::SeqCst)
    }

    fn partial_file(&self) -> PathBuf {
        let name = format!("{}.manifest-part", self.client.device().id);
        self.fixture.setup.directory.join(name)
    }
}

#[tokio::test(start_paused = true)]
async fn a_manifest_of_100_000_tickets_arrives_at_15_kb_a_second_with_a_cut_every_20_seconds() {
    let phone = Phone::new(100_000).await;
    assert!(phone.length() > 1_400_000, "{}", phone.length());
    phone.set(Network::SlowWithCuts(15_000));
    let begun = Instant::now();
    let mut attempts = 0;
    while let Err(error) = phone.client.refresh_manifest().await {
        assert_eq!(error.code(), "offline");
        attempts += 1;
        assert!(
            attempts < 20,
            "{} of {} bytes arrived",
            phone.arrived(),
            phone.length()
        );
    }
    assert_eq!(phone.tickets().await, Some(100_000));
    assert_eq!(phone.arrived(), phone.length(), "no byte arrived twice");
    let at_full_speed = Duration::from_secs(u64::try_from(phone.length()).expect("it fits") / 15_000);
    let took = begun.elapsed();
    assert!(
        took < at_full_speed * 3 / 2,
        "{took:?} of virtual time, {at_full_speed:?} without cuts"
    );
}

#[tokio::test]
async fn a_restart_resumes_a_download_with_the_bytes_on_disk() {
    let phone = Phone::new(20_000).await;
    let limit = phone.length() / 2;
    phone.set(Network::DownAfter(limit));
    let error = phone.client.refresh_manifest().await.expect_err("it is cut");
    assert_eq!(error.code(), "offline");
    let before = phone.arrived();
    assert!(before > limit / 2, "{before} of {limit}");
    let phone = phone.restart().await;
    phone.set(Network::Fast);
    phone.client.refresh_manifest().await.expect("a manifest");
    assert_eq!(phone.tickets().await, Some(20_000));
    assert_eq!(phone.arrived(), phone.length(), "no byte arrived twice");
    assert!(!phone.partial_file().exists());
}

#[tokio::test]
async fn a_damaged_file_is_downloaded_again_from_the_start() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("a changed byte", |bytes| *bytes.last_mut().expect("bytes") ^= 1),
        ("zeros", |bytes| {
            let half = bytes.len() / 2;
            bytes[half..].fill(0);
        }),
        ("no header", |bytes| bytes.truncate(0)),
        ("too long", |bytes| bytes.extend(vec![7; 1 << 20])),
    ];
    for (name, damage) in damages {
        let phone = Phone::new(20_000).await;
        phone.set(Network::DownAfter(phone.length() / 2));
        phone.client.refresh_manifest().await.expect_err("it is cut");
        let file = phone.partial_file();
        let mut bytes = std::fs::read(&file).expect("the file");
        damage(&mut bytes);
        std::fs::write(&file, bytes).expect("the file");
        let phone = phone.restart().await;
        phone.set(Network::Fast);
        phone.client.refresh_manifest().await.expect(name);
        assert_eq!(phone.tickets().await, Some(20_000), "{name}");
    }
}

#[tokio::test]
async fn a_download_goes_on_in_memory_if_the_file_cannot_be_written() {
    let phone = Phone::new(20_000).await;
    // A directory has the name of the file.
    std::fs::create_dir(phone.partial_file()).expect("a directory");
    phone.client.refresh_manifest().await.expect("a manifest");
    assert_eq!(phone.tickets().await, Some(20_000));
}

#[tokio::test]
async fn a_manifest_that_changed_meanwhile_is_resumed_or_replaced() {
    for is_kept in [true, false] {
        let phone = Phone::new(20_000).await;
        phone.set(Network::DownAfter(phone.length() / 2));
        phone.client.refresh_manifest().await.expect_err("it is cut");
        let former = phone.server.file.lock().clone();
        let newer = {
            let mut test_event = TestEvent::new();
            test_event.later(1);
            manifest(&test_event, 20_001)
        };
        phone.server.replace(&newer, "2-cd-file");
        *phone.server.former.lock() = is_kept.then_some(former);
        phone.set(Network::Fast);
        phone.client.refresh_manifest().await.expect("a manifest");
        let expected = if is_kept { 20_000 } else { 20_001 };
        assert_eq!(phone.tickets().await, Some(expected));
    }
}

#[tokio::test]
async fn the_parts_of_another_event_are_not_used() {
    let phone = Phone::new(20_000).await;
    phone.set(Network::DownAfter(phone.length() / 2));
    phone.client.refresh_manifest().await.expect_err("it is cut");
    let text = std::fs::read(phone.partial_file()).expect("the file");
    let other = String::from_utf8_lossy(&text).contains("/events/00000000-0000-0000-0000-000000000002/");
    assert!(other, "the file names the event");
    let bytes = String::from("/events/00000000-0000-0000-0000-000000000002/").into_bytes();
    let at = text
        .windows(bytes.len())
        .position(|window| window == bytes)
        .expect("the event");
    let mut renamed = text.clone();
    renamed[at + 40] = b'9';
    std::fs::write(phone.partial_file(), renamed).expect("the file");
    let phone = phone.restart().await;
    phone.set(Network::Fast);
    let before = phone.arrived();
    phone.client.refresh_manifest().await.expect("a manifest");
    assert_eq!(phone.tickets().await, Some(20_000));
    assert_eq!(
        phone.arrived() - before,
        phone.length(),
        "all of it arrived again"
    );
}

#[tokio::test]
async fn the_state_shows_how_far_a_download_is() {
    let phone = Phone::new(20_000).await;
    let total = u64::try_from(phone.length()).expect("it fits");
    phone.set(Network::Stepwise);
    let mut revision = phone.client.changed_since(0).await;
    let mut received = Vec::new();
    phone.server.steps.add_permits(1);
    let watch = async {
        loop {
            revision = phone.client.changed_since(revision).await;
            let state = phone.client.state().await.expect("a state");
            // The state changes for other reasons, too. The last changes are the end of the download and the manifest.
            if let Some(progress) = state.manifest_progress {
                assert_eq!(progress.total, Some(total));
                if received.last() != Some(&progress.received) {
                    received.push(progress.received);
                }
                phone.server.steps.add_permits(1);
            }
        }
    };
    tokio::select! {
        refreshed = phone.client.refresh_manifest() => {
            refreshed.expect("a manifest");
        }
        () = watch => {}
    }
    assert!(received.len() > 1, "{received:?}");
    assert!(received.is_sorted_by(|one, next| one < next), "{received:?}");
    assert!(received.iter().all(|received| *received <= total), "{received:?}");
    let state = phone.client.state().await.expect("a state");
    assert_eq!(state.manifest_progress, None, "it has ended");
    phone.set(Network::DownAfter(0));
    phone.client.refresh_manifest().await.expect_err("it is cut");
    let state = phone.client.state().await.expect("a state");
    assert_eq!(state.manifest_progress, None, "it has failed");
}

#[tokio::test]
async fn a_captive_portal_neither_becomes_a_manifest_nor_costs_the_parts() {
    let phone = Phone::new(20_000).await;
    phone.set(Network::CaptivePortal);
    let error = phone.client.refresh_manifest().await.expect_err("no manifest");
    assert_eq!(error.code(), "unexpected_answer");
    phone.set(Network::DownAfter(phone.length() / 2));
    phone.client.refresh_manifest().await.expect_err("it is cut");
    let arrived = phone.arrived();
    phone.set(Network::CaptivePortal);
    let error = phone.client.refresh_manifest().await.expect_err("no manifest");
    assert_eq!((error.code(), phone.arrived()), ("unexpected_answer", arrived));
    phone.set(Network::Fast);
    phone.client.refresh_manifest().await.expect("a manifest");
    assert_eq!(phone.arrived(), phone.length(), "no byte arrived twice");
    let unchanged = phone.client.refresh_manifest().await.expect("an answer");
    assert_eq!(unchanged, ManifestRefresh::Unchanged);
}

#[tokio::test]
async fn the_tag_of_one_events_manifest_is_not_sent_for_another() {
    let phone = Phone::new(10).await;
    phone.client.refresh_manifest().await.expect("a manifest");
    phone.client.refresh_manifest().await.expect("an answer");
    let own = std::mem::take(&mut *phone.server.conditions.lock());
    assert_eq!(own, [None, Some("\"1-ab-file\"".to_owned())]);
    let other = PhoneSession {
        event_id: EventId::from_uuid(offline::tests::uuid(99)),
        gate_id: phone.fixture.server.event_and_gate().1,
        session_id: None,
    };
    phone
        .client
        .offline()
        .set_session(Some(other))
        .await
        .expect("it is stored");
    // The server would take the version in the tag for the other event's version, and answer that nothing is new.
    let error = phone
        .client
        .refresh_manifest()
        .await
        .expect_err("this server has one event");
    assert_eq!(error.code(), "manifest_other_event");
    assert_eq!(*phone.server.conditions.lock(), [None]);
}

#[tokio::test]
async fn concurrent_refreshes_download_a_manifest_once() {
    let phone = Phone::new(20_000).await;
    let (one, two) = tokio::join!(phone.client.refresh_manifest(), phone.client.refresh_manifest());
    let refreshes = [one.expect("an answer"), two.expect("an answer")];
    assert!(matches!(refreshes[0], ManifestRefresh::Updated(_)));
    assert_eq!(refreshes[1], ManifestRefresh::Unchanged);
    assert_eq!(phone.arrived(), phone.length());
}
