//! `watch` on a terminal: the dashboard, which `script` of util-linux gives a pseudo terminal.

#![cfg(target_os = "linux")]

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use super::fixture::{TestServer, binary};

#[test]
fn the_dashboard_shows_scans_on_a_terminal_and_q_ends_it() {
    let server = TestServer::start();
    let (event, gate) = server.event_and_gate();
    let scanner = server.scanner(&event, &gate);
    let qr = server.qr(&event, &server.issue(&event, 1)[0]);
    let command = format!("stty rows 30 cols 110; exec {} watch {event}", binary().display());
    let mut terminal = server
        .owner
        // A dashboard that does not show what the test waits for is ended.
        .program(
            "timeout",
            &["--foreground", "120", "script", "-qfec", &command, "/dev/null"],
        )
        .stdin(Stdio::piped())
        .spawn()
        .expect("script of util-linux runs");
    let mut output = terminal.stdout.take().expect("its output");
    let mut shown = String::new();
    let mut read_until = |text: &str| {
        let mut bytes = [0; 4096];
        while !shown.contains(text) {
            let count = output.read(&mut bytes).expect("output");
            assert!(
                count > 0,
                "{text} is not shown: {}",
                shown.escape_debug().take(4000).collect::<String>()
            );
            shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    // Blanks are not written: the cursor jumps over them.
    read_until("Gates");
    read_until("Main");
    read_until("quit");
    scanner.run(&["scan", &qr]).expect(0);
    read_until("admitted");
    let mut keys = terminal.stdin.take().expect("its input");
    keys.write_all(b"q").expect("a key");
    keys.flush().expect("a key");
    // The terminal shows again what it showed before.
    read_until("\u{1b}[?1049l");
    let status = terminal.wait().expect("it ends");
    assert!(status.success(), "{status}");
}
