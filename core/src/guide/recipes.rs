//! What people build.
//!
//! # A limit for each tenant
//!
//! Whom a rule counts is a [source](crate::source): here a claim of the identity. A request without it is counted by its client's
//! address.
//!
//! ```
//! use portcullis_core::auth::Identity;
//! use portcullis_core::limit::{MemoryStore, RateLimitStore, Rule};
//! use portcullis_core::route::Params;
//! use portcullis_core::source::Facts;
//! use portcullis_core::subject::SubjectKey;
//! use portcullis_core::testing::wait;
//! use serde_json::{Map, json};
//!
//! let rule = Rule::new("per-tenant", "2/min".parse()?).keyed_by("claim:tenant".parse()?);
//! let (store, key) = (MemoryStore::new(), SubjectKey::random());
//! let (headers, method) = (http::HeaderMap::new(), http::Method::GET);
//! let mut admitted = |id: &str, tenant: &str| {
//!     let claims = Map::from_iter([("tenant".to_owned(), json!(tenant))]);
//!     let who = Identity::new("login", id, claims, None)?;
//!     let facts = Facts {
//!         client: None, headers: &headers, host: "shop.test", identity: Some(&who), method: &method,
//!         params: Params::EMPTY, path: "/", query: None,
//!     };
//!     Ok::<_, Box<dyn std::error::Error>>(wait(store.take(&[rule.charge(&key, &facts)]))?.admitted)
//! };
//! assert!(admitted("ada", "acme")? && admitted("bob", "acme")?, "two of one tenant");
//! assert!(!admitted("carol", "acme")?, "its budget is shared");
//! assert!(admitted("dave", "globex")?, "another's is not");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Several issuers
//!
//! One verifier each, asked in order; the first that accepts decides. Their names keep equal ids apart.
//!
//! ```
//! use portcullis_core::Answer;
//! use portcullis_core::auth::{AuthError, Identity, JwtVerifier, TokenVerifier};
//! use portcullis_core::testing::{mint, wait};
//! use portcullis_core::time::UnixTime;
//! use std::sync::Arc;
//!
//! struct AnyOf(Vec<JwtVerifier>);
//!
//! impl TokenVerifier for AnyOf {
//!     fn verify(&self, token: &str, now: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>> {
//!         let (verifiers, token) = (self.0.clone(), token.to_owned());
//!         Answer::later(async move {
//!             let mut last = AuthError::Invalid("no issuer");
//!             for verifier in &verifiers {
//!                 match verifier.verify(&token, now).await {
//!                     Ok(who) => return Ok(who),
//!                     // What could not be checked may have been good: that is the better answer.
//!                     Err(AuthError::Unavailable) => last = AuthError::Unavailable,
//!                     Err(error) if last != AuthError::Unavailable => last = error,
//!                     Err(_) => {}
//!                 }
//!             }
//!             Err(last)
//!         })
//!     }
//! }
//!
//! # use portcullis_core::auth::Algorithm;
//! let secret = |issuer: &str| format!("the secret of {issuer}, which has more than 32 bytes");
//! let of = |issuer: &str| {
//!     JwtVerifier::hs256(secret(issuer)).name(issuer).issuer(format!("https://{issuer}.test")).any_audience().build()
//! };
//! let any = AnyOf(vec![of("staff")?, of("shop")?]);
//! let claims = serde_json::json!({ "iss": "https://shop.test", "sub": "ada", "exp": 1_000 });
//! let token = mint(Algorithm::HS256, secret("shop").as_bytes(), claims.as_object().unwrap())?;
//! let ada = wait(any.verify(&token, UnixTime::from_secs(900)))?;
//! assert_eq!((ada.verifier(), ada.id()), ("shop", "ada"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # API keys in one's own database
//!
//! Keep hashes, not keys ([`KeyHash`](crate::auth::KeyHash)); look one up by its hash; bound the length first; say that the database
//! is down and not that the key is wrong. The suite holds it to all that:
//!
//! ```
//! use portcullis_core::Answer;
//! use portcullis_core::auth::{AuthError, Identity, KeyHash, TokenVerifier, generate_api_key};
//! use portcullis_core::testing::auth::{Driver, Holder, conformance};
//! use portcullis_core::time::UnixTime;
//! use std::{collections::HashMap, sync::Arc};
//!
//! /// Stands for the database: a pool of connections, say. It may be down.
//! #[derive(Clone)]
//! struct Database(Option<Arc<HashMap<KeyHash, (String, UnixTime)>>>);
//!
//! impl Database {
//!     async fn find(&self, hash: KeyHash) -> Result<Option<(String, UnixTime)>, &'static str> {
//!         Ok(self.0.as_ref().ok_or("down")?.get(&hash).cloned())
//!     }
//! }
//!
//! struct Keys(Database);
//!
//! impl TokenVerifier for Keys {
//!     fn verify(&self, key: &str, now: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>> {
//!         if key.len() > 512 {
//!             return Answer::Now(Err(AuthError::Invalid("too_long")));
//!         }
//!         let (database, hash) = (self.0.clone(), KeyHash::of(key));
//!         Answer::later(async move {
//!             match database.find(hash).await {
//!                 Err(_) => Err(AuthError::Unavailable),
//!                 Ok(Some((id, expires))) if now < expires => Identity::new("keys", id, Default::default(), None).map(Arc::new),
//!                 Ok(_) => Err(AuthError::Invalid("unknown_key")),
//!             }
//!         })
//!     }
//! }
//!
//! struct Drive;
//! impl Drive {
//!     fn filled(holders: &[Holder]) -> (HashMap<KeyHash, (String, UnixTime)>, Vec<String>) {
//!         let keys: Vec<_> = holders.iter().map(|_| generate_api_key().unwrap()).collect();
//!         let row = |(key, holder): (&String, &Holder)| (KeyHash::of(key), (holder.id.clone(), holder.expires));
//!         (keys.iter().zip(holders).map(row).collect(), keys)
//!     }
//! }
//! impl Driver for Drive {
//!     fn verifier(&self, holders: &[Holder]) -> (Arc<dyn TokenVerifier>, Vec<String>) {
//!         let (rows, keys) = Self::filled(holders);
//!         (Arc::new(Keys(Database(Some(Arc::new(rows))))), keys)
//!     }
//!     fn longest(&self) -> usize {
//!         512
//!     }
//!     fn unavailable(&self, holders: &[Holder]) -> Option<(Arc<dyn TokenVerifier>, Vec<String>)> {
//!         Some((Arc::new(Keys(Database(None))), Self::filled(holders).1))
//!     }
//! }
//! conformance(&Drive);
//! ```
//!
//! # A picker of one's own
//!
//! Here one that keeps a key on its endpoint (rendezvous hashing): whoever has the highest score for it. A failed endpoint's keys
//! are spread over the others, and come back. The suite holds it to what it claims:
//!
//! ```
//! use portcullis_core::testing::upstream::{Claims, Driver, conformance};
//! use portcullis_core::upstream::{Ask, EndpointIndex, Snapshot, UpstreamPicker};
//! use std::hash::{DefaultHasher, Hash, Hasher};
//! use std::sync::Arc;
//!
//! struct Rendezvous;
//!
//! impl UpstreamPicker for Rendezvous {
//!     fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
//!         let key = ask.key.unwrap_or(ask.random);
//!         let score = |index: &EndpointIndex| {
//!             let mut hasher = DefaultHasher::new();
//!             (key, index).hash(&mut hasher);
//!             // Between nought and one, drawn towards one by the weight.
//!             let drawn = (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64;
//!             drawn.ln() / pool.get(*index).map_or(1.0, |member| f64::from(member.weight.get()))
//!         };
//!         let open = (0..pool.members().len()).map(EndpointIndex).filter(|index| !ask.tried.contains(index));
//!         open.max_by(|a, b| score(a).total_cmp(&score(b)))
//!     }
//! }
//!
//! struct Drive;
//! impl Driver for Drive {
//!     fn picker(&self, _: &Snapshot) -> Arc<dyn UpstreamPicker> {
//!         Arc::new(Rendezvous)
//!     }
//!     fn claims(&self) -> Claims {
//!         Claims { weights: true, retries: true, keys: true }
//!     }
//! }
//! conformance(&Drive);
//! ```
//!
//! # Testing one's limits
//!
//! With a manual clock a minute takes no time:
//!
//! ```
//! use portcullis_core::limit::{Charge, MemoryStore, Mode, RateLimitStore, Rule};
//! use portcullis_core::subject::Subject;
//! use portcullis_core::testing::{Clock, wait};
//! use portcullis_core::time::UnixTime;
//!
//! let rule = Rule::new("per-user", "1/min".parse()?);
//! let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
//! let store = MemoryStore::with(clock, 100);
//! let charge = Charge { rule: rule.id(), subject: Subject::overflow(rule.id()), quota: rule.quota(), cost: 1, mode: Mode::Enforce, overshoot: 0 };
//! assert!(wait(store.take(&[charge]))?.admitted);
//! let refused = wait(store.take(&[charge]))?;
//! assert_eq!((refused.admitted, refused.retry_after()), (false, 60));
//! hand.advance(refused.wait);
//! assert!(wait(store.take(&[charge]))?.admitted);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A whole configuration is tested where it is read: see `portcullis::config`.
