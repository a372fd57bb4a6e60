//! The minimum version of the scanner app.
//!
//! A scanner app sends its version with each request. A version that is too old is refused on every route of devices but
//! the upload: what a phone has decided must always arrive. A device that sends no version is not limited.

use std::str::FromStr;

use hyper::HeaderMap;

use crate::problem::{Code, Problem};

/// The request header with the version of the app.
pub(crate) const X_APP_VERSION: &str = "x-app-version";

/// The text is not a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a version such as 2.1 or 2.1.0")]
pub struct InvalidAppVersion;

/// The version of an app: numbers, compared from the first to the last. Missing ones are 0, so 2.1 equals 2.1.0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppVersion(Vec<u32>);

impl FromStr for AppVersion {
    type Err = InvalidAppVersion;

    /// Reads numbers with dots between them. What follows a hyphen, a plus sign or a space names a build and does not
    /// count.
    fn from_str(text: &str) -> Result<Self, InvalidAppVersion> {
        let numbers = text.trim().split(['-', '+', ' ']).next().unwrap_or_default();
        let numbers: Result<Vec<u32>, _> = numbers.split('.').map(str::parse).collect();
        let mut numbers = numbers.map_err(|_| InvalidAppVersion)?;
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        Ok(Self(numbers))
    }
}

/// Refuses a request of an app that is older than `minimum`. A version that cannot be compared is not refused.
pub(crate) fn check(minimum: Option<&AppVersion>, headers: &HeaderMap) -> Result<(), Problem> {
    let version = headers.get(X_APP_VERSION).and_then(|value| value.to_str().ok());
    let version: Option<AppVersion> = version.and_then(|text| text.parse().ok());
    match (minimum, version) {
        (Some(minimum), Some(version)) if version < *minimum => Err(Code::UpgradeRequired.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn version(text: &str) -> AppVersion {
        text.parse().expect("a version")
    }

    #[test]
    fn versions_are_compared_by_number() {
        for (older, newer) in [
            ("1.9", "1.10"),
            ("1", "1.0.1"),
            ("2.1.9-rc.1", "2.2"),
            ("0", "0.0.1"),
        ] {
            assert!(version(older) < version(newer), "{older} {newer}");
        }
        for (one, other) in [("2.1", "2.1.0"), ("2.1 (57)", "2.1"), ("2.1+57", "2.1-beta")] {
            assert_eq!(version(one), version(other));
        }
        for text in ["", "x", "1.", "1..2", "v2", "-1", "99999999999"] {
            assert_eq!(text.parse::<AppVersion>(), Err(InvalidAppVersion), "{text}");
        }
    }

    #[test]
    fn only_an_older_version_is_refused() {
        let minimum = version("2.1");
        let is_refused = |text: Option<&'static str>| {
            let headers = text.map(|text| {
                (
                    hyper::header::HeaderName::from_static(X_APP_VERSION),
                    HeaderValue::from_static(text),
                )
            });
            check(Some(&minimum), &headers.into_iter().collect()).is_err()
        };
        assert!(is_refused(Some("2.0.9")) && is_refused(Some("1")));
        assert!(!is_refused(Some("2.1")) && !is_refused(Some("10.0")));
        assert!(!is_refused(None) && !is_refused(Some("nightly")));
        let headers = HeaderMap::from_iter([(
            hyper::header::HeaderName::from_static(X_APP_VERSION),
            HeaderValue::from_static("1"),
        )]);
        assert!(check(None, &headers).is_ok(), "no minimum");
    }
}
