use super::*;

const FILE: &str = include_str!("../../../../tests/vectors/decisions.json");

#[test]
fn this_build_agrees_with_every_decision() {
    let file = DecisionFile::parse(FILE).expect("a file of decisions");
    assert!(file.case_count() > 90);
    assert_eq!(file.mismatches(), []);
}

#[test]
fn a_wrong_decision_is_named() {
    let wrong = r#"{"cases": [{"name": "a case", "steps": [
        {"at": "2026-11-22T18:00:00Z", "result": "valid", "reason": "admitted"},
        {"at": "2026-11-22T18:00:01Z", "result": "valid", "reason": "readmitted"}
    ]}]}"#;
    let file = DecisionFile::parse(wrong).expect("a file of decisions");
    let [mismatch] = &file.mismatches()[..] else {
        panic!("one scan differs")
    };
    assert_eq!(
        mismatch.to_string(),
        "a case, scan 2: expected valid/readmitted, got duplicate/already_scanned"
    );
}

#[test]
fn a_file_that_cannot_be_run_is_an_error() {
    for (wrong, message) in [
        (r#"{"cases": []}"#, "has no cases"),
        (
            r#"{"cases": [{"name": "a", "steps": []}]}"#,
            "has an invalid case \"a\": it has no steps",
        ),
        (
            r#"{"cases": [{"name": "a", "event": {"status": "open"}, "steps": []}]}"#,
            "has an invalid case \"a\": its event: ",
        ),
        ("[]", "is not a file of decisions"),
    ] {
        let error = DecisionFile::parse(wrong).expect_err(wrong);
        assert!(error.to_string().starts_with(message), "{error}");
    }
}
