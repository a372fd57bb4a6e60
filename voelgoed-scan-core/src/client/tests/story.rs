use super::server::Wire;
use super::*;
use crate::client::{Verdict, VerdictBy};
use crate::model::{Reason, TicketStatus};

fn shown(verdict: &Verdict) -> (Reason, VerdictBy) {
    (verdict.reason, verdict.decided_by)
}

const SERVER: VerdictBy = VerdictBy::Server;
const PHONE: VerdictBy = VerdictBy::Device;

impl Scene {
    async fn scan(&self, phone: &ScannerClient, number: u8) -> (Reason, VerdictBy) {
        let verdict = phone.scan(ScanInput::entry(self.server.vg2(number))).await;
        shown(&verdict.expect("a verdict"))
    }
}

#[tokio::test]
async fn an_enrolment_is_kept_in_the_secret_store_and_opens_without_a_network() {
    let scene = Scene::new(World::new());
    let plain = EnrollmentUri {
        server: "http://scan.example.org".to_owned(),
        ..Scene::uri()
    };
    let error = ScannerClient::enroll(scene.setup.clone(), &plain)
        .await
        .expect_err("no TLS");
    assert_eq!(error.code(), "insecure_server");
    let open = async || ScannerClient::open(scene.setup.clone()).await.expect("it opens");
    assert!(open().await.is_none(), "nobody enrolled it");
    let phone = scene.phone().await;
    scene.scan(&phone, 1).await;
    drop(phone);
    scene.server.set(Wire::Cut);
    let phone = open().await.expect("it is enrolled");
    assert_eq!(
        scene.scan(&phone, 2).await,
        (Reason::Admitted, PHONE),
        "it knows its gate and its manifest"
    );
    let kept = scene
        .vault
        .get("voelgoed-scan.enrollment")
        .expect("it answers")
        .expect("it is there");
    let kept: serde_json::Value = serde_json::from_slice(&kept).expect("JSON");
    for file in std::fs::read_dir(&scene.setup.directory).expect("a directory") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("it is read");
        for secret in ["token", "device_seed"] {
            let secret = kept[secret].as_str().expect("a text").as_bytes();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
    phone.forget().expect("it forgets");
    drop(phone);
    assert!(open().await.is_none());
}

#[tokio::test]
async fn the_server_decides_while_it_is_there() {
    let scene = Scene::new(World::new());
    let phone = scene.phone().await;
    assert!(
        phone.state().await.expect("it answers").online,
        "it stood there by the server"
    );
    let first = phone
        .scan(ScanInput::entry(scene.server.vg2(1)))
        .await
        .expect("a verdict");
    assert_eq!(shown(&first), (Reason::Admitted, SERVER));
    let again = phone
        .scan(ScanInput::entry(scene.server.vg2(1)))
        .await
        .expect("a verdict");
    assert_eq!(
        (again.scan_id, again.repeated),
        (first.scan_id, true),
        "one reading, one scan"
    );
    scene.later();
    assert_eq!(scene.scan(&phone, 1).await, (Reason::AlreadyScanned, SERVER));
    let state = phone.state().await.expect("it answers");
    assert_eq!((state.online, state.waiting, state.last_error), (true, 0, None));
    assert_eq!(state.manifest_age_s, Some(10));
    scene.server.set(Wire::Cut);
    scene.later();
    assert_eq!(
        scene.scan(&phone, 1).await,
        (Reason::AlreadyScanned, PHONE),
        "the phone saw it"
    );
}

#[tokio::test]
async fn the_phone_goes_on_alone_and_makes_good_by_itself() {
    let scene = Scene::new(World::new());
    let phone = scene.phone().await;
    for (number, wire) in [
        (1, Wire::Cut),
        (2, Wire::Busy),
        (3, Wire::Portal),
        (4, Wire::AnswersLost),
    ] {
        scene.later();
        scene.server.set(wire);
        assert_eq!(
            scene.scan(&phone, number).await,
            (Reason::Admitted, PHONE),
            "{wire:?}"
        );
        assert!(!phone.state().await.expect("it answers").online);
    }
    assert_eq!(phone.state().await.expect("it answers").waiting, 4);
    scene.server.set(Wire::Whole);
    scene.later();
    let back = async {
        let mut revision = 0;
        loop {
            let state = phone.state().await.expect("it answers");
            if state.online && state.waiting == 0 {
                return;
            }
            revision = phone.changed_since(revision).await;
        }
    };
    tokio::select! {
        () = phone.run() => {}
        () = back => {}
    }
    scene.later();
    assert_eq!(scene.scan(&phone, 5).await, (Reason::Admitted, SERVER));
    let handed_in = scene.server.handed_in();
    let sequences: Vec<_> = handed_in
        .iter()
        .filter_map(|scan| scan["sequence"].as_u64())
        .collect();
    assert_eq!(
        sequences,
        [1, 2, 3, 1, 2, 3, 4],
        "what was not answered goes again"
    );
    assert!(
        handed_in
            .iter()
            .zip(&handed_in[3..])
            .take(3)
            .all(|(once, again)| once == again)
    );
}

#[tokio::test]
async fn a_lost_answer_is_no_second_admission() {
    let scene = Scene::new(World::new());
    let phone = scene.phone().await;
    scene.server.set(Wire::AnswersLost);
    assert_eq!(
        scene.scan(&phone, 1).await,
        (Reason::Admitted, PHONE),
        "the server let it in, unheard"
    );
    assert_eq!(scene.server.admissions(), 1);
    scene.server.set(Wire::Whole);
    let report = phone.sync().await.expect("it is handed in");
    assert_eq!(
        (report.replayed, report.recorded),
        (1, 0),
        "under the same scan_id"
    );
    assert_eq!(scene.server.admissions(), 1);
}

#[tokio::test]
async fn without_a_server_no_scan_waits_for_it_twice() {
    let mut scene = Scene::new(World::new());
    scene.setup.settings.first_retry = Duration::from_mins(1);
    scene.setup.settings.longest_retry = Duration::from_mins(1);
    let phone = scene.phone().await;
    scene.server.set(Wire::AnswersLost);
    scene.scan(&phone, 1).await;
    scene.server.calls();
    assert_eq!(scene.scan(&phone, 2).await, (Reason::Admitted, PHONE));
    assert!(scene.server.calls().is_empty(), "not within the pause");
    scene.server.set(Wire::Whole);
    for _ in 0..6 {
        scene.later();
    }
    assert_eq!(
        scene.scan(&phone, 3).await,
        (Reason::Admitted, SERVER),
        "also where nobody drives run()"
    );
    assert_eq!(
        scene.server.calls(),
        ["POST sync", "PUT device", "POST scan"],
        "what it knew alone goes first"
    );
}

#[tokio::test]
async fn where_the_phone_knows_better_it_decides() {
    let scene = Scene::new(World::new());
    let phone = scene.phone().await;
    scene.server.set(Wire::Cut);
    scene.scan(&phone, 1).await;
    scene.server.set(Wire::Whole);
    scene.server.answer_syncs("rejected");
    let report = phone.sync().await.expect("it is handed in");
    assert_eq!(report.rejected, 1);
    scene.later();
    assert!(phone.state().await.expect("it answers").online);
    assert_eq!(
        scene.scan(&phone, 1).await,
        (Reason::AlreadyScanned, PHONE),
        "the server would let it in"
    );
}

#[tokio::test]
async fn a_session_begun_without_a_network_is_started_with_it() {
    let scene = Scene::new(World::new());
    let phone = scene.phone().await;
    let (event, gate) = scene.server.post();
    assert!(phone.end_session().await.expect("it ends").is_some());
    let error = phone.scan(ScanInput::entry("x")).await.expect_err("nowhere");
    assert_eq!(error.code(), "no_active_session");
    scene.server.set(Wire::Cut);
    assert_eq!(
        phone.start_session(event, gate, false).await.expect("alone"),
        None
    );
    let unknown = phone
        .start_session(event, offline::tests::gate_id(99), false)
        .await;
    assert_eq!(unknown.expect_err("no manifest knows it").code(), "offline");
    assert_eq!(scene.scan(&phone, 1).await, (Reason::Admitted, PHONE));
    scene.server.set(Wire::Whole);
    scene.later();
    assert_eq!(scene.scan(&phone, 2).await, (Reason::Admitted, SERVER));
    let station = phone
        .state()
        .await
        .expect("it answers")
        .station
        .expect("it stands");
    assert!(station.session_id.is_some());
}

#[tokio::test]
async fn a_revoked_phone_is_refused_and_may_still_hand_in() {
    let scene = Scene::new(World::new());
    let phone = scene.phone().await;
    scene.server.set(Wire::Cut);
    scene.scan(&phone, 1).await;
    scene.server.set(Wire::Whole);
    scene.server.revoke();
    scene.later();
    let error = phone
        .scan(ScanInput::entry(scene.server.vg2(2)))
        .await
        .expect_err("it may not");
    assert_eq!(error.code(), "device_inactive");
    let state = phone.state().await.expect("it answers");
    assert_eq!(
        (state.waiting, state.last_error.as_deref()),
        (0, Some("device_inactive"))
    );
    assert_eq!(scene.server.handed_in().len(), 1);
}

#[tokio::test]
async fn the_manifest_is_renewed_by_what_changed() {
    let scene = Scene::new(World::new());
    let phone = scene.phone().await;
    assert_eq!(
        phone.refresh_manifest().await.expect("an answer"),
        ManifestRefresh::Unchanged
    );
    assert_eq!(scene.server.header("If-None-Match").as_deref(), Some("\"1\""));
    scene.server.change(|world| {
        world.later(10);
        world.tickets[0].status = TicketStatus::Voided;
    });
    let taken = phone.refresh_manifest().await.expect("an answer");
    let ManifestRefresh::Taken(state) = taken else {
        panic!("it changed")
    };
    assert_eq!((state.version, state.tickets), (2, 9));
    scene.server.set(Wire::Cut);
    scene.later();
    assert_eq!(scene.scan(&phone, 1).await, (Reason::TicketVoided, PHONE));
    // Half of its age later it is fetched again, though nothing changed.
    scene.server.set(Wire::Whole);
    scene.clock.fetch_add(1_900_000, Ordering::SeqCst);
    scene
        .server
        .change(|world| world.made_at = MADE.plus(Duration::from_secs(1900)));
    let taken = phone.refresh_manifest().await.expect("an answer");
    assert!(matches!(taken, ManifestRefresh::Taken(state) if state.version == 2));
}

#[tokio::test]
async fn a_scan_that_no_server_takes_blocks_no_other() {
    let scene = Scene::new(World::new());
    let phone = scene.phone().await;
    scene.server.set(Wire::Cut);
    for number in 1..8 {
        let qr = if number == 5 {
            "poison".to_owned()
        } else {
            scene.server.vg2(number)
        };
        phone.scan(ScanInput::entry(qr)).await.expect("a verdict");
    }
    scene.server.set(Wire::Whole);
    let report = phone.sync().await.expect("the rest is handed in");
    assert_eq!((report.recorded, report.rejected), (6, 1));
    assert_eq!(phone.state().await.expect("it answers").waiting, 0);
}

#[test]
fn what_is_logged_of_a_scan_shows_no_payload() {
    let shown = format!("{:?}", ScanInput::entry("VG2.secret"));
    assert!(
        shown.contains("Qr(10 bytes)") && !shown.contains("secret"),
        "{shown}"
    );
}
