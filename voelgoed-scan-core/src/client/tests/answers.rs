//! Only an answer of the server to the question counts, whatever else answers in its place.

use serde_json::{Value, json};

use super::server::{Network, problem, reply};
use super::*;
use crate::client::{ProblemCode, VerdictSource};
use crate::model::{Reason, ScanResult, Warning};

/// Sets a member of the JSON of a response.
fn set(response: HttpResponse, pointer: &str, value: Value) -> HttpResponse {
    let mut body: Value = serde_json::from_slice(&response.body).expect("JSON");
    *body.pointer_mut(pointer).expect("the member") = value;
    HttpResponse {
        body: body.to_string().into_bytes(),
        ..response
    }
}

fn other_id() -> Value {
    json!(offline::tests::uuid(999))
}

fn page(status: u16) -> HttpResponse {
    HttpResponse {
        status,
        headers: vec![HttpHeader {
            name: "Content-Type".to_owned(),
            value: "text/html".to_owned(),
        }],
        body: b"<h1>Your room number?</h1>".to_vec(),
    }
}

fn foreign_problem(status: u16, problem: &Value) -> HttpResponse {
    reply(status, problem)
}

type Tamper = fn(&str, HttpResponse) -> HttpResponse;

/// Responses to a scan that do not come from the server, or that answer another question.
const NOT_AN_ANSWER: [(&str, Tamper); 20] = [
    ("another scan", |_, it| set(it, "/scan_id", other_id())),
    ("no scan", |_, it| set(it, "/scan_id", Value::Null)),
    ("another event", |_, it| set(it, "/event_id", other_id())),
    ("another gate", |_, it| set(it, "/gate/id", other_id())),
    ("another direction", |_, it| set(it, "/direction", json!("exit"))),
    ("another ticket", |_, it| {
        set(it, "/ticket/code", json!(offline::tests::code(9)))
    }),
    ("a result that contradicts its reason", |_, it| {
        set(it, "/result", json!("duplicate"))
    }),
    ("an unknown result", |_, it| set(it, "/result", json!("blessed"))),
    ("a page", |_, _| page(200)),
    ("a redirect", |_, _| page(302)),
    ("a page with 401", |_, _| page(401)),
    ("a page with 403", |_, _| page(403)),
    ("a page with 502", |_, _| page(502)),
    ("no content", |_, it| HttpResponse {
        status: 204,
        body: Vec::new(),
        ..it
    }),
    ("JSON without a type", |_, _| {
        foreign_problem(401, &json!({ "code": "device_inactive", "detail": "log in" }))
    }),
    ("JSON of another type", |_, _| {
        foreign_problem(
            403,
            &json!({ "type": "about:blank", "status": 403, "code": "forbidden", "detail": "" }),
        )
    }),
    ("a type that only contains ours", |_, _| {
        foreign_problem(
            401,
            &json!({ "type": "https://portal/urn:voelgoed-scan:problem:device_inactive", "code": "device_inactive" }),
        )
    }),
    ("a code that contradicts its type", |_, _| {
        foreign_problem(
            401,
            &json!({ "type": "urn:voelgoed-scan:problem:not_found", "code": "device_inactive" }),
        )
    }),
    ("a problem with a status of success", |_, _| {
        problem(200, "device_inactive")
    }),
    ("a problem with a redirect", |_, _| {
        problem(302, "device_inactive")
    }),
];

#[tokio::test]
async fn an_answer_to_another_question_counts_as_no_answer() {
    for (what, tamper) in NOT_AN_ANSWER {
        let fixture = Fixture::new(TestEvent::new());
        let phone = fixture.phone().await;
        fixture.server.tamper(Some(tamper));
        let verdict = phone
            .scan(ScanInput::entry(fixture.server.vg2(1)))
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(
            (verdict.reason, verdict.decided_by),
            (Reason::Admitted, VerdictSource::Device),
            "{what}"
        );
        let state = phone.state().await.expect("a state");
        assert_eq!(state.last_error.as_deref(), Some("unexpected_answer"), "{what}");
        let problem = state.problem.expect("a problem");
        assert_eq!(
            (problem.code, problem.since),
            (ProblemCode::CaptivePortal, MADE_AT),
            "{what}"
        );
        assert!(!state.online && state.waiting == 1, "{what}");
        fixture.server.tamper(None);
        let report = phone.sync().await.expect("the server is back");
        assert_eq!((report.replayed, report.recorded), (1, 0), "{what}: one scan");
        let state = phone.state().await.expect("a state");
        assert_eq!((state.online, state.problem), (true, None), "{what}");
    }
}

#[tokio::test]
async fn the_result_of_a_newer_server_counts_whatever_other_words_it_uses() {
    let reasons: [Tamper; 2] = [
        |call, it| match call {
            "POST scan" => set(set(it, "/result", json!("refused")), "/reason", json!("too_late")),
            _ => it,
        },
        |call, it| match call {
            "POST scan" => {
                let it = set(it, "/warnings", json!(["new", "signature_unchecked"]));
                set(it, "/decided_by", json!("oracle"))
            }
            _ => it,
        },
    ];
    for (tamper, expected) in reasons.into_iter().zip([
        (ScanResult::Refused, Reason::GateClosed, vec![]),
        (
            ScanResult::Valid,
            Reason::Admitted,
            vec![Warning::SignatureUnchecked],
        ),
    ]) {
        let fixture = Fixture::new(TestEvent::new());
        let phone = fixture.phone().await;
        fixture.server.tamper(Some(tamper));
        let scanned = phone.scan(ScanInput::entry(fixture.server.vg2(1))).await;
        let verdict = scanned.expect("a verdict");
        assert_eq!(verdict.decided_by, VerdictSource::Server);
        assert_eq!((verdict.result, verdict.reason, verdict.warnings), expected);
    }
}

#[tokio::test]
async fn an_upload_is_acknowledged_whatever_words_a_newer_server_uses() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.set(Network::Down);
    let scanned = phone.scan(ScanInput::entry(fixture.server.vg2(1))).await;
    scanned.expect("a verdict");
    fixture.server.set(Network::Up);
    fixture.server.tamper(Some(|call, it| match call {
        "POST sync" => set(
            set(it, "/results/0/result", json!("new")),
            "/results/0/reason",
            json!("new"),
        ),
        _ => it,
    }));
    phone.sync().await.expect("it is uploaded");
    let state = phone.state().await.expect("a state");
    assert_eq!((state.online, state.waiting), (true, 0));
}

#[tokio::test]
async fn a_report_that_the_server_refuses_keeps_nobody_from_asking_it() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.set(Network::Down);
    phone
        .scan(ScanInput::entry(fixture.server.vg2(1)))
        .await
        .expect("a verdict");
    fixture.server.set(Network::Up);
    fixture.server.tamper(Some(|call, it| match call {
        "PUT device" => problem(422, "validation_failed"),
        _ => it,
    }));
    fixture.later();
    let scanned = phone.scan(ScanInput::entry(fixture.server.vg2(2))).await;
    assert_eq!(scanned.expect("a verdict").decided_by, VerdictSource::Server);
    for (level, kept) in [(-1.0, None), (57.0, None), (f64::NAN, None), (0.57, Some(0.57))] {
        phone.set_battery(Some(level));
        assert_eq!(*phone.battery.lock(), kept, "{level}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_server_is_told() {
    for code in ["device_inactive", "invalid_token"] {
        let fixture = Fixture::new(TestEvent::new());
        let phone = fixture.phone().await;
        let tamper: Tamper = match code {
            "device_inactive" => |_, _| problem(401, "device_inactive"),
            _ => |_, _| problem(401, "invalid_token"),
        };
        fixture.server.tamper(Some(tamper));
        let error = phone
            .scan(ScanInput::entry(fixture.server.vg2(1)))
            .await
            .expect_err("a refusal");
        assert_eq!(error.code(), code);
        let problem = phone.state().await.expect("a state").problem.expect("a problem");
        assert_eq!(problem.code.as_str(), code);
    }
}

#[tokio::test]
async fn an_app_that_is_too_old_decides_by_itself_and_hands_in() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.tamper(Some(|call, it| match call {
        "POST sync" => it,
        _ => problem(426, "upgrade_required"),
    }));
    let scan = async |number| {
        let verdict = phone.scan(ScanInput::entry(fixture.server.vg2(number))).await;
        verdict.expect("a verdict").decided_by
    };
    assert_eq!(scan(1).await, VerdictSource::Device);
    assert_eq!(fixture.server.header("X-App-Version").as_deref(), Some("1.0"));
    let error = phone.sync().await.expect_err("the rest is refused");
    assert_eq!(error.code(), "upgrade_required");
    let state = phone.state().await.expect("a state");
    assert_eq!(
        (state.waiting, state.online),
        (0, false),
        "its scans are uploaded"
    );
    let problem = state.problem.expect("a problem");
    assert_eq!(problem.code, ProblemCode::UpgradeRequired);
    assert_eq!(scan(2).await, VerdictSource::Device);
    fixture.server.tamper(None);
    fixture.later();
    assert_eq!(
        scan(3).await,
        VerdictSource::Server,
        "the server admits this version again"
    );
    assert_eq!(phone.state().await.expect("a state").problem, None);
}

#[tokio::test]
async fn an_answer_to_another_upload_acknowledges_nothing() {
    let cases: [Tamper; 4] = [
        |_, it| set(it, "/batch_id", other_id()),
        |_, it| set(it, "/results/0/scan_id", other_id()),
        |_, _| page(200),
        |_, _| page(422),
    ];
    for tamper in cases {
        let fixture = Fixture::new(TestEvent::new());
        let phone = fixture.phone().await;
        fixture.server.set(Network::Down);
        phone
            .scan(ScanInput::entry(fixture.server.vg2(1)))
            .await
            .expect("a verdict");
        fixture.server.set(Network::Up);
        fixture.server.tamper(Some(tamper));
        let error = phone.sync().await.expect_err("not an answer");
        assert_eq!(error.code(), "unexpected_answer");
        let state = phone.state().await.expect("a state");
        assert_eq!((state.online, state.waiting), (false, 1));
        fixture.server.tamper(None);
        phone.sync().await.expect("the server is back");
        assert_eq!(phone.state().await.expect("a state").waiting, 0);
    }
}

#[tokio::test]
async fn an_answer_about_another_session_or_device_is_refused() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    let (event, gate) = fixture.server.event_and_gate();
    let wrong_sessions: [Tamper; 6] = [
        |_, it| set(it, "/event_id", other_id()),
        |_, it| set(it, "/gate_id", other_id()),
        |_, it| set(it, "/device_id", other_id()),
        |_, it| set(it, "/organization_id", other_id()),
        |_, it| set(it, "/status", json!("ended")),
        |_, _| page(200),
    ];
    for tamper in wrong_sessions {
        fixture.server.tamper(Some(tamper));
        let session = phone
            .start_session(event, gate, true)
            .await
            .expect("the manifest has the gate");
        assert_eq!(session, None, "the phone works alone");
        assert!(!phone.state().await.expect("a state").online);
    }
    fixture.server.tamper(None);
    phone.start_session(event, gate, true).await.expect("a session");
    let wrong_ends: [Tamper; 4] = [
        |_, it| set(it, "/id", other_id()),
        |_, it| set(it, "/device_id", other_id()),
        |_, it| set(it, "/status", json!("active")),
        |_, _| page(200),
    ];
    for tamper in wrong_ends {
        fixture.server.tamper(Some(tamper));
        let error = phone.end_session().await.expect_err("not an answer");
        assert_eq!(error.code(), "unexpected_answer");
        assert!(
            phone.state().await.expect("a state").session.is_some(),
            "it continues"
        );
    }
    let wrong_devices: [Tamper; 2] = [
        |call, it| match call {
            "PUT device" => set(it, "/device/id", other_id()),
            _ => it,
        },
        |call, it| match call {
            "PUT device" => set(it, "/device/organization_id", other_id()),
            _ => it,
        },
    ];
    for tamper in wrong_devices {
        fixture.server.tamper(Some(tamper));
        let error = phone.sync().await.expect_err("not an answer");
        assert_eq!(error.code(), "unexpected_answer");
    }
}

#[tokio::test]
async fn a_page_in_place_of_a_manifest_or_an_enrolment_is_refused() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    let not_a_manifest: [Tamper; 3] = [
        |_, _| page(200),
        |_, _| reply(404, &json!({ "error": "log in" })),
        |_, _| page(302),
    ];
    for tamper in not_a_manifest {
        fixture.server.change(|test_event| test_event.later(10));
        fixture.server.tamper(Some(tamper));
        let error = phone.refresh_manifest().await.expect_err("not a manifest");
        assert_eq!(error.code(), "unexpected_answer");
        let enrolled = ScannerClient::enroll(fixture.setup.clone(), &Fixture::uri()).await;
        assert_eq!(enrolled.expect_err("not an answer").code(), "unexpected_answer");
        fixture.server.tamper(None);
    }
    phone.refresh_manifest().await.expect("a manifest");
}

#[tokio::test]
async fn a_304_without_a_condition_is_refused() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = ScannerClient::enroll(fixture.setup.clone(), &Fixture::uri())
        .await
        .expect("a device");
    let (event, gate) = fixture.server.event_and_gate();
    phone.start_session(event, gate, false).await.expect("a session");
    fixture.server.tamper(Some(|_, _| HttpResponse {
        status: 304,
        headers: Vec::new(),
        body: Vec::new(),
    }));
    let error = phone
        .refresh_manifest()
        .await
        .expect_err("nothing was asked conditionally");
    assert_eq!(error.code(), "unexpected_answer");
}
