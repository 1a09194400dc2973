//! The page's script and style. The sources are plain ES modules and one style sheet; the modules
//! are joined into one, because a page opened from disk may not import its neighbours.
//!
//! Joining is leaving out: the lines that import, and the word `export`. That is sound as long as
//! every module imports by name and on one line, only from modules before it, and no two modules
//! declare the same name at top level; the tests hold the sources to that.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The modules, each after those that it imports.
const MODULES: &[(&str, &str)] = &[
    ("format.js", include_str!("assets/format.js")),
    ("dom.js", include_str!("assets/dom.js")),
    ("decode.js", include_str!("assets/decode.js")),
    ("lanes.js", include_str!("assets/lanes.js")),
    ("view.js", include_str!("assets/view.js")),
    ("filter.js", include_str!("assets/filter.js")),
    ("link.js", include_str!("assets/link.js")),
    ("palette.js", include_str!("assets/palette.js")),
    ("layout.js", include_str!("assets/layout.js")),
    ("ink.js", include_str!("assets/ink.js")),
    ("lod.js", include_str!("assets/lod.js")),
    ("bars.js", include_str!("assets/bars.js")),
    ("paint.js", include_str!("assets/paint.js")),
    ("overview.js", include_str!("assets/overview.js")),
    ("inspector.js", include_str!("assets/inspector.js")),
    ("gestures.js", include_str!("assets/gestures.js")),
    ("state.js", include_str!("assets/state.js")),
    ("controls.js", include_str!("assets/controls.js")),
    ("timeline.js", include_str!("assets/timeline.js")),
    ("main.js", include_str!("assets/main.js")),
];

/// The style sheet.
pub(super) const STYLE: &str = include_str!("assets/report.css");

/// All modules as one.
pub(super) fn script() -> String {
    let mut script = String::new();
    for line in MODULES.iter().flat_map(|(_, source)| source.lines()) {
        if !line.starts_with("import ") {
            script.push_str(line.strip_prefix("export ").unwrap_or(line));
            script.push('\n');
        }
    }
    script
}

/// What the page may do: run this script, use this style, and nothing else; above all it cannot
/// reach any network.
pub(super) fn policy(script: &str, style: &str) -> String {
    let hash = |source: &str| STANDARD.encode(Sha256::digest(source));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; \
         base-uri 'none'; form-action 'none'",
        hash(script),
        hash(style),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// The names that a module declares at top level, and whether it exports them.
    fn declared(source: &str) -> BTreeMap<&str, bool> {
        let mut names = BTreeMap::new();
        for line in source.lines() {
            let (exported, line) = match line.strip_prefix("export ") {
                Some(rest) => (true, rest),
                None => (false, line),
            };
            let words = ["async function ", "function ", "const ", "let ", "class "];
            if let Some(rest) = words.iter().find_map(|word| line.strip_prefix(word)) {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$');
                names.insert(&rest[..end.unwrap_or(rest.len())], exported);
            } else {
                assert!(!exported, "only declarations are exported: {line}");
            }
        }
        names
    }

    #[test]
    fn modules_can_be_joined() {
        let mut before: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
        let mut all = BTreeSet::new();
        for (file, source) in MODULES {
            assert!(source.starts_with("// "), "{file} does not say what it is for");
            assert!(source.lines().count() <= 200, "{file} is too long");
            for line in source.lines().filter(|line| line.starts_with("import")) {
                let parts =
                    line.strip_prefix("import { ").and_then(|rest| rest.split_once(" } from \"./"));
                let (names, from) = parts.unwrap_or_else(|| panic!("{file}: {line}"));
                let from = from.strip_suffix("\";").unwrap_or_else(|| panic!("{file}: {line}"));
                let exports =
                    before.get(from).unwrap_or_else(|| panic!("{file}: {from} comes later"));
                for name in names.split(", ") {
                    assert_eq!(exports.get(name), Some(&true), "{file}: {from} exports no {name}");
                }
            }
            let names = declared(source);
            for name in names.keys() {
                assert!(all.insert(*name), "{file}: {name} is declared in another module too");
            }
            before.insert(file, names);
        }
    }

    #[test]
    fn every_module_is_there_and_small_and_none_can_end_its_element() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/html/assets");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let files: BTreeSet<_> = files
            .filter_map(|name| name.into_string().ok())
            .filter(|name| name.ends_with(".js"))
            .collect();
        let listed: BTreeSet<_> = MODULES.iter().map(|(file, _)| (*file).to_owned()).collect();
        assert_eq!(files, listed);
        let script = script();
        assert!(script.len() + STYLE.len() <= 60_000, "{}", script.len() + STYLE.len());
        for source in [&script, STYLE] {
            assert!(!source.contains("</") && !source.contains("<!--"));
        }
        assert!(!script.contains("\nimport ") && !script.contains("\nexport "));
    }

    #[test]
    fn the_policy_names_what_it_allows_by_hash() {
        let policy = policy("", "a");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        // Of nothing, and of `a`, as every implementation of SHA-256 has it.
        assert!(
            policy.contains("script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='")
        );
        assert!(policy.contains("style-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='"));
        assert!(!policy.contains("unsafe") && !policy.contains("connect-src"), "{policy}");
    }

    /// The colours that a scheme's `:root` block declares, as linear red, green and blue.
    fn colours(block: &str) -> BTreeMap<&str, [f64; 3]> {
        let declared =
            block.lines().filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"));
        let channel = |hex: &str, place: usize| {
            let value = u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).unwrap();
            let share = f64::from(value) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        declared.map(|(name, hex)| (name, [0, 1, 2].map(|place| channel(hex, place)))).collect()
    }

    /// WCAG 2.2, 1.4.3: words have at least 4.5 times the luminance of their ground, or the reverse.
    #[test]
    fn words_can_be_read_in_both_schemes() {
        let luminance =
            |[red, green, blue]: [f64; 3]| 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        let blocks: Vec<&str> = STYLE.split(":root {").skip(1).take(2).collect();
        for block in blocks {
            let colours = colours(block.split('}').next().unwrap());
            let pairs = [
                ("ink", "paper"),
                ("ink", "panel"),
                ("ink", "culprit-pale"),
                ("ink", "ok-pale"),
                ("ink", "info-pale"),
                ("muted", "paper"),
                ("muted", "panel"),
                ("ok", "paper"),
                ("culprit", "paper"),
                ("culprit", "panel"),
                ("info", "paper"),
                ("ok-ink", "ok"),
                ("info-ink", "info"),
                ("culprit-ink", "culprit"),
            ];
            for (words, ground) in pairs {
                let [a, b] = [words, ground].map(|name| luminance(colours[name]) + 0.05);
                let contrast = (a / b).max(b / a);
                assert!(contrast >= 4.5, "{words} on {ground}: {contrast:.2}");
            }
        }
    }

    /// The modules' own tests, under Node.js, which this project does not need for anything else.
    #[test]
    fn modules_pass_their_own_tests() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/html/assets/tests");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<_> = files.collect();
        assert!(!files.is_empty());
        match Command::new("node").arg("--test").args(&files).output() {
            Ok(output) => assert!(
                output.status.success(),
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
            ),
            Err(error) => eprintln!(
                "NOT RUN: the report's JavaScript tests need `node` on the PATH, which is not there: {error}"
            ),
        }
    }
}
