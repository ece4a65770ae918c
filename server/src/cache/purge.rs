//! What an operator takes out of the cache: one URL, all that begin with a text, all that an upstream gave a tag, or everything.

use std::borrow::Cow;
use std::collections::VecDeque;

use http::Uri;
use percent_encoding::percent_decode_str;
use portcullis_core::caching::{self, Scheme};
use portcullis_core::route::{canonical_host, canonicalise};

use super::changed::write_url;
use super::stored::Origin;

/// What is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Purge {
    pub(crate) what: Purged,
    /// It stays, and is stale.
    pub(crate) soft: bool,
}

/// Which answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purged {
    All,
    /// Those whose URL begins so.
    Prefix(Box<str>),
    /// Those with this tag.
    Tag(Box<str>),
    /// Those of this URL, whoever they are kept for.
    Url(Box<str>),
}

impl Purge {
    /// From a query: exactly one of `url`, `prefix`, `tag` and `all=true`, and `soft`, percent-encoded. None where it is no such.
    pub(crate) fn parse(query: &str) -> Option<Self> {
        let (mut what, mut soft) = (None, false);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            let value = percent_decode_str(value).decode_utf8().ok()?;
            let named = match name {
                "soft" => {
                    soft = flag(&value)?;
                    continue;
                }
                "all" if flag(&value)? => Purged::All,
                "prefix" => Purged::Prefix(canonical(&value)?),
                "tag" if !value.is_empty() => Purged::Tag(Cow::into_owned(value).into()),
                "url" => Purged::Url(canonical(&value)?),
                _ => return None,
            };
            if what.replace(named).is_some() {
                return None;
            }
        }
        Some(Self { what: what?, soft })
    }

    /// Whether it is about an answer from there.
    pub(crate) fn is_about(&self, origin: &Origin) -> bool {
        match &self.what {
            Purged::All => true,
            Purged::Prefix(prefix) => origin.url.starts_with(&**prefix),
            Purged::Tag(tag) => origin.tags.contains(tag),
            Purged::Url(url) => origin.url == *url,
        }
    }
}

fn flag(text: &str) -> Option<bool> {
    text.parse().ok()
}

/// A URL as the cache knows it.
fn canonical(text: &str) -> Option<Box<str>> {
    let uri: Uri = text.parse().ok()?;
    let scheme = match uri.scheme_str()? {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return None,
    };
    let authority = uri.authority()?;
    let host = canonical_host(authority.as_str()).ok()?;
    let origin =
        caching::Origin { scheme, host: &host, port: authority.port_u16().unwrap_or_else(|| scheme.default_port()) };
    let mut url = String::new();
    write_url(&mut url, origin, canonicalise(uri.path()).ok()?.as_str(), uri.query());
    Some(url.into())
}

/// The last purges, for what was on its way when they came.
#[derive(Debug, Default)]
pub(crate) struct Purges {
    latest: VecDeque<(u64, Purge)>,
    /// The number of the last one that is not remembered.
    forgotten: u64,
}

/// So many are remembered; what is on its way for longer than that is not stored.
const REMEMBERED: usize = 256;

impl Purges {
    pub(super) fn add(&mut self, number: u64, purge: Purge) {
        if self.latest.len() >= REMEMBERED
            && let Some((number, _)) = self.latest.pop_front()
        {
            self.forgotten = number;
        }
        self.latest.push_back((number, purge));
    }

    /// The number of the last one; 0 when there was none.
    pub(super) fn last(&self) -> u64 {
        self.latest.back().map_or(0, |(number, _)| *number)
    }

    /// What became of an answer from there since it was asked for: a hard purge before a soft one.
    pub(super) fn verdict(&self, origin: &Origin) -> Option<&Purge> {
        let since = self.latest.iter().filter(|(number, _)| *number > origin.began);
        let about = since.map(|(_, purge)| purge).filter(|purge| purge.is_about(origin));
        about.min_by_key(|purge| purge.soft)
    }

    /// Whether there were purges since `began` that nobody remembers.
    pub(super) fn is_forgotten(&self, began: u64) -> bool {
        began < self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(began: u64) -> Origin {
        let tags = ["red".into(), "blue".into()].into();
        Origin { began, slot: 0, tags, url: "http://shop.test:80/tea?x=1".into() }
    }

    fn purge(what: Purged, soft: bool) -> Purge {
        Purge { what, soft }
    }

    #[test]
    fn says_whom_it_is_about() {
        let about = |what| purge(what, false).is_about(&origin(0));
        assert!(about(Purged::All) && about(Purged::Tag("red".into())) && !about(Purged::Tag("re".into())));
        assert!(about(Purged::Url("http://shop.test:80/tea?x=1".into())));
        assert!(!about(Purged::Url("http://shop.test:80/tea".into())));
        assert!(about(Purged::Prefix("http://shop.test:80/te".into())));
        assert!(!about(Purged::Prefix("http://shop.test:80/tea/".into())));
    }

    #[test]
    fn is_held_against_what_began_before() {
        let mut purges = Purges::default();
        purges.add(5, purge(Purged::Tag("red".into()), true));
        assert!(purges.verdict(&origin(5)).is_none() && purges.verdict(&origin(4)).unwrap().soft);
        purges.add(6, purge(Purged::All, false));
        assert!(!purges.verdict(&origin(4)).unwrap().soft, "the hard one counts");
        for number in 7..7 + REMEMBERED as u64 {
            purges.add(number, purge(Purged::Tag("other".into()), false));
        }
        assert!(purges.verdict(&origin(4)).is_none());
        assert!(purges.is_forgotten(4) && purges.is_forgotten(5) && !purges.is_forgotten(6));
    }

    #[test]
    fn says_what_is_to_go() {
        let what = |query: &str| Purge::parse(query).map(|purge| purge.what);
        let url = |text: &str| Some(Purged::Url(text.into()));
        assert_eq!(what("url=http://SHOP.test/a/../tea?x=1"), url("http://shop.test:80/tea?x=1"));
        assert_eq!(
            what("url=https%3A%2F%2Fshop.test%3A8443%2Ftea%3Fa%3D1%26b"),
            url("https://shop.test:8443/tea?a=1&b")
        );
        assert_eq!(what("prefix=http://shop.test"), Some(Purged::Prefix("http://shop.test:80/".into())));
        assert_eq!(what("tag=a%20b"), Some(Purged::Tag("a b".into())));
        assert_eq!(Purge::parse("all=true&soft=true"), Some(Purge { what: Purged::All, soft: true }));
        for wrong in [
            "",
            "all=false",
            "tag=",
            "url=/tea",
            "url=ftp://a/",
            "tag=a&all=true",
            "tag=a&soft=maybe",
            "other=1",
            "tag",
        ] {
            assert_eq!(Purge::parse(wrong), None, "{wrong}");
        }
    }
}
