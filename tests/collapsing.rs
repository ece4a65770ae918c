//! Many requests for what is not stored make one, and stream its answer as it comes; who may not have it goes on alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use portcullis_suite::{Client, Gateway, Message, Reply, Stage, Upstream, eventually, token};

/// One worker, so that whoever comes next has the connection of who went before.
const ALONE: &str = "listen = [\"127.0.0.1:0\"]\nserver = { workers = 1 }\nadmin = { listen = \"127.0.0.1:0\" }\nlog = { access = \"off\" }\n";

fn config(upstream: &str, cache: &str) -> String {
    format!(
        "[upstreams.app]\nservers = [\"{upstream}\"]\nretries = 0\n[[routes]]\nname = \"all\"\npath = \"/**\"\nupstream = \"app\"\n{cache}\n"
    )
}

const ON: &str = "cache = \"on\"";

fn said(answer: &Message) -> String {
    answer.get("cache-status").unwrap_or("nothing").to_owned()
}

/// Clients that have asked and wait.
fn waiting(gateway: &Gateway, count: usize, target: &str, fields: &str) -> Vec<Client> {
    let ask = |_| {
        let mut client = Client::connect(gateway.address());
        client.send(format!("GET {target} HTTP/1.1\r\nhost: shop.test\r\n{fields}\r\n"));
        client
    };
    (0..count).map(ask).collect()
}

/// Waits until so many requests are in the gateway and none of them is answered.
fn all_wait(gateway: &Gateway, count: usize) {
    eventually("all wait", || gateway.metric("portcullis_cache_waiting") == Some(count as f64));
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n";

/// A thousand that ask at the same time for the same are one request.
#[test]
fn many_misses_are_one_request() {
    let stage = Stage::default();
    let gateway = Gateway::start(&config(&stage.url(), ON));
    let first = waiting(&gateway, 1, "/", "");
    let mut peer = stage.accept();
    peer.request();
    let others = waiting(&gateway, 999, "/", "");
    all_wait(&gateway, 1000);
    peer.send(format!("{HEAD}content-length: 10\r\n\r\n01234"));
    peer.send("56789");
    let mut collapsed = 0;
    for mut client in first.into_iter().chain(others) {
        let answer = client.response().unwrap();
        assert_eq!((answer.status(), answer.text(), answer.complete), (200, "0123456789".to_owned(), true));
        collapsed += usize::from(said(&answer).contains("collapsed"));
    }
    assert_eq!((collapsed, stage.is_empty()), (999, true));
    assert_eq!(gateway.metric("portcullis_cache_requests_total{route=\"all\",outcome=\"collapsed\"}"), Some(999.0));
    assert!(said(&gateway.get("/", &[])).contains("hit"));
}

/// Nobody waits for the whole: each has what is there, whenever it came.
#[test]
fn followers_stream() {
    for framing in ["content-length: 9", "transfer-encoding: chunked"] {
        let stage = Stage::default();
        let gateway = Gateway::start(&config(&stage.url(), ON));
        let piece = |text: &str| match framing {
            "content-length: 9" => text.to_owned(),
            _ => format!("{:x}\r\n{text}\r\n", text.len()),
        };
        let mut clients = waiting(&gateway, 1, "/", "");
        let mut peer = stage.accept();
        peer.request();
        peer.send(format!("{HEAD}{framing}\r\n\r\n{}", piece("one")));
        let mut seen = vec![String::new(); 4];
        let mut expect = |clients: &mut Vec<Client>, text: &str| {
            for (client, seen) in clients.iter_mut().zip(&mut seen) {
                while !seen.contains(text) {
                    seen.push_str(&String::from_utf8(client.some().expect("more comes")).unwrap());
                }
            }
        };
        expect(&mut clients, "one");
        clients.extend(waiting(&gateway, 2, "/", ""));
        expect(&mut clients, "one");
        peer.send(piece("two"));
        expect(&mut clients, "two");
        clients.extend(waiting(&gateway, 1, "/", ""));
        expect(&mut clients, "two");
        peer.send(piece("six"));
        if framing != "content-length: 9" {
            peer.send("0\r\n\r\n");
        }
        expect(&mut clients, "six");
        assert!(stage.is_empty());
        eventually("it is stored", || said(&gateway.get("/", &[])).contains("hit"));
    }
}

/// Whoever led may leave: the fetch goes on for the others, and is stored.
#[test]
fn the_fetch_outlives_its_clients() {
    let stage = Stage::default();
    let gateway = Gateway::start(&format!("{ALONE}{}", config(&stage.url(), ON)));
    let leader = waiting(&gateway, 1, "/", "");
    let mut peer = stage.accept();
    peer.request();
    let followers = waiting(&gateway, 5, "/", "");
    all_wait(&gateway, 6);
    drop(leader);
    all_wait(&gateway, 5);
    peer.send(format!("{HEAD}content-length: 4\r\n\r\nbo"));
    peer.send("dy");
    for mut client in followers {
        assert_eq!(client.response().unwrap().text(), "body");
    }
    // All of them may.
    let clients = waiting(&gateway, 3, "/other", "");
    peer.request();
    all_wait(&gateway, 3);
    drop(clients);
    all_wait(&gateway, 0);
    peer.send(format!("{HEAD}content-length: 4\r\n\r\nmore"));
    eventually("it is stored", || gateway.get("/other", &["cache-control: only-if-cached"]).text() == "more");
    assert!(stage.is_empty());
}

/// C10: what is for one is for one. The others go on at the same moment, not one after the other.
#[test]
fn what_is_not_shared_wakes_all_at_once() {
    for private in [
        "cache-control: private",
        "cache-control: max-age=60\r\nset-cookie: a=b",
        "x-none: 1",
        "cache-control: max-age=60\r\nvary: *",
    ] {
        let stage = Stage::default();
        let gateway = Gateway::start(&config(&stage.url(), ON));
        let mut clients = waiting(&gateway, 1, "/", "");
        let mut first = stage.accept();
        first.request();
        clients.extend(waiting(&gateway, 19, "/", ""));
        all_wait(&gateway, 20);
        let answer = |number: usize| format!("HTTP/1.1 200 OK\r\n{private}\r\ncontent-length: 2\r\n\r\n{number:02}");
        first.send(answer(0).replacen("\r\n", "\r\nconnection: close\r\n", 1));
        // All 19 arrive before any of them is answered.
        let mut peers: Vec<_> = (1..20).map(|_| stage.accept()).collect();
        peers.iter_mut().for_each(|peer| drop(peer.request()));
        for (number, peer) in peers.iter_mut().enumerate() {
            peer.send(answer(number + 1));
        }
        let mut texts: Vec<_> = clients.iter_mut().map(|client| client.response().unwrap().text()).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 20, "{private}: each has its own");
    }
}

/// Known not to be shared, it is not waited for the next time.
#[test]
fn what_was_not_shared_is_not_waited_for() {
    let stage = Stage::default();
    let gateway = Gateway::start(&format!("{ALONE}{}", config(&stage.url(), ON)));
    let mut clients = waiting(&gateway, 1, "/", "");
    let mut first = stage.accept();
    first.request();
    first.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    clients[0].response().unwrap();
    let _clients = waiting(&gateway, 5, "/", "if-none-match: \"mine\"\r\n");
    assert_eq!(first.request().get("if-none-match"), Some("\"mine\""), "and its own conditions are its own");
    (0..4).for_each(|_| drop(stage.accept().request()));
}

/// An answer that was chosen by a field is for who said the same in it; the others have one of their own, together.
#[test]
fn other_variants_are_asked_for() {
    let stage = Stage::default();
    let gateway = Gateway::start(&format!("{ALONE}{}", config(&stage.url(), ON)));
    let mut english = waiting(&gateway, 1, "/", "accept-language: en\r\n");
    let mut first = stage.accept();
    first.request();
    english.extend(waiting(&gateway, 5, "/", "accept-language: en\r\n"));
    let german = waiting(&gateway, 5, "/", "accept-language: de\r\n");
    all_wait(&gateway, 11);
    let vary = |text: &str| format!("{HEAD}vary: accept-language\r\ncontent-length: 2\r\n\r\n{text}");
    first.send(vary("en"));
    english.iter_mut().for_each(|client| assert_eq!(client.response().unwrap().text(), "en"));
    assert_eq!(first.request().get("accept-language"), Some("de"));
    all_wait(&gateway, 5);
    first.send(vary("de"));
    for mut client in german {
        assert_eq!(client.response().unwrap().text(), "de");
    }
    assert!(stage.is_empty());
}

/// C11: who had nothing yet goes on alone when the fetch fails; who is amid a body sees that it is cut. Nothing is stored.
#[test]
fn a_fetch_that_fails_wakes_all() {
    let stage = Stage::default();
    let gateway = Gateway::start(&config(&stage.url(), ON));
    let mut clients = waiting(&gateway, 1, "/", "");
    let mut first = stage.accept();
    first.request();
    clients.extend(waiting(&gateway, 5, "/", ""));
    all_wait(&gateway, 6);
    drop(first);
    let mut peers: Vec<_> = (0..5).map(|_| stage.accept()).collect();
    for peer in &mut peers {
        peer.request();
        peer.send(format!("{HEAD}content-length: 2\r\n\r\nok"));
    }
    let mut statuses: Vec<_> = clients.iter_mut().map(|client| client.response().unwrap().status()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 502]);

    let stage = Stage::default();
    let gateway = Gateway::start(&config(&stage.url(), ON));
    let mut amid = waiting(&gateway, 1, "/", "");
    let mut peer = stage.accept();
    peer.request();
    amid.extend(waiting(&gateway, 5, "/", ""));
    all_wait(&gateway, 6);
    peer.send(format!("{HEAD}content-length: 10\r\n\r\nhalf"));
    all_wait(&gateway, 0);
    drop(peer);
    for mut client in amid {
        let all = String::from_utf8(client.rest()).unwrap();
        assert!(all.starts_with("HTTP/1.1 200") && all.ends_with("half"), "{all}");
    }
    assert_eq!(gateway.get("/", &["cache-control: only-if-cached"]).status(), 504);
}

/// C10: never across people, nor with who is known by a token, unless the route keeps apart.
#[test]
fn nobody_waits_for_another_person() {
    const USERS: &str = "[auth.users]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsecret = \"${SECRET}\"\nissuer = \"any\"\naudience = \"any\"\nforward = { \"x-user-id\" = \"sub\" }\n";
    for (cache, requests) in [(ON, 6), ("cache = { per = \"identity\" }", 2)] {
        let stage = Stage::default();
        let gateway = Gateway::start(&format!("{USERS}{}auth = \"users\"\n", config(&stage.url(), cache)));
        let mut clients = Vec::new();
        for who in ["ada", "bob"] {
            clients.push((who, waiting(&gateway, 3, "/", &format!("authorization: Bearer {}\r\n", token(who)))));
        }
        let mut peers: Vec<_> = (0..requests).map(|_| stage.accept()).collect();
        let asked: Vec<_> = peers.iter_mut().map(|peer| peer.request()).collect();
        all_wait(&gateway, 6);
        for (peer, request) in peers.iter_mut().zip(&asked) {
            let who = request.get("x-user-id").unwrap();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\ncache-control: max-age=60, private\r\ncontent-length: 3\r\n\r\n{who}"
            ));
        }
        for (who, clients) in clients {
            for mut client in clients {
                assert_eq!(client.response().unwrap().text(), who);
            }
        }
        assert!(stage.is_empty());
    }
}

/// What outgrows its bound on its way is not stored, and reaches all that began to read it, at the pace of the slowest.
#[test]
fn what_grows_too_large_reaches_all() {
    let stage = Stage::default();
    let gateway = Gateway::start(&config(&stage.url(), "cache = { max_size = \"100KiB\" }"));
    let mut clients = waiting(&gateway, 1, "/", "");
    let mut peer = stage.accept();
    peer.request();
    clients.extend(waiting(&gateway, 7, "/", ""));
    all_wait(&gateway, 8);
    let readers: Vec<_> =
        clients.into_iter().map(|mut client| thread::spawn(move || client.response().unwrap())).collect();
    peer.send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n"));
    let sent: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    for piece in sent.chunks(10_000) {
        peer.send(format!("{:x}\r\n", piece.len())).send(piece).send("\r\n");
    }
    peer.send("0\r\n\r\n");
    for reader in readers {
        let answer = reader.join().unwrap();
        assert!(answer.complete && answer.body == sent);
    }
    assert_eq!(gateway.get("/", &["cache-control: only-if-cached"]).status(), 504);
    eventually("nothing is held", || gateway.metric("portcullis_cache_used_bytes") == Some(0.0));
}

/// What follows an invalidation does not wait for what began before it.
#[test]
fn nobody_waits_for_what_is_out_of_date() {
    let stage = Stage::default();
    let gateway = Gateway::start(&format!("{ALONE}{}", config(&stage.url(), ON)));
    let mut early = waiting(&gateway, 1, "/", "");
    let mut first = stage.accept();
    first.request();
    let mut writer = Client::connect(gateway.address());
    writer.send("POST / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 0\r\n\r\n");
    let mut second = stage.accept();
    second.request();
    second.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(writer.response().unwrap().status(), 204);
    let mut late = waiting(&gateway, 1, "/", "");
    assert_eq!(second.request().method(), "GET", "it asks anew");
    first.send(format!("{HEAD}content-length: 3\r\n\r\nold"));
    second.send(format!("{HEAD}content-length: 3\r\n\r\nnew"));
    assert_eq!((early[0].response().unwrap().text(), late[0].response().unwrap().text()), ("old".into(), "new".into()));
    eventually("the new one is stored", || gateway.get("/", &["cache-control: only-if-cached"]).text() == "new");
}

/// Stale is refreshed once, however many ask meanwhile.
#[test]
fn a_crowd_refreshes_once() {
    let count = Arc::new(AtomicUsize::new(0));
    let (go, wait) = mpsc::channel::<()>();
    let (seen, wait) = (Arc::clone(&count), std::sync::Mutex::new(wait));
    let upstream = Upstream::start(move |_| {
        let number = seen.fetch_add(1, Ordering::SeqCst);
        if number > 0 {
            let _ = wait.lock().unwrap().recv();
        }
        let body = format!("answer {number}");
        let age = if number == 0 { "age: 20\r\n" } else { "" };
        Reply::raw(format!(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=10, stale-while-revalidate=600\r\n{age}content-length: {}\r\n\r\n{body}",
            body.len()
        ))
    });
    let gateway = Gateway::start(&config(&upstream.url(), ON));
    gateway.get("/", &[]);
    eventually("it is stored", || said(&gateway.get("/", &[])).contains("hit"));
    for _ in 0..50 {
        assert_eq!(gateway.get("/", &[]).text(), "answer 0");
    }
    eventually("it was asked for again", || count.load(Ordering::SeqCst) == 2);
    go.send(()).unwrap();
    eventually("the new one is here", || gateway.get("/", &[]).text() == "answer 1");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}
