//! Completes the names of events, gates and devices in the shell, by asking the server.
//!
//! Invariants: without a server, a credential or the permission there are no names, and no error; the server is asked only while
//! the shell completes such an argument.

use std::any::TypeId;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Command;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use voelgoed_scan_core::model::{Device, DeviceStatus, Event, EventStatus, Gate};

use crate::client::Client;
use crate::commands::value_parsers::OrNew;
use crate::env;
use crate::failure::Failure;
use crate::names::{NamedDevice, NamedEvent, NamedGate, fold};

/// How long the shell waits for the server.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What an argument names.
#[derive(Debug, Clone, Copy)]
enum Named {
    Event,
    Gate,
    Device,
}

/// The command with completion of names, as a shell needs them, for every argument that takes one.
pub(crate) fn with_names(command: Command, shell: Option<&Arc<str>>) -> Command {
    command
        .mut_args(|argument| {
            let takes = argument.get_value_parser().type_id();
            let is = |types: [TypeId; 2]| types.iter().any(|one| takes == *one);
            let named = if is([TypeId::of::<NamedEvent>(), TypeId::of::<OrNew<NamedEvent>>()]) {
                Named::Event
            } else if is([TypeId::of::<NamedGate>(), TypeId::of::<OrNew<NamedGate>>()]) {
                Named::Gate
            } else if is([TypeId::of::<NamedDevice>(); 2]) {
                Named::Device
            } else {
                return argument;
            };
            let shell = shell.cloned();
            argument.add(ArgValueCompleter::new(move |typed: &OsStr| {
                candidates(named, &typed.to_string_lossy(), shell.as_deref())
            }))
        })
        .mut_subcommands(|command| with_names(command, shell))
}

/// The names that begin with what was typed.
fn candidates(named: Named, typed: &str, shell: Option<&str>) -> Vec<CompletionCandidate> {
    let typed = fold(&unquoted(typed));
    names(named)
        .into_iter()
        .filter(|name| fold(name).starts_with(&typed))
        .map(|name| CompletionCandidate::new(quoted(&name, shell)))
        .collect()
}

/// All names; none where they cannot be read.
fn names(named: Named) -> Vec<String> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let asked = runtime.block_on(async { tokio::time::timeout(TIMEOUT, ask(named)).await });
    asked.ok().and_then(Result::ok).unwrap_or_default()
}

async fn ask(named: Named) -> Result<Vec<String>, Failure> {
    let client = Client::new(&env::server(), env::token(), None)?;
    let events: Vec<Event> = match named {
        Named::Device => Vec::new(),
        Named::Event | Named::Gate => client.all("/api/v1/events").await?,
    };
    let is_over = |event: &&Event| event.status == EventStatus::Archived;
    let mut names: Vec<String> = match named {
        Named::Event => events
            .iter()
            .filter(|event| !is_over(event))
            .map(|event| event.name.to_string())
            .collect(),
        Named::Gate => {
            let mut names = Vec::new();
            for event in events.iter().filter(|event| event.status == EventStatus::Live) {
                let gates: Vec<Gate> = client.all(&format!("/api/v1/events/{}/gates", event.id)).await?;
                names.extend(gates.iter().map(|gate| gate.name.to_string()));
            }
            names
        }
        Named::Device => {
            let devices: Vec<Device> = client.all("/api/v1/scanning/devices").await?;
            let used = devices
                .iter()
                .filter(|device| device.status == DeviceStatus::Active && !device.settings.is_rehearsal());
            used.map(|device| device.device_id.to_string()).collect()
        }
    };
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// What was typed without the quotes and backslashes of the shell.
fn unquoted(typed: &str) -> String {
    typed
        .chars()
        .filter(|one| !matches!(one, '\\' | '\'' | '"'))
        .collect()
}

/// A name as the shell needs it. Bash takes it as it is, so that blanks must be escaped; the other shells quote it themselves.
fn quoted(name: &str, shell: Option<&str>) -> String {
    if shell != Some("bash") {
        return name.to_owned();
    }
    let mut quoted = String::with_capacity(name.len());
    for one in name.chars() {
        if one.is_ascii() && !one.is_ascii_alphanumeric() && !matches!(one, '-' | '_' | '.' | '/' | ',') {
            quoted.push('\\');
        }
        quoted.push(one);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_gets_names_escaped_and_what_it_types_is_read_without_quotes() {
        assert_eq!(quoted("Summer Night (2)", Some("bash")), r"Summer\ Night\ \(2\)");
        assert_eq!(quoted("Summer Night", Some("zsh")), "Summer Night");
        assert_eq!(unquoted(r"Summer\ N"), "Summer N");
        assert_eq!(unquoted("'Summer N"), "Summer N");
    }
}
