//! What a route does to the fields of its requests or responses.

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{HeaderError, SetField};
use crate::auth::IdentityHeaders;
use crate::source::Facts;
use crate::template::HeaderTemplate;

/// What a route does to fields: first some are removed, then some are set, then some are added.
///
/// A field that is set or removed goes in every spelling that an upstream could take for it (`X_Tenant` for `x-tenant`),
/// whether or not a value is there to be set: what a client sent never stands where the gateway's word is expected.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules {
    gone: IdentityHeaders,
    removed: Box<[HeaderName]>,
    set: Box<[HeaderRule]>,
    added: Box<[HeaderRule]>,
}

/// One field that is set or added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// Its name.
    pub name: HeaderName,
    /// Whether the value may be shown: none of it is a secret.
    pub is_shown: bool,
    /// Its value.
    pub value: HeaderTemplate,
}

/// The fields of one request that rules set and add, with their values; empty for most, and then it takes no memory.
#[derive(Clone, Debug, Default)]
pub struct RuledFields(Vec<(HeaderName, HeaderValue)>);

impl HeaderRules {
    /// The rules. Which names may be in them is for who compiles them to check.
    pub fn new(
        removed: impl Into<Box<[HeaderName]>>,
        set: impl Into<Box<[HeaderRule]>>,
        added: impl Into<Box<[HeaderRule]>>,
    ) -> Self {
        let (removed, set, added) = (removed.into(), set.into(), added.into());
        let gone = IdentityHeaders::new(removed.iter().chain(set.iter().map(|rule| &rule.name)));
        Self { gone, removed, set, added }
    }

    /// Whether they do nothing.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.set.is_empty() && self.added.is_empty()
    }

    /// The fields that are removed.
    pub fn removed(&self) -> &[HeaderName] {
        &self.removed
    }

    /// The fields that are set.
    pub fn set(&self) -> &[HeaderRule] {
        &self.set
    }

    /// The fields that are added.
    pub fn added(&self) -> &[HeaderRule] {
        &self.added
    }

    /// The values for one request. Read before anything is removed: a rule may set a field from one that goes.
    pub fn fields(&self, facts: &Facts<'_>) -> RuledFields {
        if self.is_empty() {
            return RuledFields::default();
        }
        let rules = self.set.iter().chain(&self.added);
        let fields = rules.filter_map(|rule| rule.value.render(facts).map(|value| (rule.name.clone(), value)));
        RuledFields(fields.collect())
    }

    /// Removes what goes, whatever is set in its place.
    pub fn strip(&self, headers: &mut HeaderMap) {
        if !self.removed.is_empty() || !self.set.is_empty() {
            self.gone.strip(headers);
        }
    }
}

impl RuledFields {
    /// Puts the fields behind those that are there.
    ///
    /// # Errors
    /// [`HeaderError::Full`] when there is no room.
    pub fn write(&self, fields: &mut impl SetField) -> Result<(), HeaderError> {
        self.0.iter().try_for_each(|(name, value)| fields.add_field(name, value))
    }

    /// Takes out the `Host`, which has a place of its own.
    pub fn take_host(&mut self) -> Option<HeaderValue> {
        let at = self.0.iter().position(|(name, _)| *name == HOST)?;
        Some(self.0.remove(at).1)
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::route::Params;

    fn rule(name: &str, value: &str) -> HeaderRule {
        HeaderRule { name: name.parse().unwrap(), is_shown: true, value: HeaderTemplate::parse(value, &[]).unwrap() }
    }

    /// What `rules` make of a request with these fields.
    fn applied(rules: &HeaderRules, fields: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.try_append(HeaderName::from_static(name), HeaderValue::from_static(value)).unwrap();
        }
        let facts = Facts {
            client: None,
            headers: &headers.clone(),
            host: "shop.test",
            identity: None,
            method: &Method::GET,
            params: Params::EMPTY,
            path: "/",
            query: None,
        };
        let ruled = rules.fields(&facts);
        rules.strip(&mut headers);
        ruled.write(&mut headers).unwrap();
        let mut lines: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn removed_then_set_then_added() {
        let rules = HeaderRules::new(
            ["x-debug".parse().unwrap()],
            [rule("x-tenant", "{header:x-debug}"), rule("x-host", "{host}")],
            [rule("x-tenant", "more"), rule("accept", "b")],
        );
        let fields = [("x-debug", "d"), ("x-tenant", "evil"), ("x-tenant", "evil"), ("accept", "a")];
        assert_eq!(
            applied(&rules, &fields),
            ["accept: a", "accept: b", "x-host: shop.test", "x-tenant: d", "x-tenant: more"]
        );
    }

    #[test]
    fn what_cannot_be_set_is_gone_all_the_same() {
        let rules = HeaderRules::new([], [rule("x-tenant", "{claim:tenant}")], []);
        let spellings = [("x-tenant", "evil"), ("x_tenant", "evil"), ("x.tenant", "evil"), ("x-tenants", "kept")];
        assert_eq!(applied(&rules, &spellings), ["x-tenants: kept"]);
    }

    #[test]
    fn no_rules_do_nothing() {
        let rules = HeaderRules::default();
        assert!(rules.is_empty());
        assert_eq!(applied(&rules, &[("x-a", "1")]), ["x-a: 1"]);
    }
}
