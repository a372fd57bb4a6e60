//! The languages of the messages, and the choice of one by what a reader prefers.

use crate::model::text::string_enum;

string_enum! {
    /// A language of the messages for stewards, by its ISO 639 code.
    pub enum Language {
        /// English, the language of a reader who prefers none of the others.
        English = "en",
        /// Afrikaans.
        Afrikaans = "af",
        /// Dutch.
        Dutch = "nl",
        /// German.
        German = "de",
        /// French.
        French = "fr",
        /// Spanish.
        Spanish = "es",
        /// Portuguese.
        Portuguese = "pt",
    }
}

/// The weight of a range without `q`, in thousandths.
const FULL_WEIGHT: u16 = 1000;

/// A range of `Accept-Language` with its weight in thousandths.
struct WeightedRange<'a> {
    range: &'a str,
    weight: u16,
}

impl Language {
    /// The language of a BCP 47 tag such as `nl-BE`, in any case. A region falls back to its language.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        if !is_range(tag) {
            return None;
        }
        let primary = tag.split('-').next().unwrap_or_default();
        Self::ALL
            .iter()
            .copied()
            .find(|language| language.as_str().eq_ignore_ascii_case(primary))
    }

    /// The language that a reader prefers, by the value of `Accept-Language` (RFC 9110, 12.5.4): the one with the highest
    /// `q`, and of equal ones the first. A range with `q=0` excludes its language. Ranges that are malformed or name another
    /// language do not count. English where nothing is left.
    ///
    /// `*` stands for every language that no range names; of these English comes first.
    #[must_use]
    pub fn preferred(accept_language: &str) -> Self {
        let ranges: Vec<_> = accept_language.split(',').filter_map(weighted_range).collect();
        let is_excluded = |language: Self| {
            ranges
                .iter()
                .any(|one| one.weight == 0 && one.range.eq_ignore_ascii_case(language.as_str()))
        };
        let is_named = |language: &Self| {
            ranges
                .iter()
                .any(|one| Self::of_tag(one.range) == Some(*language))
        };
        let mut best: Option<(u16, Self)> = None;
        for WeightedRange { range, weight } in &ranges {
            let language = if *range == "*" {
                Self::ALL.iter().copied().find(|language| !is_named(language))
            } else {
                Self::of_tag(range)
            };
            let Some(language) = language.filter(|language| *weight != 0 && !is_excluded(*language)) else {
                continue;
            };
            if best.is_none_or(|(heaviest, _)| *weight > heaviest) {
                best = Some((*weight, language));
            }
        }
        best.map_or(Self::English, |(_, language)| language)
    }
}

/// Whether a text is a language range (RFC 4647, 2.1), except `*`.
fn is_range(text: &str) -> bool {
    text.split('-').enumerate().all(|(position, part)| {
        let is_allowed = |byte: u8| byte.is_ascii_alphabetic() || (position > 0 && byte.is_ascii_digit());
        (1..=8).contains(&part.len()) && part.bytes().all(is_allowed)
    })
}

/// One item of `Accept-Language`; `None` where it is malformed.
fn weighted_range(item: &str) -> Option<WeightedRange<'_>> {
    let (range, weight) = match item.split_once(';') {
        Some((range, parameter)) => (range, weight(parameter)?),
        None => (item, FULL_WEIGHT),
    };
    let range = range.trim();
    (range == "*" || is_range(range)).then_some(WeightedRange { range, weight })
}

/// The value of `q=0.8` in thousandths: 0 to 1 with at most three decimals.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let value = value.trim();
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(FULL_WEIGHT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_falls_back_to_its_language() {
        for (tag, language) in [
            ("nl", Some(Language::Dutch)),
            ("nl-BE", Some(Language::Dutch)),
            ("PT-br", Some(Language::Portuguese)),
            ("de-CH-1996", Some(Language::German)),
            ("es-419", Some(Language::Spanish)),
            ("zu", None),
            ("english", None),
            ("e", None),
            ("", None),
            ("*", None),
            ("nl_BE", None),
            ("nl-", None),
            ("nl BE", None),
            ("ünl", None),
        ] {
            assert_eq!(Language::of_tag(tag), language, "{tag}");
        }
    }

    #[test]
    fn the_preferred_language_has_the_highest_quality_and_comes_first() {
        for (header, language) in [
            ("", Language::English),
            ("af", Language::Afrikaans),
            ("nl-BE, nl;q=0.9, en;q=0.8", Language::Dutch),
            ("en;q=0.5, fr;q=0.9", Language::French),
            ("es;q=0.9,pt;q=0.9", Language::Spanish),
            ("zu, xh;q=0.9, af;q=0.1", Language::Afrikaans),
            ("zu, xh", Language::English),
            (" DE ; Q=0.7 , en;q=0.2", Language::German),
            ("fr;q=0.001, en;q=0", Language::French),
            ("de;q=1.000", Language::German),
            ("de;q=1.", Language::German),
        ] {
            assert_eq!(Language::preferred(header), language, "{header}");
        }
    }

    #[test]
    fn a_quality_of_zero_excludes_the_language() {
        for (header, language) in [
            ("nl;q=0", Language::English),
            ("nl;q=0, de;q=0.1", Language::German),
            ("nl;q=0.000, nl-BE", Language::English),
            // Only the Dutch of Belgium.
            ("nl-BE;q=0, nl;q=0.5", Language::Dutch),
            ("en;q=0", Language::English),
            ("en;q=0, *", Language::Afrikaans),
            ("*;q=0", Language::English),
            ("*;q=0, fr", Language::French),
        ] {
            assert_eq!(Language::preferred(header), language, "{header}");
        }
    }

    #[test]
    fn any_language_is_the_first_one_that_is_not_named() {
        for (header, language) in [
            ("*", Language::English),
            ("*, de;q=0.5", Language::English),
            ("de, *;q=0.5", Language::German),
            ("fr;q=0.2, *;q=0.5", Language::English),
        ] {
            assert_eq!(Language::preferred(header), language, "{header}");
        }
    }

    #[test]
    fn malformed_ranges_do_not_count() {
        for (header, language) in [
            ("nl;q=2", Language::English),
            ("nl;q=0.1234", Language::English),
            ("nl;q=-1", Language::English),
            ("nl;q=", Language::English),
            ("nl;q", Language::English),
            ("nl;level=1", Language::English),
            ("nl;q=0.5;q=0.6", Language::English),
            ("nl;q=high, de;q=0.1", Language::German),
            (";;;,=,q=1", Language::English),
            ("nl de", Language::English),
            ("\u{2028}, fr", Language::French),
            ("**", Language::English),
        ] {
            assert_eq!(Language::preferred(header), language, "{header}");
        }
    }
}
