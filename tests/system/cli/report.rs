//! `report` and `scans export --format csv`: the figures of a night, and its scans for spreadsheets and for `replay`.

use std::fs;

use serde_json::{Value, json};
use voelgoed_scan_suite::Client;

use super::fixture::{Cli, TestServer, text};

/// A night with two classes: of three VIP tickets two came, of three others one did, one was undone and one voided.
struct Night {
    server: TestServer,
    scanner: Cli,
    event: String,
    gate: String,
    codes: Vec<String>,
}

impl Night {
    fn new() -> Self {
        let server = TestServer::start();
        let (event, gate) = server.event_and_gate();
        let put = ["event", "put", &event, "--allow-unsigned", "true"];
        server.owner.json(&put);
        let file = server.path("tickets.ndjson");
        let codes: Vec<String> = (0..6).map(|number| format!("Night{number:011}")).collect();
        let class = |index: usize| if index < 3 { "VIP" } else { "=Standing" };
        let lines: String = codes
            .iter()
            .enumerate()
            .map(|(index, code)| json!({ "code": code, "ticket_class": class(index) }).to_string() + "\n")
            .collect();
        fs::write(&file, lines).expect("written");
        server
            .owner
            .run(&["ticket", "import", &file, "--event", &event])
            .expect(0);
        let scanner = server.scanner(&event, &gate);
        let night = Self {
            server,
            scanner,
            event,
            gate,
            codes,
        };
        night.scans();
        night
    }

    fn scans(&self) {
        let scan = |code: &str| self.scanner.json(&["scan", code]);
        for index in [0, 1, 3] {
            assert_eq!(scan(&self.codes[index])["result"], "valid");
        }
        let mistake = scan(&self.codes[4]);
        let undo = format!("/api/v1/scanning/scans/{}/undo", text(&mistake, "scan_id"));
        let owner = Client::new(self.server.socket()).with_token(self.server.owner.token());
        let reason = json!({ "reason": "wrong person" });
        self.server.block_on(owner.post(&undo, &reason)).expect(200);
        self.scanner.run(&["scan", &self.codes[0]]).expect(3);
        self.scanner.run(&["scan", &self.codes[0]]).expect(3);
        self.scanner.run(&["scan", "nonsense"]).expect(3);
        let force = ["scan", &self.codes[1], "--override", "=guest of the band"];
        assert_eq!(self.scanner.json(&force)["reason"], "overridden");
        let void = ["ticket", "void", &self.codes[5], "--event", &self.event];
        self.server.owner.run(&void).expect(0);
    }

    fn report(&self, format: &str) -> String {
        let arguments = ["report", &self.event, "--format", format];
        self.server.owner.run(&arguments).expect(0).stdout
    }
}

#[test]
fn a_report_in_json_has_the_figures_of_the_night() {
    let night = Night::new();
    let report: Value = serde_json::from_str(&night.report("json")).expect("JSON");
    let class = |class: &str, sold: u8, came: u8| json!({ "class": class, "sold": sold, "came": came, "no_shows": sold - came });
    assert_eq!(
        report["classes"],
        json!([class("VIP", 3, 2), class("=Standing", 2, 1)])
    );
    assert_eq!(
        report["denials"],
        json!([{ "reason": "already_scanned", "count": 2 }, { "reason": "malformed", "count": 1 }])
    );
    let occupancy = night.server.owner.json(&["stats", &night.event]);
    assert_eq!(report["occupancy"], occupancy["event"]);
    assert_eq!(report["arrivals"]["gates"][0]["gate_id"], *night.gate);
    assert_eq!(report["arrivals"]["entries"], 4);
    assert_eq!(report["overrides"][0]["reason"], "=guest of the band");
    assert_eq!(report["overrides"][0]["by"]["name"], "door-1");
    assert_eq!(report["undos"][0]["reason"], "wrong person");
    assert_eq!(report["undos"][0]["by"]["kind"], "api_key");
    assert_eq!(report["undos"][0]["ticket_code"], *night.codes[4]);
    assert_eq!(report["devices"][0]["scans"], 8);
    // The whole output is one line, also by the global option.
    assert_eq!(
        night.server.owner.json(&["report", &night.event])["classes"],
        report["classes"]
    );
}

#[test]
fn a_report_for_people_has_every_section_and_no_whole_code() {
    let night = Night::new();
    let table = night.report("table");
    for title in [
        "Tickets",
        "Arrivals by quarter of an hour",
        "Gates and their peaks",
        "Denials by reason",
        "Overrides",
        "Undos",
        "Conflicts",
        "Devices",
        "not counted as sold: 1 voided, 0 refunded",
    ] {
        assert!(table.contains(title), "{title}: {table}");
    }
    let vip: Vec<&str> = table
        .lines()
        .find(|line| line.starts_with("VIP"))
        .expect("a class")
        .split_whitespace()
        .collect();
    assert_eq!(vip, ["VIP", "3", "2", "1", "67", "%"]);
    for output in [table, night.report("csv")] {
        for code in &night.codes {
            assert!(!output.contains(code.as_str()), "{output}");
        }
        assert!(output.contains("•0001"), "{output}");
    }
}

#[test]
fn a_report_in_csv_has_rows_of_one_length_that_no_spreadsheet_calculates() {
    let night = Night::new();
    let csv = night.report("csv");
    let mut reader = csv_rows(&csv);
    let width = reader[0].len();
    assert!(reader.iter().all(|row| row.len() == width), "{csv}");
    reader.retain(|row| row[0] == "classes");
    let cells: Vec<Vec<&str>> = reader
        .iter()
        .map(|row| row[1..5].iter().map(String::as_str).collect())
        .collect();
    assert_eq!(
        cells,
        [
            ["class", "sold", "came", "no-shows"],
            ["VIP", "3", "2", "1"],
            ["'=Standing", "2", "1", "1"],
            ["All", "5", "3", "2"],
        ]
    );
    assert!(csv.contains("'=guest of the band"), "{csv}");
}

/// The rows of a CSV without quoted commas or line breaks.
fn csv_rows(csv: &str) -> Vec<Vec<String>> {
    csv.lines()
        .map(|line| {
            line.trim_end_matches('\r')
                .split(',')
                .map(str::to_owned)
                .collect()
        })
        .collect()
}

#[test]
fn a_report_in_pdf_is_a_document_with_the_same_figures() {
    let night = Night::new();
    let arguments = ["report", &night.event, "--format", "pdf"];
    let output = night.server.owner.command(&arguments).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.starts_with(b"%PDF-1."), "{output:?}");
    let pdf = String::from_utf8_lossy(&output.stdout);
    assert!(pdf.trim_end().ends_with("%%EOF"), "{pdf}");
    for shown in [
        "(Summer: report)",
        "(VIP)",
        "(67 %)",
        "(already_scanned)",
        "(wrong person)",
        "(Devices)",
    ] {
        assert!(pdf.contains(shown), "{shown}: {pdf}");
    }
}

#[test]
fn a_report_needs_a_member_and_an_event() {
    let night = Night::new();
    let report = ["report", night.event.as_str()];
    night.scanner.run(&report).expect(4);
    night.server.owner.without_token().run(&report).expect(4);
    let unknown = "0192f0c1-7a4e-7000-8000-00000000ffff";
    night.server.owner.run(&["report", unknown]).expect(1);
    night
        .server
        .owner
        .run(&["report", &night.event, "--format", "docx"])
        .expect(2);
    Cli::without_server().with_token("vgk_x").run(&report).expect(5);
    let viewer = night
        .server
        .owner
        .json(&["apikey", "create", "--name", "Screen", "--role", "viewer"]);
    let viewer = night.server.owner.with_token(text(&viewer, "key"));
    let shown = viewer.json(&report);
    assert_eq!(shown["tickets"]["sold"], 5);
    assert!(shown["undos"][0]["ticket_code"].is_null(), "{shown}");
}

#[test]
fn a_night_that_was_exported_as_csv_is_replayed_as_it_was() {
    let night = Night::new();
    let export = ["scans", "export", "--event", &night.event];
    let csv = night
        .server
        .owner
        .run(&[&export[..], &["--format", "csv"]].concat())
        .expect(0)
        .stdout;
    let exported = night.server.owner.run(&export).expect(0).values();
    assert_eq!(csv.lines().count(), exported.len() + 1, "{csv}");
    assert!(csv.starts_with("scan_id,scanned_at,event_id,"), "{csv}");
    let again = night.server.start_with_same_keys();
    let file = again.path("night.csv");
    fs::write(&file, csv).expect("written");
    let put = ["event", "put", &night.event, "--name", "Copy", "--status", "live"];
    again.owner.json(&put);
    again.owner.json(&[
        "gate",
        "put",
        &night.gate,
        "--event",
        &night.event,
        "--name",
        "Main",
        "--status",
        "open",
    ]);
    let tickets = again.path("tickets.ndjson");
    let lines: String = night
        .codes
        .iter()
        .map(|code| json!({ "code": code }).to_string() + "\n")
        .collect();
    fs::write(&tickets, lines).expect("written");
    again
        .owner
        .run(&["ticket", "import", &tickets, "--event", &night.event])
        .expect(0);
    let device = again
        .owner
        .json(&["device", "register", "copy", "--can-override"]);
    let device = again.owner.with_token(text(&device, "token"));
    let report = device.json(&["replay", &file]);
    // The undone scan and the one without a ticket are skipped.
    assert_eq!(
        report["skipped"],
        json!({ "no_qr_or_ticket_code": 1, "undone": 1 }),
        "{report}"
    );
    let change =
        |recorded: &str, now: &str, count: u8| json!({ "recorded": recorded, "now": now, "count": count });
    assert_eq!(
        report["changes"],
        json!([change("valid", "valid", 4), change("duplicate", "duplicate", 2)])
    );
    assert_eq!(report["lost_admissions"], 0);
    assert_eq!(again.owner.json(&["stats", &night.event])["event"]["inside"], 4);
}
