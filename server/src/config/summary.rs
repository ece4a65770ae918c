//! What `check` prints of a configuration that is in order.

use portcullis_core::limit::{Algorithm, MemoryStore, Rule};
use portcullis_core::plan::{Access, CacheRule, Rewrite, Route, Share, Target};

use super::{Config, ListenAddress};
use crate::parts::VerifierSettings;

impl Config {
    /// Where it listens, what each route does, and the worst case of every limit: one line for each.
    pub fn summary(&self) -> Vec<String> {
        let settings = &self.settings;
        let mut lines: Vec<String> = settings.listen.iter().map(|address| self.listener_line(address)).collect();
        lines.extend(self.trusted_line());
        lines.push(match &settings.admin {
            Some(admin) => format!("health and metrics on {}", admin.address),
            None => "no admin listener".to_owned(),
        });
        lines.extend(self.plan.routes.iter().map(|route| self.route_line(route)));
        lines.push(self.open_line());
        lines.extend(self.key_lines());
        lines.extend(self.rule_lines());
        lines.extend(self.in_code_line());
        lines
    }

    fn listener_line(&self, address: &ListenAddress) -> String {
        let as_one = matches!(address, ListenAddress::Unix(_)) && !self.plan.trusted.trusts_unix();
        let note = if as_one { "; its clients count as one, because \"unix\" is not a trusted proxy" } else { "" };
        format!("listens on {address}{note}")
    }

    fn in_code_line(&self) -> Option<String> {
        let places = crate::gateway::in_code(self);
        (!places.is_empty()).then(|| format!("runs only inside a program, which brings {}", places.join(", ")))
    }

    fn trusted_line(&self) -> Option<String> {
        let trusted = &self.plan.trusted;
        let networks = trusted.networks().iter().map(ToString::to_string);
        let peers: Vec<_> = networks.chain(trusted.trusts_unix().then(|| "unix".to_owned())).collect();
        (!peers.is_empty()).then(|| format!("believes {} of {}", trusted.family().as_str(), peers.join(", ")))
    }

    /// Whom nobody asks who they are: what an operator should have meant.
    fn open_line(&self) -> String {
        let is_open = |route: &&Route| {
            route.access == Access::Public && matches!(route.target, Target::Split { .. } | Target::Upstream { .. })
        };
        let open: Vec<&str> = self.plan.routes.iter().filter(is_open).map(|route| &*route.name).collect();
        match &*open {
            [] => "open to anyone: nothing that goes to an upstream".to_owned(),
            _ if self.plan.auths.is_empty() => "open to anyone: everything, since there is no [auth.NAME]".to_owned(),
            names => format!("open to anyone: {}", names.join(", ")),
        }
    }

    fn route_line(&self, route: &Route) -> String {
        let access = match &route.access {
            Access::Public => "public".to_owned(),
            Access::Verified(verifiers) => {
                let names = verifiers.iter().filter_map(|index| self.plan.auths.get(index.0)).map(|auth| &*auth.name);
                format!("for {}", names.collect::<Vec<_>>().join(" or "))
            }
        };
        let limits = match &*route.limits.rules {
            [] => "no limits".to_owned(),
            rules => format!("limits {}", rules.iter().map(|rule| rule.name()).collect::<Vec<_>>().join(", ")),
        };
        let cache = route.cache.as_ref().map_or_else(String::new, cached);
        format!("route {}: {access}, {limits}, {}{cache}", route.name, self.target(&route.target))
    }

    fn target(&self, target: &Target) -> String {
        match target {
            Target::Upstream { rewrite, upstream } => {
                format!("to {}{}", self.plan.upstream_name(*upstream), rewritten(rewrite))
            }
            Target::Split { rewrite, split } => {
                let share = |share: &Share| {
                    let percent = f64::from(share.weight) * 100.0 / split.total() as f64;
                    format!("{} ({} %)", self.plan.upstream_name(share.upstream), (percent * 10.0).round() / 10.0)
                };
                let shares = split.shares().iter().map(share).collect::<Vec<_>>().join(", ");
                let by = split.by().map_or(String::new(), |by| format!(", sticky by {by}"));
                format!("to {shares}{by}{}", rewritten(rewrite))
            }
            Target::Redirect(redirect) => format!("redirects with {}", redirect.status.as_u16()),
            Target::Respond(respond) => format!("answers {}", respond.status.as_u16()),
            _ => "answers".to_owned(),
        }
    }

    /// How many API keys each verifier of them knows.
    fn key_lines(&self) -> impl Iterator<Item = String> {
        self.verifiers.iter().filter_map(|verifier| match verifier {
            VerifierSettings::ApiKey(keys) => Some(format!("keys of {}: {}", keys.name, keys.keys.len())),
            VerifierSettings::InCode(_) | VerifierSettings::Jwt(_) => None,
        })
    }

    /// Each rule once, in the order in which routes name them; those of failed verifications last.
    fn rule_lines(&self) -> Vec<String> {
        let of_routes = self.plan.routes.iter().flat_map(|route| &route.limits.rules);
        let of_failures = self.plan.auths.iter().filter_map(|auth| auth.failures.as_ref());
        let mut lines: Vec<String> = Vec::new();
        for rule in of_routes.chain(of_failures) {
            let line = format!("limit {} for each {}: {}", rule.name(), rule.key(), worst_case(rule));
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }
}

fn cached(rule: &CacheRule) -> String {
    let per = rule.per.as_ref().map(|per| format!(" apart for each {per}")).unwrap_or_default();
    format!(", answers kept{per}")
}

fn rewritten(rewrite: &Rewrite) -> &'static str {
    if *rewrite == Rewrite::Keep { "" } else { ", path rewritten" }
}

/// How a rule counts, as written: "100/min, token-bucket, burst 100".
pub(crate) fn counting(rule: &Rule) -> String {
    let quota = rule.quota();
    let burst = match quota.algorithm {
        Algorithm::TokenBucket => format!(", burst {}", quota.limit()),
        _ => String::new(),
    };
    format!("{}, {}{burst}", rule.rate(), quota.algorithm.name())
}

/// The most that can pass, whether anything is refused at all, and the most memory where that depends on the rule.
pub(crate) fn worst_case(rule: &Rule) -> String {
    let mut text = rule.worst_case();
    if rule.is_shadow() {
        text.push_str("; in shadow: counted, refused never");
    }
    if rule.overshoot() > 0 {
        text.push_str(&format!("; leased: up to {} more in the whole cluster", rule.overshoot()));
    }
    let bytes = rule.bytes_per_key();
    if bytes > 0 {
        let keys = MemoryStore::DEFAULT_CAPACITY as u64;
        text.push_str(&format!(
            "; in memory at most {bytes} bytes a key, {} MB with {keys} keys",
            bytes * keys / 1_000_000
        ));
    }
    text
}
