//! Paths, and other spellings of them: those that mean the same to the gateway, and those that a lenient service takes for the same.

use std::collections::{HashMap, HashSet};

/// A path that a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Example {
    /// How many segments from the left are those of the pattern; what `**` takes is behind them.
    written: usize,
    pub(super) text: String,
}

/// The literal segments of all routes, by what they fold to: one that is spelt oddly takes only a request that is spelt so.
#[derive(Debug, Default)]
pub(super) struct Words(HashMap<String, Vec<String>>);

impl Words {
    pub(super) fn of(patterns: impl Iterator<Item = String>) -> Self {
        let mut words: HashMap<String, Vec<String>> = HashMap::new();
        for pattern in patterns {
            for segment in pattern.split('/').filter(|segment| !segment.is_empty() && !segment.starts_with('{')) {
                let alike = words.entry(folded(segment)).or_default();
                if !alike.iter().any(|word| word == segment) {
                    alike.push(segment.to_owned());
                }
            }
        }
        Self(words)
    }

    /// The path, and what becomes of it where other routes spell its segments in another way: a few, if they do so often.
    fn spellings(&self, path: &Example) -> Vec<String> {
        const MOST: usize = 32;
        let mut spellings = vec![String::new()];
        for (place, segment) in path.text.split('/').skip(1).enumerate() {
            let own = (place < path.written && !segment.is_empty()).then(|| self.0.get(&folded(segment))).flatten();
            let others: Vec<&str> =
                own.into_iter().flatten().map(|word| &**word).filter(|word| *word != segment).collect();
            let with = |word: &str| spellings.iter().map(|start| format!("{start}/{word}")).collect::<Vec<_>>();
            let longer: Vec<String> = [segment].into_iter().chain(others).flat_map(with).take(MOST).collect();
            spellings = longer;
        }
        spellings
    }
}

/// Paths that `pattern` takes, as they are canonical.
pub(super) fn examples(pattern: &str) -> Vec<Example> {
    /// Hardly ever a literal of another route.
    const ANY: &str = "x";
    let segments = pattern.split('/').skip(1).filter(|segment| *segment != "**");
    let segments: Vec<&str> = segments.map(|segment| if segment.starts_with('{') { ANY } else { segment }).collect();
    let written = segments.len();
    let base: String = segments.iter().flat_map(|segment| ["/", segment]).collect();
    let mut texts = Vec::new();
    if !base.is_empty() {
        texts.push(base.clone());
    }
    if pattern.ends_with("/**") {
        texts.push(format!("{base}/{ANY}"));
    }
    texts.into_iter().map(|text| Example { written, text }).collect()
}

/// The same path in other spellings, each once, without the path itself: as other routes spell it, and each of these with one
/// thing changed, and with and without a slash at the end.
pub(super) fn variants(path: &Example, words: &Words) -> Vec<String> {
    let mut all = Vec::new();
    for spelt in words.spellings(path) {
        let before = all.len();
        respell(&spelt, path.written, &mut all);
        let ends: Vec<String> = all.iter().skip(before).map(|path| other_end(path)).collect();
        all.extend(ends);
        all.extend([format!("{}.json", spelt.trim_end_matches('/')), other_end(&spelt), spelt]);
    }
    let mut different = HashSet::new();
    all.retain(|variant| *variant != path.text && variant.starts_with('/') && different.insert(variant.clone()));
    all
}

/// A path with one thing changed in its first `written` segments.
fn respell(path: &str, written: usize, all: &mut Vec<String>) {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (place, segment) in segments.iter().enumerate().take(written).filter(|(_, segment)| !segment.is_empty()) {
        let changed = [
            // What many services fold or cut off.
            other_case(segment),
            format!("{segment};x"),
            format!("{segment}."),
            // A service that decodes twice.
            encoded(segment, "%25"),
            // What means the same, to us and to everybody.
            encoded(segment, "%"),
            format!("./{segment}"),
            format!("x/%2e%2E/{segment}"),
            format!("/{segment}"),
        ];
        all.extend(changed.iter().map(|changed| joined(&segments, place, changed)));
    }
    all.push(other_case(path));
    // A slash that is none to us, behind the first.
    for (at, _) in path.match_indices('/').skip(1) {
        let (before, behind) = (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default());
        all.extend(["%2F", "%5C"].map(|slash| format!("{before}{slash}{behind}")));
    }
}

/// The path with another text at one place.
fn joined(segments: &[&str], place: usize, changed: &str) -> String {
    let all = segments.iter().enumerate().map(|(at, segment)| if at == place { changed } else { segment });
    all.flat_map(|segment| ["/", segment]).collect()
}

fn other_case(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    if upper == text { text.to_ascii_lowercase() } else { upper }
}

fn other_end(path: &str) -> String {
    path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned)
}

/// The segment with its first character escaped.
fn encoded(segment: &str, percent: &str) -> String {
    let mut characters = segment.chars();
    match characters.next() {
        // An escape stays one: `%2561` would be another character.
        Some(first) if first.is_ascii_alphanumeric() => {
            format!("{percent}{:02X}{}", u32::from(first), characters.as_str())
        }
        _ => segment.to_owned(),
    }
}

/// What the most lenient service makes of a path: two paths that it takes for one fold to one.
pub(super) fn folded(path: &str) -> String {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let path = decoded(&decoded(path)).replace('\\', "/").to_lowercase();
    let segments = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default().trim_end_matches('.'));
    let segments: Vec<&str> = segments.filter(|segment| !segment.is_empty()).collect();
    let whole = format!("/{}", segments.join("/"));
    whole.strip_suffix(".json").map_or(whole.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_paths_of_the_pattern() {
        let texts = |pattern| examples(pattern).into_iter().map(|example| example.text).collect::<Vec<_>>();
        assert_eq!(texts("/a/{id}"), ["/a/x"]);
        assert_eq!(texts("/a/**"), ["/a", "/a/x"]);
        assert_eq!(texts("/**"), ["/x"]);
        assert_eq!(texts("/a/"), ["/a/"]);
    }

    #[test]
    fn every_variant_folds_to_its_path() {
        for pattern in ["/admin/**", "/a/{id}/b", "/a/", "/Admin", "/a%2Fb/**", "/%C3%BC/c"] {
            for example in examples(pattern) {
                let variants = variants(&example, &Words::default());
                assert!(variants.len() > 5, "{variants:?}");
                for variant in variants {
                    // Only these hold dot segments, which the gateway resolves.
                    let resolved = variant.replace("x/%2e%2E/", "").replace("./", "");
                    assert!(
                        [variant.as_str(), resolved.as_str()].iter().any(|v| folded(v) == folded(&example.text)),
                        "{variant} of {}",
                        example.text
                    );
                }
            }
        }
    }

    #[test]
    fn what_differs_stays_different() {
        let pairs = [("/a", "/b"), ("/a/b", "/ab"), ("/a", "/a/b"), ("/a.b", "/ab")];
        assert!(pairs.iter().all(|(one, other)| folded(one) != folded(other)));
    }
}
