//! Signatures by the specification Standard Webhooks 1.0.0 (standardwebhooks.com), symmetric scheme `v1`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// How long the former secret of a webhook signs as well after a rotation.
pub const FORMER_SECRET_SIGNS_FOR: Duration = Duration::from_hours(24);

/// The value of the header `webhook-signature`: one signature a secret, in their order, separated by spaces.
///
/// A signature is `v1,` and the Base64 of HMAC-SHA256 over the id, the time in seconds and the body, joined by dots.
#[must_use]
pub fn signature_header<'a>(
    secrets: impl IntoIterator<Item = &'a [u8]>,
    id: &str,
    at_seconds: i64,
    body: &[u8],
) -> String {
    let mut header = String::new();
    for secret in secrets {
        if !header.is_empty() {
            header.push(' ');
        }
        header.push_str("v1,");
        STANDARD.encode_string(mac(secret, id, at_seconds, body), &mut header);
    }
    header
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(secret: &[u8], id: &str, at_seconds: i64, body: &[u8]) -> impl AsRef<[u8]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(at_seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    /// The vector that the libraries of the specification test with.
    const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn the_published_vector_gives_its_signature() {
        let secret = STANDARD.decode(SECRET).expect("Base64");
        assert_eq!(signature_header([&*secret], ID, AT, BODY), SIGNATURE);
    }

    #[test]
    fn each_secret_signs_in_the_order_given() {
        let secret = STANDARD.decode(SECRET).expect("Base64");
        let new = [7; 24];
        let header = signature_header([&new[..], &secret], ID, AT, BODY);
        let (first, second) = header.split_once(' ').expect("two signatures");
        assert_eq!(first, signature_header([&new[..]], ID, AT, BODY));
        assert_eq!(second, SIGNATURE);
    }

    #[test]
    fn the_signature_covers_id_time_and_body() {
        let secret = STANDARD.decode(SECRET).expect("Base64");
        for other in [
            signature_header([&*secret], "msg_other", AT, BODY),
            signature_header([&*secret], ID, AT + 1, BODY),
            signature_header([&*secret], ID, AT, b"{}"),
        ] {
            assert_ne!(other, SIGNATURE);
        }
    }
}
