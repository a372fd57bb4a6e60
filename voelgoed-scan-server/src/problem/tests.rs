use std::collections::HashSet;

use super::*;

#[test]
fn the_codes_are_distinct_and_contain_those_of_the_contract() {
    let words: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words.len(), Code::ALL.len());
    for word in [
        "malformed_json",
        "bad_request",
        "missing_token",
        "invalid_token",
        "device_inactive",
        "forbidden",
        "not_found",
        "method_not_allowed",
        "session_already_active",
        "no_active_session",
        "scan_id_reused",
        "scan_undone",
        "conflict",
        "body_too_large",
        "unsupported_media_type",
        "validation_failed",
        "rate_limited",
        "internal_error",
        "storage_unavailable",
        "overloaded",
    ] {
        assert!(words.contains(word), "{word}");
    }
}

#[test]
fn only_a_failure_that_may_pass_is_a_503() {
    for (error, code) in [
        (StoreError::unavailable("disk full"), Code::StorageUnavailable),
        (StoreError::contended("deadlock"), Code::StorageUnavailable),
        (StoreError::failed("no such column"), Code::Internal),
    ] {
        let response = Problem::storage(&error);
        assert_eq!(response.code(), code, "{error}");
        let response = response.into_response("r");
        let may_repeat = response.headers().contains_key(header::RETRY_AFTER);
        assert_eq!(may_repeat, error.is_temporary(), "{error}");
    }
}

#[test]
fn retry_after_is_rounded_up_to_whole_seconds() {
    for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (19_999, 20)] {
        assert_eq!(
            whole_seconds(Duration::from_millis(millis)),
            seconds,
            "{millis} ms"
        );
    }
}

#[test]
fn a_503_has_retry_after_and_a_401_has_www_authenticate() {
    let unavailable = Problem::from(Code::StorageUnavailable).into_response("r");
    assert_eq!(unavailable.headers()[header::RETRY_AFTER], "1");
    let missing = Problem::from(Code::MissingToken).into_response("r");
    assert_eq!(missing.headers()[header::WWW_AUTHENTICATE], "Bearer");
    assert_eq!(
        missing.headers()[header::CONTENT_TYPE],
        "application/problem+json"
    );
}
