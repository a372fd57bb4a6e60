//! The section with the messages that an organization replaced, so that stewards see them without a network too.
//!
//! Invariant: a reader leaves out a text whose language or reason it does not know, because no rule depends on a message.

use crate::manifest::section::{Section, Sections};
use crate::manifest::wire::Writer;
use crate::manifest::{ManifestError, ManifestTooLarge};
use crate::model::CustomMessages;

/// Encodes the messages of an organization that replaced any: language, reason and text of each.
pub(super) fn encode_messages(to: &mut Writer, messages: &CustomMessages) -> Result<(), ManifestTooLarge> {
    if messages.is_empty() {
        return Ok(());
    }
    to.section(Section::Messages, |to| {
        messages.iter().try_for_each(|(language, reason, text)| {
            to.text(language.as_str())?;
            to.text(reason.as_str())?;
            to.text(text.as_str())
        })
    })
}

/// Reads the messages. They are empty where the manifest lacks the section.
pub(super) fn read_messages(sections: &Sections<'_>) -> Result<CustomMessages, ManifestError> {
    let messages = sections.read_optional(Section::Messages, |reader| {
        let mut messages = CustomMessages::default();
        while reader.remaining() != 0 {
            let (language, reason) = (reader.text::<String>()?, reader.text::<String>()?);
            let text = reader.text()?;
            if let (Ok(language), Ok(reason)) = (language.parse(), reason.parse()) {
                messages.set(language, reason, Some(text));
            }
        }
        Ok(messages)
    })?;
    Ok(messages.unwrap_or_default())
}
