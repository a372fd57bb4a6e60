//! The files of the console, the web page at `/`. They are compiled in.
//!
//! Invariants: the page loads nothing from other hosts and calls only this server; its policy allows no inline script and no
//! inline style; all files together have less than 150 KB.

use std::borrow::Cow;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

const HTML: &str = "text/html; charset=utf-8";
pub(crate) const CSS: &str = "text/css; charset=utf-8";
pub(crate) const SCRIPT: &str = "text/javascript; charset=utf-8";
pub(crate) const SVG: &str = "image/svg+xml";

/// What the browser lets the page do. Pictures in `data:` URLs are the QR codes of enrolments.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types 'none'";

/// A file as it is served.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) content: Bytes,
    /// The strong entity tag, with its quotes.
    pub(crate) tag: String,
}

impl File {
    fn new(name: &'static str, media_type: &'static str, content: Bytes) -> Self {
        let digest = Sha256::digest(&content);
        let hash = URL_SAFE_NO_PAD.encode(digest);
        Self {
            name,
            media_type,
            content,
            tag: format!("\"{hash}\""),
        }
    }
}

/// The page itself.
pub(crate) static PAGE: LazyLock<File> = LazyLock::new(|| {
    let page = include_str!("console/index.html").replace("{version}", env!("CARGO_PKG_VERSION"));
    File::new("index.html", HTML, Bytes::from(page))
});

/// The file with a name in the folder of the console.
pub(crate) fn file(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

/// Lists files by their names, with their media types.
macro_rules! files {
    ($($name:literal: $media_type:expr,)+) => {
        vec![$(File::new(
            $name,
            $media_type,
            Bytes::from(without_comments(include_str!(concat!("console/", $name)))),
        ),)+]
    };
}

/// A script or a style without its indentation, its empty lines and the comments that have lines of their own. No text of
/// the files spans lines.
fn without_comments(source: &str) -> String {
    let mut served = String::with_capacity(source.len());
    let mut is_comment = false;
    for line in source.lines().map(str::trim) {
        is_comment |= line.starts_with("/*");
        let code = if is_comment {
            let Some((_, rest)) = line.split_once("*/") else {
                continue;
            };
            is_comment = false;
            rest.trim_start()
        } else {
            line
        };
        if !code.is_empty() && !code.starts_with("//") {
            push_without_types(&mut served, &without_spaces(code));
            served.push('\n');
        }
    }
    served
}

/// A line of a style, or a row of texts, without the spaces that only people need.
fn without_spaces(line: &str) -> Cow<'_, str> {
    let is_row_of_texts = line.contains(": [\"") && line.ends_with("\"],");
    if is_row_of_texts {
        return line.replace("\", \"", "\",\"").replace(": [\"", ":[\"").into();
    }
    let is_style = line.ends_with('}') && line.contains(" { ") && line.contains("; }");
    if is_style {
        let shorter = line.replace(" { ", "{").replace("; }", "}").replace(": ", ":");
        return shorter.replace("; ", ";").into();
    }
    line.into()
}

/// Adds a line without the comments in it that tell the types of values.
fn push_without_types(served: &mut String, line: &str) {
    let mut rest = line;
    while let Some((before, (_, after))) = rest
        .split_once("/**")
        .and_then(|(before, comment)| Some((before, comment.split_once("*/")?)))
    {
        served.push_str(before);
        rest = after.trim_start();
    }
    served.push_str(rest);
}

/// The styles, scripts and pictures of the page.
static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    files! {
        "icon.svg": SVG,
        "base.css": CSS,
        "parts.css": CSS,
        "live.css": CSS,
        "api.js": SCRIPT,
        "app.js": SCRIPT,
        "chart.js": SCRIPT,
        "conflicts.js": SCRIPT,
        "devices.js": SCRIPT,
        "dialog.js": SCRIPT,
        "dom.js": SCRIPT,
        "event.js": SCRIPT,
        "gates.js": SCRIPT,
        "guests.js": SCRIPT,
        "live.js": SCRIPT,
        "report.js": SCRIPT,
        "signals.js": SCRIPT,
        "stream.js": SCRIPT,
        "text.js": SCRIPT,
        "text-dialogs.js": SCRIPT,
        "text-page.js": SCRIPT,
        "text-words.js": SCRIPT,
        "wall.js": SCRIPT,
    }
});

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn text(file: &File) -> &str {
        std::str::from_utf8(&file.content).expect("UTF-8")
    }

    #[test]
    fn comments_and_indentation_are_left_out() {
        let source = "// A.\n/**\n * B.\n */\nlet a = /** @type {A} */ (1); // stays\n\n  /** C. */\n  /** @type {A} */ (c)();\n  const b = `${a} /* stays */`;\n";
        assert_eq!(
            without_comments(source),
            "let a = (1); // stays\n(c)();\nconst b = `${a} /* stays */`;\n"
        );
    }

    #[test]
    fn rows_of_texts_and_styles_lose_their_spaces() {
        for (source, served) in [
            (r#"a: ["A, b", "C: d; e"],"#, r#"a:["A, b","C: d; e"],"#),
            (
                "a:hover > b { color: red; margin: 0 1px; }",
                "a:hover > b{color:red;margin:0 1px}",
            ),
            ("const a = { b: 1 };", "const a = { b: 1 };"),
            (r#"list.join("\", \"")"#, r#"list.join("\", \"")"#),
        ] {
            assert_eq!(without_spaces(source), served);
        }
    }

    #[test]
    fn no_text_of_a_script_spans_lines() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console");
        for entry in std::fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            let source = std::fs::read_to_string(&path).expect("UTF-8");
            for line in source
                .lines()
                .filter(|_| path.extension().is_some_and(|one| one == "js"))
            {
                let is_code = !line.trim_start().starts_with(['*', '/']);
                assert!(!is_code || line.matches('`').count() % 2 == 0, "{path:?}: {line}");
                assert!(!line.trim_end().ends_with('\\'), "{path:?}: {line}");
            }
        }
    }

    #[test]
    fn every_file_in_the_folder_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console");
        let in_folder: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .filter(|name| name != "index.html")
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(served, in_folder);
    }

    #[test]
    fn the_console_is_smaller_than_150_kb() {
        let bytes: usize = FILES.iter().map(|file| file.content.len()).sum();
        assert!(bytes + PAGE.content.len() < 150_000, "{bytes}");
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_no_script_or_style_is_inline() {
        for file in FILES.iter().chain([&*PAGE]) {
            let text = text(file)
                .replace("http://www.w3.org/2000/svg", "")
                .replace("http://www.w3.org/1999/xlink", "");
            for foreign in [
                "http://",
                "https://",
                "url(",
                "@import",
                "innerHTML",
                "eval(",
                "onclick=",
                "{version}",
            ] {
                assert!(!text.contains(foreign), "{}: {foreign}", file.name);
            }
        }
        let page = text(&PAGE);
        for inline in ["<style", "style=", "<script>"] {
            assert!(!page.contains(inline), "{inline}");
        }
        assert!(!CONTENT_SECURITY_POLICY.contains("unsafe"));
    }

    #[test]
    fn the_page_names_only_files_that_are_served() {
        let page = text(&PAGE);
        let names: Vec<&str> = page
            .split("\"/console/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(names.len() > 3, "{names:?}");
        for name in names {
            assert!(file(name).is_some(), "{name}");
        }
    }
}
