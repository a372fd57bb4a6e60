//! The language of the steward's messages.
//!
//! Invariant: the database keeps the English message of a verdict that the phone made. Whoever shows the verdict gets the
//! message in the language of that moment, in the words that the manifest in use has of the organization.

use super::{OfflineScanner, State, Verdict, VerdictSource};
use crate::model::{CustomMessages, Language};

impl OfflineScanner {
    /// Sets the language of the steward's messages.
    pub fn set_language(&self, language: Language) {
        *self.language.lock() = language;
    }

    /// Returns the language of the steward's messages.
    #[must_use]
    pub fn language(&self) -> Language {
        *self.language.lock()
    }

    /// The verdict with its message in the present language. The server has worded its own verdicts.
    pub(super) fn with_message(&self, state: &State, mut verdict: Verdict) -> Verdict {
        if verdict.decided_by == VerdictSource::Device {
            let in_use = state.active_manifest.as_ref();
            let messages = in_use.map_or(CustomMessages::NONE, |active| &active.manifest.head().messages);
            messages
                .message(self.language(), verdict.reason)
                .clone_into(&mut verdict.message);
        }
        verdict
    }
}
