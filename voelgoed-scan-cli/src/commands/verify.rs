//! `verify`: checks a VG2 payload with a public key, or this build against a file of test vectors. Needs no server.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use serde::Serialize;
use voelgoed_scan_core::model::{
    Claims, EventId, Format, KeyFormat, KeyId, KeyStatus, OrganizationId, Reason, ScanResult, SigningKey,
    TicketCode, Timestamp, hex,
};
use voelgoed_scan_core::rules::vectors::DecisionFile;
use voelgoed_scan_core::token::vectors::{Mismatch, VectorFile};
use voelgoed_scan_core::token::{Keyring, Payload, verify};

use crate::env;
use crate::env::BYTE_ORDER_MARK;
use crate::failure::{Exit, Failure};
use crate::output::{Item, Report, TextStyle, field_list, json, styled};

/// The arguments of `verify`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["payload", "vectors"])))]
#[command(after_help = "\
Exits 0 if the payload is genuine or all vectors agree, else 1.

Examples:
  voelgoed-scan verify VG2.1.AAECAw....c2lnbmF0dXJl --public-key 9407f867bcd6e745...
  voelgoed-scan verify --vectors tests/vectors/native_token.json
  voelgoed-scan verify --vectors tests/vectors/decisions.json

The public keys of an organization are in `voelgoed-scan key list`.")]
pub(crate) struct Verify {
    /// A VG2 payload: the text of the ticket's QR code
    #[arg(requires = "public_key")]
    payload: Option<String>,
    /// The Ed25519 public key to check it with, 64 hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = hex::decode::<32>, requires = "payload")]
    public_key: Option<[u8; 32]>,
    /// Check it as of this time (RFC 3339) instead of now
    #[arg(long, value_name = "TIME", requires = "payload")]
    at: Option<Timestamp>,
    /// Check this build against every case of a vector file: tokens, with the keys in the file, or decisions
    #[arg(long, value_name = "FILE")]
    vectors: Option<PathBuf>,
}

/// The result for a genuine payload.
#[derive(Serialize)]
struct Genuine {
    result: ScanResult,
    kid: Option<KeyId>,
    ticket_code: Option<TicketCode>,
    event_id: Option<EventId>,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
    ticket_class: Option<u16>,
    entry_limit: Option<u8>,
}

/// The result for a payload that is not genuine or not valid at the time.
#[derive(Serialize)]
struct NotGenuine {
    result: ScanResult,
    reason: Reason,
    message: &'static str,
}

/// The result for a vector file without mismatches.
#[derive(Serialize)]
struct VectorSummary {
    file: PathBuf,
    cases: usize,
    mismatches: usize,
}

/// A case of a vector file that this build decides differently.
#[derive(Serialize)]
struct VectorMismatch<'a> {
    case: &'a str,
    expected: &'a str,
    got: &'a str,
}

impl Verify {
    pub(super) fn run(self) -> Result<Report, Failure> {
        match (self.vectors, self.payload, self.public_key) {
            (Some(path), _, _) => verify_vectors(path),
            (None, Some(payload), Some(key)) => {
                verify_payload(&payload, key, self.at.unwrap_or_else(env::now))
            }
            _ => Err(Failure::Usage {
                reason: "there is nothing to verify".to_owned(),
                hint: "give a payload and its --public-key, or --vectors FILE",
            }),
        }
    }
}

fn verify_payload(text: &str, public_key: [u8; 32], now: Timestamp) -> Result<Report, Failure> {
    match check(text, public_key, now)? {
        Ok((kid, claims)) => {
            let genuine = Genuine {
                result: ScanResult::Valid,
                kid,
                ticket_code: claims.ticket_code,
                event_id: claims.event_id,
                not_before: claims.window.not_before,
                not_after: claims.window.not_after,
                ticket_class: claims.ticket_class,
                entry_limit: claims.entry_limit,
            };
            Report::one(
                &genuine,
                format!(
                    "{}\n{}",
                    styled(TextStyle::Admitted, " GENUINE "),
                    field_list(&json(&genuine)?)?
                ),
            )
        }
        Err(reason) => {
            let not_genuine = NotGenuine {
                result: reason.result(),
                reason,
                message: reason.message(),
            };
            let text = format!(
                "{}  {} ({reason})",
                styled(TextStyle::Denied, " NOT GENUINE "),
                not_genuine.message
            );
            Ok(Report::one(&not_genuine, text)?.with_exit(Exit::Failed))
        }
    }
}

/// Checks 1 to 3 of `docs/results.md` with this public key, whatever key id the payload names.
///
/// The outer error is a payload that no public key can check.
fn check(
    text: &str,
    public_key: [u8; 32],
    now: Timestamp,
) -> Result<Result<(Option<KeyId>, Claims), Reason>, Failure> {
    let payload = match Payload::parse(text) {
        Ok(payload) => payload,
        Err(malformed) => return Ok(Err(malformed.into())),
    };
    let format = payload.format();
    if format != Format::Vg2 {
        return Err(Failure::Invalid {
            what: "the payload".to_owned(),
            reason: format!("is of the format {format}, which no public key checks"),
            hint: Some(
                "only VG2 payloads can be verified with no server; scan others with `voelgoed-scan scan`",
            ),
        });
    }
    let row = SigningKey {
        format: KeyFormat::Vg2,
        kid: payload.kid().unwrap_or(KeyId::FIRST),
        status: KeyStatus::Active,
        public_key: Some(public_key),
        inserted_at: now,
    };
    // A public key belongs to no known organization: any id does.
    let organization = OrganizationId::generate(now);
    let keyring =
        Keyring::public(organization, &[row]).map_err(|error| Failure::invalid("--public-key", error))?;
    Ok(verify(&payload, &keyring, None, false)
        .and_then(|claims| claims.window.check(now).map(|()| (payload.kid(), claims))))
}

fn verify_vectors(path: PathBuf) -> Result<Report, Failure> {
    let (cases, mismatches) = check_vectors(&path)?;
    if mismatches.is_empty() {
        let text = format!(
            "{} all {cases} cases of {} agree",
            styled(TextStyle::Success, "✔"),
            path.display()
        );
        return Report::one(
            &VectorSummary {
                file: path,
                cases,
                mismatches: 0,
            },
            text,
        );
    }
    let items: Vec<_> = mismatches
        .iter()
        .map(|mismatch| {
            let value = VectorMismatch {
                case: &mismatch.name,
                expected: &mismatch.expected,
                got: &mismatch.got,
            };
            let text = format!("{} {mismatch}", styled(TextStyle::Error, "✘"));
            Item::new(&value, text).map(|item| item.with_exit(Exit::Failed))
        })
        .collect();
    Ok(Report::Stream(Box::pin(futures_util::stream::iter(items))))
}

/// Runs every case of a file of tokens or of decisions. Returns their number and what differs.
fn check_vectors(path: &Path) -> Result<(usize, Vec<Mismatch>), Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, error))?;
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    if DecisionFile::is_likely(text) {
        let file = DecisionFile::parse(text).map_err(|error| invalid_file(path, &error))?;
        return Ok((file.case_count(), file.mismatches()));
    }
    let file = VectorFile::parse(text).map_err(|error| invalid_file(path, &error))?;
    Ok((file.case_count(), file.mismatches()))
}

fn invalid_file(path: &Path, error: &dyn std::error::Error) -> Failure {
    let mut reason = error.to_string();
    if let Some(source) = error.source() {
        reason.push_str(": ");
        reason.push_str(&source.to_string());
    }
    Failure::invalid(path.display().to_string(), reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATIVE: &str = include_str!("../../../tests/vectors/native_token.json");

    /// A genuine VG2 payload of the vector file, with its public key and a time at which it is valid.
    fn genuine() -> (String, [u8; 32], Timestamp) {
        let file: serde_json::Value = serde_json::from_str(NATIVE).expect("JSON");
        let key = file["keys"][0]["VG2_public_hex"].as_str().expect("a key");
        let case = file["cases"]
            .as_array()
            .expect("cases")
            .iter()
            .find(|case| {
                case["outcome"] == "valid"
                    && case["token"]
                        .as_str()
                        .is_some_and(|token| token.starts_with("VG2.1."))
            })
            .expect("a genuine VG2 payload of key 1");
        let now = Timestamp::from_seconds(case["now"].as_i64().expect("seconds"));
        (
            case["token"].as_str().expect("a token").to_owned(),
            hex::decode(key).expect("hex"),
            now,
        )
    }

    #[test]
    fn a_payload_is_genuine_only_with_its_own_key() {
        let (token, key, now) = genuine();
        assert!(check(&token, key, now).expect("checked").is_ok());
        let mut other = [0x58; 32];
        other[31] = 0x66;
        assert!(!matches!(check(&token, other, now), Ok(Ok(_))));
        let damaged = token.replacen("VG2.1.", "VG2.2.", 1);
        assert_eq!(
            check(&damaged, key, now).expect("checked").err(),
            Some(Reason::BadSignature)
        );
    }

    #[test]
    fn a_payload_that_no_public_key_can_check_is_an_error() {
        let (_, key, now) = genuine();
        assert!(check("VG1.1.fO7PQD0HtpbJu1DB.VGtaswiiCdSvrK4-qZ36BQ", key, now).is_err());
        assert_eq!(
            check("nonsense", key, now).expect("checked").err(),
            Some(Reason::Malformed)
        );
    }
}
