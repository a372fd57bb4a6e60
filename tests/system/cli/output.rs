//! Standard output and standard error: tables, JSON and hints.

use std::io::Read as _;
use std::process::Stdio;

use super::fixture::{Cli, TestServer, id};

#[test]
fn tables_have_colours_only_on_request() {
    let server = TestServer::start();
    server.event_and_gate();
    let plain = server.owner.run(&["event", "list"]).expect(0);
    assert!(plain.stdout.starts_with("NAME"), "{plain:?}");
    assert!(!plain.stdout.contains('\u{1b}'), "{plain:?}");
    let coloured = server
        .owner
        .run(&["event", "list", "--color", "always"])
        .expect(0);
    assert!(coloured.stdout.contains('\u{1b}'), "{coloured:?}");
}

#[test]
fn hints_go_to_standard_error_and_quiet_suppresses_them() {
    let server = TestServer::start();
    let key = [
        "apikey", "create", "--name", "A", "--role", "staff", "--output", "json",
    ];
    let output = server.owner.run(&key).expect(0);
    assert!(output.stderr.contains("once"), "{output:?}");
    output.value();
    let quiet = server.owner.run(&[&key[..], &["--quiet"]].concat()).expect(0);
    assert!(quiet.stderr.is_empty(), "{quiet:?}");
    id(&quiet.value());
}

#[test]
fn a_closed_standard_output_is_no_error() {
    let mut child = Cli::without_server()
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut first = [0; 1];
    child
        .stdout
        .take()
        .expect("its output")
        .read_exact(&mut first)
        .expect("a byte");
    let output = child.wait_with_output().expect("the process ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
