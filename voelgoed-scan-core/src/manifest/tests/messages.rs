//! The messages of an organization in its manifests.

use serde_json::json;

use super::*;
use crate::model::{Language, Reason};

/// Messages with one text.
pub(super) fn custom(language: &str, reason: &str, text: &str) -> CustomMessages {
    serde_json::from_value(json!({ language: { reason: text } })).expect("messages")
}

#[test]
fn a_manifest_has_the_messages_that_the_organization_replaced() {
    let messages = custom("fr", "gate_full", "Prenez l’autre porte");
    let manifest = in_use(signed_with_messages(&messages, &event(2), 1, None, &[ticket(1)]));
    assert_eq!(manifest.head().messages, messages);
    assert_eq!(
        in_use(signed(1, None, &[ticket(1)])).head().messages,
        CustomMessages::default()
    );
}

#[test]
fn a_delta_replaces_the_messages() {
    let first = custom("fr", "gate_full", "Prenez l’autre porte");
    let second = custom("de", "gate_full", "Bitte nebenan");
    let installed = in_use(signed_with_messages(&first, &event(2), 1, None, &[ticket(1)]));
    for messages in [&second, CustomMessages::NONE] {
        let delta = read(signed_with_messages(messages, &event(2), 2, Some(1), &[])).expect("a delta");
        let merged = delta.into_manifest(Some(&installed)).expect("the base fits");
        assert_eq!(merged.head().messages, *messages);
        assert_eq!(merged.len(), 1);
    }
}

/// The bytes of texts with their lengths.
fn texts(texts: &[&str]) -> Vec<u8> {
    let encode = |text: &&str| {
        let length = u16::try_from(text.len()).expect("short");
        [&length.to_be_bytes()[..], text.as_bytes()].concat()
    };
    texts.iter().flat_map(encode).collect()
}

fn with_texts(content: &[u8]) -> Result<VerifiedManifest, ManifestError> {
    let mut body = signed(1, None, &[ticket(1)]);
    body.truncate(body.len() - 64);
    read(signed_again(with_section(&body, 21, false, content)))
}

#[test]
fn an_unknown_language_or_reason_is_left_out() {
    let content = texts(&[
        "zu", "admitted", "x", "en", "welcome", "x", "en", "admitted", "Walk in",
    ]);
    let manifest = with_texts(&content).expect("a manifest");
    assert_eq!(manifest.head().messages, custom("en", "admitted", "Walk in"));
    assert_eq!(
        manifest
            .head()
            .messages
            .message(Language::English, Reason::Admitted),
        "Walk in"
    );
}

#[test]
fn damaged_texts_are_malformed() {
    for content in [
        texts(&["en", "admitted"]),
        texts(&["en", "admitted", ""]),
        texts(&["en", "admitted", &"x".repeat(121)]),
        [texts(&["en", "admitted"]), vec![0, 1, 0xff]].concat(),
        vec![0],
    ] {
        assert_eq!(
            with_texts(&content).err(),
            Some(ManifestError::Malformed),
            "{content:?}"
        );
    }
}
