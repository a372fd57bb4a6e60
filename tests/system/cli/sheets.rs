//! `ticket issue --sheet`: every QR code of a printed sheet is read by a decoder and admitted.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::fixture::{TestServer, text};

/// Runs a program of poppler and returns its output.
fn poppler(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!("{program} is missing ({error}): scripts/services installs poppler-utils")
        });
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// The pages of a PDF as pictures in shades of grey: width, height and pixels.
fn pages(file: &str) -> Vec<(usize, usize, Vec<u8>)> {
    let directory = tempfile::tempdir().expect("a directory");
    let prefix = directory.path().join("page").display().to_string();
    poppler("pdftoppm", &["-gray", "-r", "150", file, &prefix]);
    let mut files: Vec<_> = std::fs::read_dir(directory.path())
        .expect("the pictures")
        .map(|entry| entry.expect("a picture").path())
        .collect();
    files.sort();
    files.iter().map(|file| read_pgm(file)).collect()
}

/// Reads a picture in the format PGM.
fn read_pgm(file: &Path) -> (usize, usize, Vec<u8>) {
    let bytes = std::fs::read(file).expect("a picture");
    let mut rest = &bytes[..];
    let mut words = Vec::new();
    while words.len() < 4 {
        let end = rest.iter().position(u8::is_ascii_whitespace).expect("a header");
        words.push(String::from_utf8(rest[..end].to_vec()).expect("a word"));
        rest = &rest[end + 1..];
    }
    assert_eq!((words[0].as_str(), words[3].as_str()), ("P5", "255"));
    let number = |at: usize| words[at].parse().expect("a number");
    (number(1), number(2), rest.to_vec())
}

/// The texts of the QR codes of a page, each read from its own ticket as a camera reads it after the page was cut.
fn decoded((width, height, pixels): &(usize, usize, Vec<u8>), columns: usize, rows: usize) -> Vec<String> {
    let (across, down) = (width / columns, height / rows);
    let tickets = (0..columns * rows).map(|at| (at % columns * across, at / columns * down));
    let read = |(left, top): (usize, usize)| {
        let pixel = |x, y| pixels[(top + y) * width + left + x];
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(across, down, pixel);
        let codes = picture.detect_grids();
        assert!(codes.len() <= 1, "a ticket has one QR code");
        codes.first().map(|code| code.decode().expect("a QR code").1)
    };
    tickets.filter_map(read).collect()
}

#[test]
fn every_qr_code_of_a_sheet_is_read_and_admitted() {
    for (per_page, (columns, rows), format, page_counts) in [
        ("1", (1, 1), "vg1", &[1, 1, 1][..]),
        ("4", (2, 2), "vg2", &[3]),
        ("8", (2, 4), "vg1", &[3]),
        ("8", (2, 4), "vg2", &[8, 1]),
    ] {
        let server = TestServer::start();
        let (event, gate) = server.event_and_gate();
        server.owner.json(&[
            "event",
            "put",
            &event,
            "--name",
            "Sömmer Night of the Very Long Name — Ночь, Νύχτα",
        ]);
        let scanner = server.scanner(&event, &gate);
        let file = server.path("sheet.pdf");
        std::fs::write(&file, "what was there before").expect("written");
        let count: usize = page_counts.iter().sum();
        let issue = [
            "ticket",
            "issue",
            "--event",
            &event,
            "--count",
            &count.to_string(),
            "--class",
            "Golden Circle",
            "--seat-block",
            "A",
            "--seat-row",
            "10",
            "--first-seat",
            "41",
            "--sheet",
            &file,
            "--per-page",
            per_page,
            "--format",
            format,
        ];
        let issued = server.owner.list(&issue);
        assert!(issued.iter().all(|ticket| text(ticket, "sheet") == file));
        is_private(&file);
        let codes: BTreeSet<_> = issued
            .iter()
            .map(|ticket| text(ticket, "code").to_owned())
            .collect();
        let pages = pages(&file);
        let read: Vec<_> = pages.iter().map(|page| decoded(page, columns, rows)).collect();
        assert_eq!(
            read.iter().map(Vec::len).collect::<Vec<_>>(),
            page_counts,
            "{per_page} {format}"
        );
        let mut admitted = BTreeSet::new();
        for payload in read.iter().flatten() {
            let answer = scanner
                .run(&["scan", payload, "--output", "json"])
                .expect(0)
                .value();
            admitted.insert(text(&answer["ticket"], "code").to_owned());
        }
        assert_eq!(admitted, codes, "every ticket once");
        let printed = String::from_utf8(poppler("pdftotext", &["-layout", &file, "-"])).expect("text");
        for code in &codes {
            let groups: Vec<_> = code.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
            assert!(printed.contains(&groups.join("-")), "{code}: {printed}");
        }
        for part in [
            "Sömmer Night of the Very Long Name",
            "Ночь, Νύχτα",
            "Golden Circle",
            "Block A · Row 10 · Seat 41",
        ] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        let last = format!("Seat {}", 40 + count);
        assert!(printed.contains(&last), "{last}: {printed}");
    }
}

#[test]
fn a_sheet_that_cannot_be_printed_issues_no_ticket() {
    let server = TestServer::start();
    let (event, _) = server.event_and_gate();
    let issue = |class: &str, more: &[&str]| {
        let arguments = [
            "ticket", "issue", "--event", &event, "--count", "1", "--class", class,
        ];
        server.owner.run(&[&arguments, more].concat())
    };
    let sheet = server.path("sheet.pdf");
    let output = issue("王", &["--sheet", &sheet]).expect(2);
    assert!(output.stderr.contains("--font"), "{output:?}");
    issue("VIP", &["--sheet", &server.path("absent/sheet.pdf")]).expect(1);
    issue("VIP", &["--sheet", &sheet, "--font", &server.path("gate.db")]).expect(1);
    issue("VIP", &["--sheet", &sheet, "--per-page", "5"]).expect(2);
    issue("VIP", &["--per-page", "4"]).expect(2);
    assert!(
        server
            .owner
            .list(&["ticket", "list", "--event", &event])
            .is_empty()
    );
}

/// Whether only the owner of a file can read it.
fn is_private(file: &str) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
