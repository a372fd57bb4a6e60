//! Classifies the errors of the driver.
//!
//! Sources: PostgreSQL, *Appendix A. PostgreSQL Error Codes*; SQLite, *Result and Error Codes*.

use crate::store::StoreError;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let reason = error.to_string();
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable {
                reason,
                timed_out: false,
                source: Some(error.into()),
            },
            sqlx::Error::Database(database)
                if is_contention(database.code().as_deref(), database.message()) =>
            {
                Self::Contended {
                    reason,
                    source: Some(error.into()),
                }
            }
            sqlx::Error::Database(database) if is_temporary(database.code().as_deref()) => {
                Self::Unavailable {
                    reason,
                    timed_out: is_timeout(database.code().as_deref()),
                    source: Some(error.into()),
                }
            }
            sqlx::Error::Protocol(message) if is_broken_handshake(message) => Self::Unavailable {
                reason,
                timed_out: false,
                source: Some(error.into()),
            },
            _ => Self::Failed {
                reason,
                source: Some(error.into()),
            },
        }
    }
}

/// Whether a connection broke off before PostgreSQL answered whether it takes TLS, as while the server ends. The driver reads
/// no byte then and takes it for a wrong one (`sqlx_postgres::connection::tls`).
fn is_broken_handshake(message: &str) -> bool {
    message.starts_with("unexpected response from SSLRequest")
}

/// Whether a code means that concurrent writers collided: PostgreSQL's class 40 (transaction rollback: serialization
/// failure, deadlock), and unique violations on both databases. Citus reports a unique violation on a worker as an internal
/// error, with the message of the worker.
fn is_contention(code: Option<&str>, message: &str) -> bool {
    code.is_some_and(|code| {
        code.starts_with("40") && code.len() == 5
            || ["23505", "1555", "2067"].contains(&code)
            || code == "XX000" && message.starts_with("duplicate key value violates unique constraint")
    })
}

/// Whether a code means a failure that passes without a change of the statement: PostgreSQL's classes 08 (connection),
/// 28 (authorization), 53 (resources), 55 (locks), 57 (operator intervention), 58 (system), a database that is missing
/// or read-only, a transaction that took too long; and SQLite's busy, locked, read-only, full, unopenable and
/// input/output errors.
fn is_temporary(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    if code.len() == 5 {
        return ["08", "28", "53", "55", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class))
            || ["25006", "25P03", "25P04", "3D000"].contains(&code);
    }
    // SQLite's extended codes carry the primary code in their low byte.
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14))
}

/// Whether a code means that a statement waited too long: PostgreSQL's `lock_not_available`, and `query_canceled`, which
/// `statement_timeout` leads to. SQLite locks the whole file, so its codes say nothing of single rows.
fn is_timeout(code: Option<&str>) -> bool {
    matches!(code, Some("55P03" | "57014"))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn a_store_error_keeps_the_error_of_the_driver_as_its_source() {
        let error = StoreError::from(sqlx::Error::PoolTimedOut);
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        assert!(error.source().is_some());
    }

    #[test]
    fn a_connection_that_breaks_off_while_it_opens_is_a_temporary_failure() {
        let broken = "unexpected response from SSLRequest: 0x00 (sqlx_postgres::connection::tls:95)";
        for (message, is_temporary) in [(broken, true), ("too many arguments for query", false)] {
            let error = StoreError::from(sqlx::Error::Protocol(message.to_owned()));
            assert_eq!(error.is_temporary(), is_temporary, "{error}");
        }
    }

    #[test]
    fn a_unique_violation_on_a_worker_of_citus_is_a_collision() {
        let violation = "duplicate key value violates unique constraint \"tickets_code_102134\"";
        assert!(is_contention(Some("XX000"), violation));
        assert!(!is_contention(
            Some("XX000"),
            "cache lookup failed for type 102134"
        ));
    }

    #[test]
    fn only_a_statement_that_waited_too_long_timed_out() {
        for code in ["55P03", "57014"] {
            assert!(is_timeout(Some(code)), "{code}");
        }
        for code in ["08006", "53300", "57P01", "25P04", "5", "6"] {
            assert!(!is_timeout(Some(code)), "{code}");
        }
    }

    #[test]
    fn codes_are_classified_by_what_the_caller_can_do() {
        for code in ["40001", "40P01", "23505", "1555", "2067"] {
            assert!(is_contention(Some(code), ""), "{code}");
        }
        for code in [
            "08006", "28P01", "53100", "53300", "55P03", "57014", "57P01", "58030", "25006", "25P04",
            "3D000", "5", "261", "6", "8", "776", "10", "13", "14",
        ] {
            assert!(is_temporary(Some(code)), "{code}");
            assert!(!is_contention(Some(code), ""), "{code}");
        }
        for code in [
            None,
            Some("42601"),
            Some("42501"),
            Some("42P01"),
            Some("23502"),
            Some("22P05"),
            Some("25P02"),
            Some("1"),
            Some("11"),
            Some("1811"),
        ] {
            assert!(!is_contention(code, "") && !is_temporary(code), "{code:?}");
        }
    }
}
