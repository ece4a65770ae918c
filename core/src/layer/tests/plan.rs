//! A whole plan in front of a service.

use std::num::NonZeroU32;
use std::time::Duration;

use super::*;
use crate::auth::{Auth, Forward, IdentityHeaders, TokenSources};
use crate::headers::{Family, HeaderRules, TrustedProxies};
use crate::plan::{Access, AuthIndex, EncodedSeparators, Limits, Plan, Respond, Route, Target};
use crate::route::{Entry, Table};

/// Answers with what it was asked and by whom, and with the fields that it got.
#[derive(Clone)]
struct Echo;

impl Service<Request<Bytes>> for Echo {
    type Response = Response<Text>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Text>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let matched = request.extensions().get::<Matched>().unwrap();
        let who = request.extensions().get::<Identity>().map_or("nobody", Identity::id);
        let id = matched.param("id").unwrap_or("none");
        let mut response =
            Response::new(Text(Some(format!("{who} {} id={id} {}", matched.name(), request.uri()).into())));
        *response.headers_mut() = request.headers().clone();
        ready(Ok(response))
    }
}

fn route(name: &str, pattern: &str, access: Access, limits: Vec<Rule>) -> Route {
    Route {
        access,
        cache: None,
        encoded_separators: EncodedSeparators::Reject,
        limits: Limits::new(limits.into_iter().map(Arc::new).collect()),
        max_body_size: None,
        name: name.into(),
        pattern: pattern.parse().unwrap(),
        request: HeaderRules::default(),
        require: None,
        response: HeaderRules::default(),
        target: Target::Respond(Respond { body: Bytes::new(), headers: HeaderMap::new(), status: StatusCode::OK }),
        timeout: Duration::from_secs(1),
        upgrade: Box::default(),
    }
}

/// `/open/**` for everyone, three an hour for each address; `/orders/{id}` for who has a name, two an hour.
fn plan(names: Names) -> Plan {
    let auth = Auth {
        forward: [Forward { header: "x-user-id".parse().unwrap(), claim: "id".into() }].into(),
        token: TokenSources::new(["header:authorization", "query:key"].map(|place| place.parse().unwrap())),
        ..Auth::bearer("names", Arc::new(names))
    };
    let routes = [
        route("open", "/open/**", Access::Public, vec![Rule::new("open", "3/h".parse().unwrap())]),
        route("orders", "/orders/{id}", Access::Verified([AuthIndex(0)].into()), vec![rule("2/h")]),
    ];
    let entry = |route: &Route| Entry { pattern: route.pattern.clone(), hosts: Vec::new(), methods: Vec::new() };
    Plan {
        table: Table::new(routes.iter().map(entry).collect()).unwrap(),
        identity_headers: IdentityHeaders::new(auth.forward.iter().map(|forward| &forward.header)),
        auths: [auth].into(),
        cache_size: 0,
        routes: routes.into(),
        trusted: TrustedProxies::new(["10.0.0.0/8".parse().unwrap()], Family::XForwardedFor),
        upstreams: [].into(),
    }
}

fn ask(path: &str, fields: &[(&str, &str)]) -> Request<Bytes> {
    let builder = Request::builder().uri(path).header("host", "shop.test");
    fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value)).body(Bytes::new()).unwrap()
}

/// Whatever has to wait: nothing, the verifier, the store.
fn layers() -> [AdmitLayer; 3] {
    let near = || MemoryStore::with(crate::time::Clock::system(), 100);
    let later = Names { later: true, answered: Arc::new(AtomicBool::new(true)), ..Names::default() };
    let remembers = Names { remembers: true, ..Names::default() };
    [
        AdmitLayer::new(plan(remembers.clone()), near()),
        AdmitLayer::new(plan(later), near()),
        AdmitLayer::new(plan(remembers), far(false, true)),
    ]
}

#[test]
fn what_is_admitted_goes_on_with_what_was_found_out() {
    for layer in layers() {
        let mut service = layer.layer(Echo);
        let forged =
            [("authorization", "Bearer ada"), ("x-user-id", "root"), ("x_user_id", "root"), ("x-other", "kept")];
        let answer = say(&mut service, ask("/orders/a%62c?page=2", &forged));
        let fields = answer.headers();
        assert_eq!((&fields["x-user-id"], &fields["x-other"]), (&"ada".parse().unwrap(), &"kept".parse().unwrap()));
        assert!(!fields.contains_key("x_user_id") && !fields.contains_key("authorization"), "{fields:?}");
        assert_eq!((&fields["x-ratelimit-limit"], &fields["x-ratelimit-remaining"]), (&2.into(), &1.into()));
        assert_eq!(text(answer.into_body()), "ada orders id=abc /orders/a%62c?page=2");

        let answer = say(&mut service, ask("/orders/7?a=1&key=bob&b=2", &[("x-user-id", "root")]));
        assert_eq!(answer.headers()["x-user-id"], "bob");
        assert_eq!(text(answer.into_body()), "bob orders id=7 /orders/7?a=1&b=2");
        assert_eq!(text(say(&mut service, ask("/orders/7?key=bob", &[])).into_body()), "bob orders id=7 /orders/7");

        let answer = say(&mut service, ask("/open/x", &[("x-user-id", "root"), ("authorization", "Bearer ada")]));
        assert!(!answer.headers().contains_key("x-user-id"), "on a public route too");
        assert_eq!(text(answer.into_body()), "nobody open id=none /open/x");
    }
}

/// Neither by what stands in the request already, nor by having it dropped further in.
#[test]
fn a_client_has_no_say_in_who_it_is() {
    for layer in layers() {
        let mut service = layer.layer(Echo);
        let fields = [("authorization", "Bearer ada"), ("connection", "close, X-User-Id"), ("connection", "x-user-id")];
        let answer = say(&mut service, ask("/orders/7", &fields));
        let lines: Vec<_> = answer.headers().get_all("connection").iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!((&answer.headers()["x-user-id"], lines), (&"ada".parse().unwrap(), vec!["close", ""]));

        let mut before = ask("/open/x", &[]);
        before.extensions_mut().insert(Identity::new("names", "root", Map::new(), None).unwrap());
        assert_eq!(text(say(&mut service, before).into_body()), "nobody open id=none /open/x");
    }
}

#[test]
fn what_is_refused_gets_the_gateways_answer() {
    for layer in layers() {
        let mut service = layer.layer(Echo);
        let mut refused = |path, fields: &[_]| {
            let answer = say(&mut service, ask(path, fields));
            let rejection = answer.extensions().get::<Rejection>().map_or("none", |rejection| rejection.code());
            (answer.status().as_u16(), rejection, answer.headers().contains_key("ratelimit"))
        };
        assert_eq!(refused("/nothing", &[]), (404, "no-route", false));
        assert_eq!(refused("/open/%2F", &[]), (400, "bad-request", false));
        assert_eq!(refused("/orders/7", &[]), (401, "missing-token", false));
        assert_eq!(refused("/orders/7", &[("authorization", "Bearer bad")]), (401, "invalid-token", false));
        let ada = [("authorization", "Bearer ada")];
        let outcomes = [(); 3].map(|()| refused("/orders/7", &ada));
        assert_eq!(outcomes, [(200, "none", true), (200, "none", true), (429, "limited", true)]);
    }
}

/// The peer's address, unless the plan trusts the peer to say whom it speaks for; all are one where nobody says who the peer is.
#[test]
fn the_client_is_whom_a_trusted_peer_speaks_for() {
    let statuses = |layer: AdmitLayer| {
        let mut service = layer.layer(Echo);
        let mut status = |peer: [u8; 4], client: &str| {
            let mut request = ask("/open/x", &[("x-forwarded-for", client)]);
            request.extensions_mut().insert(IpAddr::from(peer));
            say(&mut service, request).status().as_u16()
        };
        let mut four = |peer| ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"].map(|client| status(peer, client));
        [four([10, 0, 0, 1]), four([203, 0, 113, 9])]
    };
    let layer = || AdmitLayer::new(plan(Names::default()), MemoryStore::new());
    assert_eq!(
        statuses(layer().peer(|parts| parts.extensions.get().copied())),
        [[200; 4], [200, 200, 200, 429]],
        "the second peer speaks for nobody but itself"
    );
    assert_eq!(statuses(layer()), [[200, 200, 200, 429], [429; 4]]);
}

/// A store that is lost while its answer is awaited: the plan's own word, from the layer's own memory.
#[test]
fn a_lost_store_leaves_this_nodes_share() {
    struct Lost(Far);
    impl RateLimitStore for Lost {
        fn take(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>> {
            self.0.take(charges)
        }
        fn nodes(&self) -> NonZeroU32 {
            NonZeroU32::new(2).unwrap()
        }
    }
    let remembers = Names { remembers: true, ..Names::default() };
    let mut service = AdmitLayer::new(plan(remembers), Lost(far(true, true))).layer(Echo);
    let ada = [("authorization", "Bearer ada")];
    let statuses = [(); 2].map(|()| say(&mut service, ask("/orders/7", &ada)).status().as_u16());
    assert_eq!(statuses, [200, 429]);
}
