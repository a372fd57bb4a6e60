//! The token that `/metrics` asks for where it names organizations.

use std::fmt;
use std::path::Path;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::problem::Code;
use crate::secret::{self, SecretError};

/// The token of the scraper.
pub(crate) struct MetricsToken(Zeroizing<String>);

impl fmt::Debug for MetricsToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MetricsToken(…)")
    }
}

impl MetricsToken {
    /// Reads the token from a file, without the line end.
    pub(crate) fn from_file(path: &Path) -> Result<Self, SecretError> {
        let text = secret::read_text(path)?;
        let token = text.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SecretError::NotAToken {
                path: path.to_owned(),
            });
        }
        Ok(Self(Zeroizing::new(token.to_owned())))
    }

    /// Whether a request has the token. The comparison takes the same time wherever the tokens differ.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Code> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Err(Code::MissingToken);
        };
        let text = value.to_str().map_err(|_| Code::InvalidToken)?;
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        let is_right = bool::from(token.trim().as_bytes().ct_eq(self.0.as_bytes()));
        if scheme.eq_ignore_ascii_case("bearer") && is_right && values.next().is_none() {
            Ok(())
        } else {
            Err(Code::InvalidToken)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn only_the_token_of_the_file_is_right() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        fs::write(&path, "s3cret-of-the-scraper\n").expect("written");
        let token = MetricsToken::from_file(&path).expect("a token");
        let check = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            token.check(&headers)
        };
        assert_eq!(check(&["Bearer s3cret-of-the-scraper"]), Ok(()));
        assert_eq!(check(&["bearer s3cret-of-the-scraper"]), Ok(()));
        assert_eq!(check(&[]), Err(Code::MissingToken));
        for wrong in [
            "Bearer s3cret-of-the-scrapeR",
            "Bearer s3cret",
            "Bearer ",
            "s3cret-of-the-scraper",
            "Basic s3cret-of-the-scraper",
        ] {
            assert_eq!(check(&[wrong]), Err(Code::InvalidToken), "{wrong}");
        }
        let twice = ["Bearer s3cret-of-the-scraper", "Bearer s3cret-of-the-scraper"];
        assert_eq!(check(&twice), Err(Code::InvalidToken));
        assert!(!format!("{token:?}").contains("s3cret"));
    }

    #[test]
    fn a_file_without_a_token_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        assert!(matches!(
            MetricsToken::from_file(&path),
            Err(SecretError::File { .. })
        ));
        for text in ["", "\n", "two words", "Schlüssel"] {
            fs::write(&path, text).expect("written");
            assert!(
                matches!(MetricsToken::from_file(&path), Err(SecretError::NotAToken { .. })),
                "{text:?}"
            );
        }
    }
}
