//! `Cache-Control`: what its directives say, read strictly (RFC 9111, section 5.2).
//!
//! What forbids is understood however it is written; what allows must be written as the RFC has it. All lines are one
//! list. A number that cannot be read, or two that differ, are zero: the response is stale (section 4.2.1).

use http::HeaderMap;
use http::header::{CACHE_CONTROL, PRAGMA};

use super::directives::{Directive, Directives};

/// The largest number of seconds that is told apart (RFC 9111, section 1.2.2): 68 years.
pub const MAX_SECONDS: u32 = 1 << 31;

/// What a response says of how it may be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseControl {
    /// It does not change while it is fresh (RFC 8246). A shared cache that revalidates only what is stale needs it for
    /// nothing else than to say so.
    pub immutable: bool,
    /// How long it is fresh, in seconds.
    pub max_age: Option<u32>,
    /// Not without asking again, once it is stale.
    pub must_revalidate: bool,
    /// Only by who knows what its status asks of a cache; then `no-store` beside it means others.
    pub must_understand: bool,
    /// Not without asking again, ever. A list of fields is read as if there were none, as the RFC lets a cache do.
    pub no_cache: bool,
    /// Not at all.
    pub no_store: bool,
    /// By nobody who serves more than one person. A list of fields is read as if there were none.
    pub private: bool,
    /// [`must_revalidate`](Self::must_revalidate), for shared caches.
    pub proxy_revalidate: bool,
    /// By everybody, an authorised request's answer too.
    pub public: bool,
    /// [`max_age`](Self::max_age), for shared caches, which go by this one.
    pub s_maxage: Option<u32>,
    /// How long after that it may stand in for a failure, in seconds (RFC 5861, section 4).
    pub stale_if_error: Option<u32>,
    /// How long after that it may be used while it is asked for again, in seconds (RFC 5861, section 3).
    pub stale_while_revalidate: Option<u32>,
    /// A quote that does not end, or bytes that no directive has: what else it says cannot be known.
    pub unreadable: bool,
}

impl ResponseControl {
    /// Reads all `Cache-Control` lines. Allocates nothing.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        for line in headers.get_all(CACHE_CONTROL) {
            let mut directives = Directives::of(line.as_bytes());
            for directive in &mut directives {
                control.apply(&directive);
            }
            control.unreadable |= directives.is_unreadable();
        }
        control
    }

    fn apply(&mut self, directive: &Directive<'_>) {
        // What allows must be as the RFC has it, bare; what forbids may have whatever it likes behind it.
        if directive.is(b"public") {
            self.public |= directive.is_bare();
        } else if directive.is(b"must-understand") {
            self.must_understand |= directive.is_bare();
        } else if directive.is(b"immutable") {
            self.immutable |= directive.is_bare();
        } else if directive.is(b"must-revalidate") {
            self.must_revalidate = true;
        } else if directive.is(b"proxy-revalidate") {
            self.proxy_revalidate = true;
        } else if directive.is(b"no-cache") {
            self.no_cache = true;
        } else if directive.is(b"no-store") {
            self.no_store = true;
        } else if directive.is(b"private") {
            self.private = true;
        } else if directive.is(b"max-age") {
            agree(&mut self.max_age, directive.seconds());
        } else if directive.is(b"s-maxage") {
            agree(&mut self.s_maxage, directive.seconds());
        } else if directive.is(b"stale-while-revalidate") {
            agree(&mut self.stale_while_revalidate, directive.seconds());
        } else if directive.is(b"stale-if-error") {
            agree(&mut self.stale_if_error, directive.seconds());
        }
    }

    /// How long it is fresh in a shared cache, if it says so here (RFC 9111, section 4.2.1).
    pub fn lifetime(&self) -> Option<u32> {
        self.s_maxage.or(self.max_age)
    }

    /// Whether it must not be used once it is stale, whatever else allows it (RFC 9111, sections 4.2.4 and 5.2.2.10:
    /// `s-maxage` has the meaning of `proxy-revalidate`).
    pub fn forbids_stale(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate || self.no_cache || self.s_maxage.is_some()
    }

    /// Whether it may be kept for others although the request was authorised (RFC 9111, section 3.5).
    pub fn allows_authorised(&self) -> bool {
        self.public || self.must_revalidate || self.s_maxage.is_some()
    }
}

/// How much staleness a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// Any.
    Any,
    /// So many seconds.
    Seconds(u32),
}

/// What a request says of what it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestControl {
    /// Nothing that is older, in seconds.
    pub max_age: Option<u32>,
    /// What is stale too.
    pub max_stale: Option<MaxStale>,
    /// Only what stays fresh so much longer, in seconds.
    pub min_fresh: Option<u32>,
    /// Nothing that was not asked for again.
    pub no_cache: bool,
    /// Its answer is not to be kept.
    pub no_store: bool,
    /// Nothing that is not here: 504.
    pub only_if_cached: bool,
    /// What is stale by so much, when there is an error (RFC 5861, section 4).
    pub stale_if_error: Option<u32>,
}

impl RequestControl {
    /// Reads all `Cache-Control` lines; `Pragma: no-cache` counts where there are none (RFC 9111, section 5.4). A
    /// client may ask for less than it could have and is taken at its word; what it says that cannot be read is read as
    /// the most demanding. Allocates nothing.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        let mut lines = headers.get_all(CACHE_CONTROL).iter().peekable();
        if lines.peek().is_none() {
            control.no_cache = pragma_no_cache(headers);
            return control;
        }
        for line in lines {
            let mut directives = Directives::of(line.as_bytes());
            for directive in &mut directives {
                control.apply(&directive);
            }
            control.no_cache |= directives.is_unreadable();
        }
        control
    }

    fn apply(&mut self, directive: &Directive<'_>) {
        if directive.is(b"no-cache") {
            self.no_cache = true;
        } else if directive.is(b"no-store") {
            self.no_store = true;
        } else if directive.is(b"only-if-cached") {
            self.only_if_cached = true;
        } else if directive.is(b"max-age") {
            agree(&mut self.max_age, directive.seconds());
        } else if directive.is(b"min-fresh") {
            // The most demanding is the largest here.
            let seconds = directive.seconds().unwrap_or(MAX_SECONDS);
            self.min_fresh = Some(self.min_fresh.map_or(seconds, |other| other.max(seconds)));
        } else if directive.is(b"stale-if-error") {
            agree(&mut self.stale_if_error, directive.seconds());
        } else if directive.is(b"max-stale") {
            let stale =
                if directive.is_bare() { MaxStale::Any } else { MaxStale::Seconds(directive.seconds().unwrap_or(0)) };
            let same = self.max_stale.is_none_or(|other| other == stale);
            self.max_stale = Some(if same { stale } else { MaxStale::Seconds(0) });
        }
    }
}

fn pragma_no_cache(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(PRAGMA).iter();
    lines.any(|line| Directives::of(line.as_bytes()).any(|directive| directive.is(b"no-cache")))
}

/// Puts a number beside what was said before: one that cannot be read, or is another than that, makes it zero.
fn agree(said: &mut Option<u32>, seconds: Option<u32>) {
    let seconds = seconds.unwrap_or(0);
    *said = Some(said.map_or(seconds, |before| if before == seconds { seconds } else { 0 }));
}
