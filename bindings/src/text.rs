//! The texts of the exported types: `repr` and `str` in Python, `toString` in Kotlin, `description` in Swift.
//!
//! Invariant: they show no secret and no personal data, because apps log them. A ticket code is a secret: of a code they
//! show the first four characters.

/// Lets the text of a type be that of its `Debug`.
macro_rules! shown_as_debug {
    ($($type:ident),+) => {$(
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self, f)
            }
        }
    )+};
}

pub(crate) use shown_as_debug;

use voelgoed_scan_core::model::Language;

/// The language of an app's list of tags. Platforms write regions with `-` or `_`.
pub(crate) fn language_of(tags: Option<&str>) -> Language {
    tags.map_or(Language::English, |tags| {
        Language::preferred(&tags.replace('_', "-"))
    })
}

/// Returns the languages of the messages, such as `af`.
#[uniffi::export]
pub fn all_languages() -> Vec<String> {
    Language::STRINGS
        .iter()
        .map(|language| (*language).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_of_every_platform_are_read() {
        for (tags, language) in [
            (None, Language::English),
            (Some("af-ZA,en-ZA"), Language::Afrikaans),
            (Some("xh-ZA,nl_BE"), Language::Dutch),
            (Some("pt_BR"), Language::Portuguese),
            (Some("zh-Hans-CN"), Language::English),
            (Some("C"), Language::English),
        ] {
            assert_eq!(language_of(tags), language, "{tags:?}");
        }
    }
}
