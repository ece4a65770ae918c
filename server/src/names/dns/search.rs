//! Which names a name that is written may be short for, and which of them it is (RFC 1123, section 6.1.4.3; resolv.conf(5)).

use std::future::Future;

use hickory_resolver::proto::rr::{Name, RecordType};

use super::Family;

/// The fully qualified names that `name` may stand for, in the order in which they are asked for: as it is written before the search
/// domains where it has at least `ndots` dots, else after them. One that ends with a dot is itself and nothing else.
pub(super) fn candidates(name: &Name, search: &[Name], ndots: usize) -> Vec<Name> {
    let mut written = name.clone();
    written.set_fqdn(true);
    if name.is_fqdn() {
        return vec![written];
    }
    // Where the domain makes it too long for a name, there is no such name.
    let mut names: Vec<_> = search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
    let dots = name.iter().count().saturating_sub(1);
    let place = if dots >= ndots { 0 } else { names.len() };
    names.insert(place, written);
    let mut all: Vec<Name> = Vec::with_capacity(names.len());
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// What one question comes to: the addresses, of which there may be none, or none where there is no such name.
///
/// # Errors
/// Nobody could say.
pub(super) type Outcome = Result<Option<Family>, String>;

/// What was found, under which name. At least one of the two families has addresses; one that nobody could say anything of is an error.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: Name,
    pub(super) v4: Outcome,
    pub(super) v6: Outcome,
}

/// The first of these names that has an address, of either family. Where nobody could say whether one has, those after it are not asked
/// for: they may be somebody else's, and requests would go there until the first is known again.
///
/// # Errors
/// None of them has an address, or nobody could say.
pub(super) async fn first_found<F>(names: Vec<Name>, ask: impl Fn(Name, RecordType) -> F) -> Result<Found, String>
where
    F: Future<Output = Outcome>,
{
    for name in names {
        let (v4, v6) = tokio::join!(ask(name.clone(), RecordType::A), ask(name.clone(), RecordType::AAAA));
        if [&v4, &v6].into_iter().flatten().flatten().any(|family| !family.addresses.is_empty()) {
            return Ok(Found { name, v4, v6 });
        }
        match (v4, v6) {
            // Then there is none of the other family either, whatever a server that fails at AAAA makes of that. Not the other way
            // round: there are servers that say it of AAAA where there is an A (RFC 4074, section 4.2).
            (Ok(None), _) | (Ok(_), Ok(_)) => {}
            (Err(error), _) | (_, Err(error)) => return Err(error),
        }
    }
    Err("the name has no address".to_owned())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn all(written: &str, search: &[&str], ndots: usize) -> Vec<String> {
        let search: Vec<_> = search.iter().copied().map(name).collect();
        candidates(&name(written), &search, ndots).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn search_domains_come_first_while_a_name_has_too_few_dots() {
        let search = ["prod.svc.", "svc", "corp.example"];
        assert_eq!(all("orders", &search, 1), ["orders.prod.svc.", "orders.svc.", "orders.corp.example.", "orders."]);
        assert_eq!(all("a.b.c.d", &["x"], 5), ["a.b.c.d.x.", "a.b.c.d."]);
        assert_eq!(all("a.b", &["x", "y"], 1), ["a.b.", "a.b.x.", "a.b.y."]);
        assert_eq!(all("a", &["x"], 0), ["a.", "a.x."]);
        // Nothing is searched without domains, nor where the name ends with a dot.
        assert_eq!((all("a", &[], 5), all("a.b.", &search, 5)), (vec!["a.".to_owned()], vec!["a.b.".to_owned()]));
        // The root as a domain is the name itself; nothing is asked for twice, and nothing that is too long.
        let long = ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(60)].join(".");
        assert_eq!(all("orders.example", &[".", "x", "X", &long], 2), ["orders.example.", "orders.example.x."]);
    }

    fn some(address: &str) -> Outcome {
        Ok(Some(Family { addresses: vec![address.parse().unwrap()], holds: Duration::from_secs(9) }))
    }

    fn fails() -> Outcome {
        Err("error response: Server Failure".to_owned())
    }

    /// What these names come to, and what was asked for. Any other has no address, but exists.
    async fn ask(says: &[(&str, RecordType, Outcome)]) -> (Result<Found, String>, Vec<String>) {
        let names = candidates(&name("orders"), &["svc", "corp.example"].map(name), 5);
        let asked = RefCell::new(Vec::new());
        let found = first_found(names, async |name, of| {
            asked.borrow_mut().push(format!("{name} {of}"));
            let says = says.iter().find(|(known, kind, _)| *known == name.to_string() && *kind == of);
            says.map_or(Ok(Some(Family::default())), |(_, _, says)| says.clone())
        });
        (found.await, asked.into_inner())
    }

    const A: RecordType = RecordType::A;
    const AAAA: RecordType = RecordType::AAAA;

    #[tokio::test]
    async fn a_name_that_nobody_can_say_anything_of_hides_those_after_it() {
        let elsewhere = || ("orders.corp.example.", A, some("192.0.2.1"));
        let (found, _) = ask(&[elsewhere()]).await;
        assert_eq!(found.unwrap().name, name("orders.corp.example."));
        let failing = |of| ("orders.svc.", of, fails());
        let no_aaaa = || ("orders.svc.", AAAA, Ok(None));
        for says in [
            vec![failing(A), elsewhere()],
            vec![failing(AAAA), elsewhere()],
            vec![failing(A), failing(AAAA), elsewhere()],
            vec![failing(A), no_aaaa(), elsewhere()],
        ] {
            let (found, asked) = ask(&says).await;
            assert_eq!(found.unwrap_err(), "error response: Server Failure");
            assert_eq!(asked, ["orders.svc. A", "orders.svc. AAAA"]);
        }
    }

    #[tokio::test]
    async fn a_name_is_found_where_one_family_is() {
        let says = [
            ("orders.svc.", A, fails()),
            ("orders.svc.", AAAA, some("2001:db8::1")),
            ("orders.", A, some("192.0.2.1")),
        ];
        let found = ask(&says).await.0.unwrap();
        assert_eq!(found.name, name("orders.svc."));
        assert!(found.v4.is_err() && found.v6 == some("2001:db8::1"));
        // The other family is never another name's.
        let says = [("orders.svc.", AAAA, some("2001:db8::1")), ("orders.corp.example.", A, some("192.0.2.1"))];
        let found = ask(&says).await.0.unwrap();
        assert_eq!((found.name, found.v4), (name("orders.svc."), Ok(Some(Family::default()))));
    }

    #[tokio::test]
    async fn where_there_is_no_such_name_it_is_the_next_whatever_aaaa_fails_with() {
        let says = [("orders.svc.", A, Ok(None)), ("orders.svc.", AAAA, fails()), ("orders.", A, some("192.0.2.1"))];
        assert_eq!(ask(&says).await.0.unwrap().name, name("orders."));
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_none() {
        let (found, asked) = ask(&[]).await;
        assert_eq!((found.unwrap_err().as_str(), asked.len()), ("the name has no address", 6));
    }
}
