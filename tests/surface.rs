//! What every public type of core can do: it goes to other threads, it can be looked at, and a clone is cheap or it has none. Held by the
//! compiler; that none is forgotten is read from the sources.

#![allow(unused_qualifications, reason = "three names are in two modules each")]

use std::fmt::Debug;
use std::path::Path;

use portcullis_core::admit::*;
use portcullis_core::auth::*;
use portcullis_core::caching::*;
use portcullis_core::expr::*;
use portcullis_core::headers::*;
use portcullis_core::layer::*;
use portcullis_core::limit::*;
use portcullis_core::plan::*;
use portcullis_core::rejection::*;
use portcullis_core::route::*;
use portcullis_core::source::*;
use portcullis_core::subject::*;
use portcullis_core::template::*;
use portcullis_core::time::*;
use portcullis_core::upstream::*;
use portcullis_core::{Answer, Sharded};

fn cloned<T: Send + Sync + Debug + Clone>() {}
fn shared<T: Send + Sync + Debug>() {}
fn sent<T: Send + Debug>() {}

macro_rules! all {
    ($($check:ident: $($type:ty),*;)*) => {
        #[test]
        fn types_can_do_what_they_should() {
            $($($check::<$type>();)*)*
        }

        const NAMED: &str = stringify!($($($type),*),*);
    };
}

all! {
    // One value of these stands for one thing that is counted or kept: an Arc shares it.
    shared: StatusText, Admitted<'_>, ApiKeyVerifier, Endpoint, Lease, Limits, MemoryStore, Permit, Plan, Pool, Refused, Roster, RoundRobin, Route, RuledFields, Routed<'_, '_>,
        Sharded<u8>, Snapshot, Split, StoreError, Table, Target, portcullis_core::plan::Upstream;
    // A future of somebody else's may be in these, and that need not be shared.
    sent: Answer<u8>, ResponseFuture<Nothing, ()>;
    cloned: Accepted<'_>, Access, Admit<()>, AdmitLayer, portcullis_core::auth::Algorithm, portcullis_core::limit::Algorithm, ApiKey, Arrival,
        portcullis_core::caching::Ask, portcullis_core::upstream::Ask<'_>, Answered<'_>, Auth, AuthError, AuthIndex, Authenticate<()>, AuthenticateLayer, Balance, Breaker, BreakerBuilder, BreakerChange,
        BreakerSettings, BreakerState, CanonicalPath<'_>, Challenge, Charge, ChargeSet, Clock, EncodedSeparators, EndpointIndex,
        EndpointUrl, EndpointUrlError, Change<'_>, Eject, EndpointStanding, EndpointState, Discovered, DiscoveryError, Place,
        Refresh, Refreshed,
        Entry, EvalError, Expr, ExprError, Reads, Yields, Facts<'_>, Family, Fault, portcullis_core::auth::Forward, portcullis_core::caching::Forward, ForwardedClaims, Forwarding, Found, Hash, Head<'_>, HeaderError, HeaderFamilies, HeaderRule,
        Fallback, HeaderRules, HeaderTemplate, HopByHop, HostError, HostPattern, Identity, IdentityHeaders, JwtConfigError,
        JwtVerifier, HealthCheck,
        JwtVerifierBuilder, KeyError, KeyHash, KeyHashError, KeyKind, KeySet, KeySetError, LeastRequest, ManualClock, Matched,
        Member, Missed<'_>, Mode, Moment, Network, NetworkError, NoEndpoint, NoKeys, OnFailure, Open, OpenedBy, Opens, Params<'_>,
        PassedOver, PathError, Pattern, PatternError, PatternProblem, Policies, Proto, Protocol, ProtocolError, PseudonymError,
        Quota, Random, Rate, RateError, RateLimit<()>, RateLimitLayer, Redirect, RedirectTemplate, Rejection, Rendered, Respond,
        Retries, RetryBudget, RetryOn, Rewrite, Rewritten<'_>, RouteIndex, Rule, RuleId, PeakEwma, RosterSettings, RosterState,
        portcullis_core::auth::Scheme, portcullis_core::caching::Scheme, portcullis_core::upstream::Scheme, portcullis_core::plan::Server, Services<'_>, Share, SigningKey, Source,
        Bypass, ByteRange, CacheRule, CacheStatus, Freshness, KeyRoute, MaxStale, Named, Origin<'_>, RequestControl, ResponseControl, Reuse, Sent,
        Storable, Unstorable, VaryNames, SourceError, portcullis_core::limit::Standing, portcullis_core::route::Standing, Stats, Subject, SubjectKey, Survey, Tally, TargetTemplate, TemplateError, Thresholds, Tie, TokenSource, TokenSourceError,
        TokenSources, TraceError, TraceParent, Tried, TrustedProxies, Unfit, UnixTime, UnknownAlgorithm, Upgrade, UpstreamIndex, Verdict, VerifyingKeys, Via;
}

/// What an embedder of the whole gateway holds.
#[test]
fn types_of_the_gateway_can_do_what_they_should() {
    use portcullis::config::{self, Config, LoadOptions, Problem, Report, Secret, Settings, VerifierSettings};
    use portcullis::gateway::{Admin, ResponseFuture};
    use portcullis::observe::{Clip, Ending, LimitRecord, Origin, Record, RouteSeries, UpstreamSeries};
    use portcullis::{
        Gateway, GatewayBuilder, GatewayError, RequestBody, RequestBodyError, ResponseBody, ResponseBodyError,
    };

    cloned::<(Gateway, Admin, Report, Problem, Secret, Settings, VerifierSettings)>();
    cloned::<(LoadOptions<'_>, config::Builder, Clip, Ending, LimitRecord, Origin)>();
    cloned::<(RequestBodyError, ResponseBodyError)>();
    shared::<(Config, GatewayBuilder, GatewayError, Record, RouteSeries, UpstreamSeries, portcullis::Server)>();
    // Somebody else's body and future may be within.
    sent::<(RequestBody, ResponseBody, ResponseFuture)>();
}

#[test]
fn types_of_the_key_source_can_do_what_they_should() {
    cloned::<(portcullis_jwks::Jwks, portcullis_jwks::JwksBuilder, portcullis_jwks::JwksUrl)>();
    cloned::<(portcullis_jwks::Status, portcullis_jwks::JwksUrlError)>();
    shared::<portcullis_jwks::JwksError>();
}

#[test]
fn types_of_the_redis_store_can_do_what_they_should() {
    use portcullis_redis::{Builder, Counters, OpenError, RedisStore, Refusal, State, StoreUrl, Undecided, UrlError};

    cloned::<(Builder, Counters, RedisStore, Refusal, State, StoreUrl, UrlError)>();
    shared::<(OpenError, Undecided)>();
}

/// A body is as its inner one is.
#[test]
fn a_body_is_what_its_inner_one_is() {
    cloned::<std::sync::Arc<Body<Vec<u8>>>>();
}

/// A service of nothing, whose future is a type that exists.
#[derive(Debug)]
struct Nothing;

impl tower_service::Service<http::Request<()>> for Nothing {
    type Response = http::Response<()>;
    type Error = std::convert::Infallible;
    type Future = std::future::Pending<Result<http::Response<()>, std::convert::Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Pending
    }

    fn call(&mut self, _: http::Request<()>) -> Self::Future {
        std::future::pending()
    }
}

#[test]
fn no_public_type_is_forgotten() {
    let named = format!("{NAMED} Body");
    let named: Vec<_> = named.split(|c: char| !c.is_alphanumeric()).collect();
    let mut forgotten = Vec::new();
    public_types(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/core/src")), &mut |name, file| {
        if !named.contains(&name) {
            forgotten.push(format!("{name} of {}", file.display()));
        }
    });
    assert!(forgotten.is_empty(), "add them to the list above: {forgotten:#?}");
}

/// Every `pub struct` and `pub enum` of core, but for what only tests are given.
fn public_types(folder: &Path, found: &mut impl FnMut(&str, &Path)) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "testing") {
            public_types(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                let line = line.trim_start();
                let declared = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
                if let Some(name) = declared.and_then(|rest| rest.split(|c: char| !c.is_alphanumeric()).next()) {
                    found(name, &path);
                }
            }
        }
    }
}
