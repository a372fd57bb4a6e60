//! The secrets of webhooks at rest: encrypted with XChaCha20-Poly1305 under a key that derives from the master secret.
//!
//! Invariant: a sealed secret opens only for the organization and the webhook that it was sealed for.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use super::MasterSecret;
use crate::model::{OrganizationId, WebhookId, WebhookSecret};

/// The nonce is random, so that one key seals any number of secrets.
const NONCE_LENGTH: usize = 24;

/// The error of bytes that are not the sealed secret of this webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret of the webhook does not open with this master secret")]
pub struct UnreadableSecret;

/// The encrypted secret of a webhook: a nonce, then the secret and its tag.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(Vec<u8>);

impl SealedSecret {
    /// Encrypts the secret of a webhook.
    ///
    /// # Panics
    /// Never: only a text of more than 256 GB cannot be encrypted.
    #[expect(
        clippy::expect_used,
        reason = "only a text of more than 256 GB cannot be encrypted"
    )]
    #[must_use]
    pub fn seal(
        master: &MasterSecret,
        organization: OrganizationId,
        webhook: WebhookId,
        secret: &WebhookSecret,
    ) -> Self {
        let mut nonce = [0; NONCE_LENGTH];
        crate::model::random::fill(&mut nonce);
        let sealed = cipher(master, organization)
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: secret.as_bytes(),
                    aad: &associated_data(organization, webhook),
                },
            )
            .expect("a short text is encrypted");
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Self(bytes)
    }

    /// Decrypts the secret.
    pub fn open(
        &self,
        master: &MasterSecret,
        organization: OrganizationId,
        webhook: WebhookId,
    ) -> Result<WebhookSecret, UnreadableSecret> {
        let (nonce, sealed) = self
            .0
            .split_first_chunk::<NONCE_LENGTH>()
            .ok_or(UnreadableSecret)?;
        let bytes = cipher(master, organization)
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg: sealed,
                    aad: &associated_data(organization, webhook),
                },
            )
            .map_err(|_| UnreadableSecret)?;
        WebhookSecret::from_bytes(bytes).map_err(|_| UnreadableSecret)
    }

    /// The bytes that a database stores.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SealedSecret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedSecret").finish_non_exhaustive()
    }
}

fn cipher(master: &MasterSecret, organization: OrganizationId) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*master.webhook_key(organization)))
}

fn associated_data(organization: OrganizationId, webhook: WebhookId) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (first, second) = bytes.split_at_mut(16);
    first.copy_from_slice(organization.as_uuid().as_bytes());
    second.copy_from_slice(webhook.as_uuid().as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T: From<uuid::Uuid>>(number: u128) -> T {
        uuid::Uuid::from_u128(number).into()
    }

    #[test]
    fn a_sealed_secret_opens_for_its_own_webhook_and_master_secret_alone() {
        let master = MasterSecret::from_bytes(&[7; 32]).expect("a master secret");
        let other = MasterSecret::from_bytes(&[8; 32]).expect("a master secret");
        let (organization, webhook) = (id(1), id(2));
        for length in [24, 32, 64] {
            let secret = WebhookSecret::from_bytes(vec![5; length]).expect("a secret");
            let sealed = SealedSecret::seal(&master, organization, webhook, &secret);
            let opened = sealed.open(&master, organization, webhook).expect("it opens");
            assert_eq!(opened.as_bytes(), secret.as_bytes());
            assert!(sealed.open(&other, organization, webhook).is_err());
            assert!(sealed.open(&master, id(3), webhook).is_err());
            assert!(sealed.open(&master, organization, id(3)).is_err());
            for at in 0..sealed.as_bytes().len() {
                let mut changed = sealed.as_bytes().to_vec();
                changed[at] ^= 1;
                assert!(
                    SealedSecret::from(changed)
                        .open(&master, organization, webhook)
                        .is_err()
                );
            }
            let again = SealedSecret::seal(&master, organization, webhook, &secret);
            assert_ne!(again, sealed, "each has a nonce of its own");
            let plain = |bytes: &[u8]| bytes.windows(24).any(|part| part == [5; 24]);
            assert!(!plain(sealed.as_bytes()));
        }
        assert!(
            SealedSecret::from(Vec::new())
                .open(&master, organization, webhook)
                .is_err()
        );
        let secret = WebhookSecret::from_bytes(vec![5; 24]).expect("a secret");
        let sealed = SealedSecret::seal(&master, organization, webhook, &secret);
        assert_eq!(format!("{sealed:?}"), "SealedSecret { .. }");
    }
}
