use proptest::prelude::*;
use serde_json::json;

use super::*;

const UNTIL: UnixTime = UnixTime::from_secs(100);
const BEFORE: UnixTime = UnixTime::from_secs(99);

fn identity(id: &str) -> Arc<Identity> {
    Arc::new(Identity::new("users", id, Map::new(), None).unwrap())
}

fn remember(cache: &TokenCache, token: &str, generation: u64) {
    cache.insert(token, generation, identity(token), UNTIL);
}

fn knows(cache: &TokenCache, token: &str, generation: u64, now: UnixTime) -> bool {
    cache.get(token, generation, now).is_some_and(|identity| identity.id() == token)
}

fn held(cache: &TokenCache) -> usize {
    let shard = cache.shards.mine();
    shard.young.len() + shard.old.len()
}

/// J16
#[test]
fn a_token_is_known_until_it_ends_and_not_a_second_longer() {
    let cache = TokenCache::new(8);
    remember(&cache, "a", 0);
    assert!(knows(&cache, "a", 0, BEFORE));
    assert!(!knows(&cache, "b", 0, BEFORE));
    assert!(!knows(&cache, "a", 0, UNTIL));
    assert_eq!(held(&cache), 0, "what has ended is gone");
}

/// J16: also one that has become old.
#[test]
fn an_old_token_ends_too() {
    let cache = TokenCache::new(2);
    remember(&cache, "a", 0);
    remember(&cache, "b", 0);
    assert!(!knows(&cache, "a", 0, UNTIL));
    assert_eq!(held(&cache), 1);
}

/// J16
#[test]
fn new_keys_forget_everything_in_one_step() {
    let cache = TokenCache::new(2);
    remember(&cache, "a", 1);
    remember(&cache, "b", 1);
    assert!(!knows(&cache, "a", 2, BEFORE));
    assert_eq!(held(&cache), 0);
    // A verification that began before the change comes too late.
    remember(&cache, "a", 1);
    assert_eq!(held(&cache), 0);
    remember(&cache, "a", 2);
    assert!(!knows(&cache, "a", 1, BEFORE));
    assert!(knows(&cache, "a", 2, BEFORE));
}

#[test]
fn what_is_asked_for_stays_when_others_go() {
    let cache = TokenCache::new(8);
    remember(&cache, "busy", 0);
    for number in 0..100 {
        remember(&cache, &format!("idle {number}"), 0);
        assert!(knows(&cache, "busy", 0, BEFORE), "after {number}");
    }
    assert!(!knows(&cache, "idle 0", 0, BEFORE));
}

#[test]
fn a_heavy_identity_is_not_kept() {
    let cache = TokenCache::new(8);
    let heavy = json!(vec![json!({ "a": 1 }); 16]);
    let claims = Map::from_iter([("list".to_owned(), heavy)]);
    assert!(weight(&claims) > MAX_IDENTITY);
    cache.insert("a", 0, Arc::new(Identity::new("users", "a", claims, None).unwrap()), UNTIL);
    assert!(cache.get("a", 0, BEFORE).is_none());
}

#[test]
fn an_ordinary_identity_weighs_what_the_docs_say() {
    let claims: Map<_, _> = (0..10).map(|number| (format!("claim{number}"), json!("a dozen text"))).collect();
    assert!((1024..2048).contains(&weight(&claims)), "{}", weight(&claims));
}

/// J16: the end of a token is where it is looked for, and all of it is what it is known by.
#[test]
fn a_token_with_the_end_of_another_is_another() {
    let cache = TokenCache::new(8);
    remember(&cache, "one.same-end", 0);
    assert!(cache.get("two.same-end", 0, BEFORE).is_none());
    assert!(cache.get("same-end", 0, BEFORE).is_none());
    assert!(knows(&cache, "one.same-end", 0, BEFORE), "asking for another changes nothing");
    remember(&cache, "two.same-end", 0);
    assert!(knows(&cache, "two.same-end", 0, BEFORE));
    assert!(cache.get("one.same-end", 0, BEFORE).is_none(), "the later one has its place");
    let elsewhere = std::thread::scope(|scope| {
        scope.spawn(|| (cache.get("one.same-end", 0, BEFORE), cache.get("two.same-end", 0, BEFORE))).join().unwrap()
    });
    assert!(elsewhere.0.is_none() && elsewhere.1.is_some(), "other threads learn it so, too");
}

#[test]
fn two_caches_know_a_token_by_different_keys() {
    assert!(TokenCache::new(8).key("a") != TokenCache::new(8).key("a"));
}

proptest! {
    #[test]
    fn never_more_than_its_bound(tokens in prop::collection::vec(0_u32..40, 0..200), bound in 1_usize..20) {
        let cache = TokenCache::new(bound);
        for token in tokens {
            let token = token.to_string();
            if !knows(&cache, &token, 0, BEFORE) {
                remember(&cache, &token, 0);
            }
            prop_assert!(knows(&cache, &token, 0, BEFORE));
            prop_assert!(held(&cache) <= bound.max(2));
        }
    }
}
