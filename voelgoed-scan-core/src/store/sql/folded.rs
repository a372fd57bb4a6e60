//! Texts as a search compares them: without case, accents and kinds of apostrophe.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A text without case, accents and kinds of apostrophe.
pub(crate) fn folded(text: &str) -> String {
    let bare = text.nfkd().filter(|one| !is_combining_mark(*one));
    let mut folded = String::with_capacity(text.len());
    for one in bare.flat_map(char::to_lowercase) {
        match plain(one) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(one),
        }
    }
    folded
}

/// A folded text with one space between its words. A hyphen separates words.
pub(crate) fn folded_words(text: &str) -> String {
    let folded = folded(text);
    let is_separator = |one: char| one.is_whitespace() || matches!(one, '-' | '\u{2010}'..='\u{2015}');
    let words: Vec<_> = folded
        .split(is_separator)
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

/// What people type for a letter or a sign that has no decomposition.
fn plain(one: char) -> Option<&'static str> {
    Some(match one {
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bb}' | '\u{2bc}' | '\u{2bd}' | '\u{2032}'
        | '\u{a78c}' | '`' | '\u{b4}' => "'",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'ħ' => "h",
        'ı' => "i",
        'þ' => "th",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_case_and_kinds_of_apostrophe_make_no_difference() {
        for (text, same) in [
            ("Zoë", "ZOE"),
            ("Zoe\u{308}", "zoë"),
            ("O’Brien", "o'brien"),
            ("O`Brien", "O\u{2bc}BRIEN"),
            ("Łukasz Søren Strauß", "lukasz soren strauss"),
            ("İpek", "ipek"),
            ("ﬁn", "FIN"),
            ("王伟", "王伟"),
            ("Йод", "ИОД"),
        ] {
            assert_eq!(folded(text), folded(same), "{text}");
        }
        assert_ne!(folded("Ann"), folded("Anna"));
    }

    #[test]
    fn words_are_separated_by_one_space() {
        assert_eq!(
            folded_words("  Anne-Marie\tvan  der Merwe "),
            "anne marie van der merwe"
        );
        assert_eq!(folded_words(" - "), "");
    }
}
