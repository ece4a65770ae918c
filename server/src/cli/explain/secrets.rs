//! What of a request lets its owner in. Whatever is printed may be kept, so none of it is.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use portcullis_core::plan::Plan;

use crate::config::is_telling;

/// Stands where something is not shown.
pub(super) const COVERED: &str = "(not shown)";

/// The secrets of one request, and the places where some may stand.
#[derive(Default)]
pub(super) struct Secrets {
    /// Where the verifiers look for tokens: "header:x-api-key".
    places: Vec<String>,
    values: Vec<String>,
}

impl Secrets {
    pub(super) fn of(plan: &Plan, uri: &Uri, fields: &HeaderMap) -> Self {
        let sources = plan.auths.iter().flat_map(|auth| auth.token.iter());
        let mut secrets = Self { places: sources.map(ToString::to_string).collect(), values: Vec::new() };
        for (name, value) in fields {
            let value = String::from_utf8_lossy(value.as_bytes());
            if name == COOKIE {
                let pairs = value.split(';').filter_map(|pair| pair.trim().split_once('='));
                pairs.for_each(|(_, value)| secrets.add(value.trim_matches('"')));
            } else if name == AUTHORIZATION || secrets.is_place(&format!("header:{name}")) {
                // Behind the scheme, if there is one.
                secrets.add(value.rsplit(' ').next().unwrap_or_default());
            }
        }
        let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        for (name, value) in pairs {
            if secrets.is_place(&format!("query:{name}")) {
                secrets.add(&decoded(value));
            }
        }
        secrets
    }

    fn add(&mut self, value: &str) {
        /// What is shorter keeps nobody out, and is part of everything.
        const SHORTEST: usize = 4;
        if value.len() >= SHORTEST {
            self.values.push(value.to_owned());
        }
    }

    /// Whether a source ("cookie:session", "host+header:x-api-key") reads what may let its owner in.
    pub(super) fn is_place(&self, source: &str) -> bool {
        source.split('+').any(|part| {
            let (kind, name) = part.split_once(':').unwrap_or((part, ""));
            let name = name.to_ascii_lowercase();
            let sounds_so = name == "authorization" || name.contains("key") || is_telling(&name);
            kind == "cookie" || kind != "claim" && sounds_so || self.places.iter().any(|place| place == part)
        })
    }

    /// The text, or that it is not shown: where a secret went into a path or a header by a template.
    pub(super) fn covered(&self, text: String) -> String {
        let plain = decoded(&text);
        let is_in = |secret: &String| text.contains(&**secret) || plain.contains(&**secret);
        if self.values.iter().any(is_in) { COVERED.to_owned() } else { text }
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use portcullis_core::plan::Plan;

    use super::*;
    use crate::config::{LoadOptions, from_text_with};

    fn plan() -> Plan {
        let text = "[[routes]]\npath = \"/\"\nrespond = {}\n";
        from_text_with("test", text, &|_| None, LoadOptions::default()).unwrap().plan
    }

    #[test]
    fn what_lets_in_is_covered_in_every_place() {
        let mut fields = HeaderMap::new();
        fields.try_insert(AUTHORIZATION, "Bearer canary+1".parse().unwrap()).unwrap();
        fields.try_insert(COOKIE, "a=1; session=canary-2".parse().unwrap()).unwrap();
        fields.try_insert("x-api-key", "canary-3".parse().unwrap()).unwrap();
        fields.try_insert("x-tenant", "acme".parse().unwrap()).unwrap();
        let secrets = Secrets::of(&plan(), &"/?access_token=canary%204&page=seven".parse().unwrap(), &fields);
        for text in ["/a/canary%2B1", "x canary-2", "canary-3", "/?q=canary%204"] {
            assert_eq!(secrets.covered(text.to_owned()), COVERED, "{text}");
        }
        for text in ["/a/acme", "seven", "/1"] {
            assert_eq!(secrets.covered(text.to_owned()), text);
        }
    }

    #[test]
    fn places_are_known_by_their_kind_and_name() {
        let secrets = Secrets::default();
        for place in ["cookie:a", "header:authorization", "client+header:X-Api-Key", "query:access_token"] {
            assert!(secrets.is_place(place), "{place}");
        }
        assert!(["identity", "client", "claim:key", "query:page", "path"].iter().all(|place| !secrets.is_place(place)));
    }
}
