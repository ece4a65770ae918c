//! The gateway inside a program: a listener or requests that are handed in, and parts of the program's own.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, Full};
use portcullis::observe::Ending;
use portcullis::{Gateway, GatewayBuilder, GatewayError, RequestBody, ResponseBody};
use portcullis_core::Answer;
use portcullis_core::auth::{Algorithm, AuthError, Identity, KeySet, KeySource, TokenVerifier};
use portcullis_core::limit::{Charge, MemoryStore, RateLimitStore, StoreError, Verdict};
use portcullis_core::testing::SigningKey;
use portcullis_core::time::{Clock, UnixTime};
use portcullis_core::upstream::{Ask, EndpointIndex, Snapshot, UpstreamPicker};
use portcullis_suite::{Client, Gateway as Running, Reply, Upstream, eventually, token};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot};
use tower_service::Service;

/// One upstream for everything.
fn to(upstream: &Upstream) -> String {
    format!("[upstreams]\napp = [\"{}\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n", upstream.url())
}

/// Everything is answered here.
const OK: &str = "[[routes]]\npath = \"/**\"\nrespond = { status = 200, body = \"ok\" }\n";

/// With 50 ms for `what` of `[server]`.
fn impatient(what: &str, text: &str) -> String {
    format!("listen = [\"127.0.0.1:0\"]\n[server]\n{what} = \"50ms\"\n[log]\naccess = \"off\"\n{text}")
}

/// Everything goes to a service of this program.
const IN_CODE: &str = r#"
[upstreams.app]
servers = "in-code"
timeout = "10s"
breaker = { failures = 3, recovery = "1h" }
[auth.users]
kind = "jwt"
algorithms = ["HS256"]
secret = "${SECRET}"
issuer = "https://login.shop.test"
audience = ["shop"]
forward = { "x-user-id" = "sub" }
[[routes]]
path = "/me"
upstream = "app"
auth = "users"
[[routes]]
path = "/old/**"
upstream = "app"
auth = "none"
strip_prefix = "/old"
[[routes]]
path = "/open/**"
upstream = "app"
auth = "none"
max_body_size = "10B"
"#;

fn builder(text: &str) -> GatewayBuilder {
    Gateway::builder(Running::config(text).unwrap_or_else(|report| panic!("{report}")))
}

async fn gateway(text: &str) -> Gateway {
    builder(text).build().await.unwrap()
}

/// On one thread, as a current-thread program would.
fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn get(target: &str) -> Request<Empty<Bytes>> {
    Request::get(target).header("host", "shop.test").body(Empty::new()).unwrap()
}

/// The same with these fields.
fn get_with(target: &str, fields: &[(&str, &str)]) -> Request<Empty<Bytes>> {
    let request = Request::get(target).header("host", "shop.test");
    fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(Empty::new()).unwrap()
}

async fn text(response: Response<ResponseBody>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// What a test's service answers with.
type Answered = Response<Full<Bytes>>;

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A service that answers by a function.
#[derive(Clone)]
struct App(Arc<dyn Fn(Request<RequestBody>) -> Later<Answered> + Send + Sync>);

impl App {
    fn new<A: Future<Output = Answered> + Send + 'static>(
        answer: impl Fn(Request<RequestBody>) -> A + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |request| Box::pin(answer(request))))
    }
}

impl Service<Request<RequestBody>> for App {
    type Response = Answered;
    type Error = Infallible;
    type Future = Later<Result<Answered, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let answer = (self.0)(request);
        Box::pin(async move { Ok(answer.await) })
    }
}

fn ok(body: impl Into<Bytes>) -> Answered {
    Response::new(Full::new(body.into()))
}

#[test]
fn a_listener_is_served_until_it_is_told_to_end_and_what_runs_is_finished() {
    let (answer, answered) = std::sync::mpsc::channel::<()>();
    let answered = Mutex::new(answered);
    let (ask, mut asked) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |request| {
        if request.target() == "/slow" {
            ask.send(()).unwrap();
            answered.lock().unwrap().recv().unwrap();
        }
        Reply::ok("ok")
    });
    run(async {
        let gateway = gateway(&to(&upstream)).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.serve(listener, async { drop(stopped.await) }).await })
        };
        let client = tokio::task::spawn_blocking(move || {
            assert_eq!(Client::get(address, "/", &[]).status(), 200);
            Client::get(address, "/slow", &[])
        });
        asked.recv().await.unwrap();
        drop(stop);
        while !gateway.is_draining() {
            tokio::task::yield_now().await;
        }
        answer.send(()).unwrap();
        let last = client.await.unwrap();
        assert_eq!((last.status(), last.get("connection")), (200, Some("close")));
        serving.await.unwrap().unwrap();
        assert!(Client::try_connect(address).is_none(), "the listener is closed");
        assert_eq!(gateway.connections(), 0);
    });
}

#[test]
fn what_outlives_the_grace_is_cut_and_said() {
    let upstream = Upstream::start(|_| Reply::Silence);
    run(async {
        let gateway = gateway(&impatient("shutdown_grace", &to(&upstream))).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = tokio::task::spawn_blocking(move || {
            Client::connect(address).send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").rest()
        });
        let busy = async {
            while upstream.seen().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        let error = gateway.serve(listener, busy).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::TimedOut, "the grace was over: 1 connections were cut".to_owned())
        );
        assert!(client.await.unwrap().is_empty());
    });
}

#[test]
fn a_unix_listener_is_served_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.sock");
    run(async {
        let gateway = gateway(OK).await;
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = UnixListener::bind(&path).unwrap();
        let client = tokio::task::spawn_blocking({
            let path = path.clone();
            move || {
                let mut client = Client::try_unix(&path).unwrap();
                client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
                let status = client.response().unwrap().status();
                drop(stop);
                status
            }
        });
        gateway.serve(listener, async { drop(stopped.await) }).await.unwrap();
        assert_eq!(client.await.unwrap(), 200);
    });
}

#[test]
fn a_request_that_is_handed_in_goes_the_same_way_as_one_from_a_socket() {
    let upstream = Upstream::ok();
    let text_of_both = format!(
        "{}auth = \"users\"\nlimits = [\"2/min\"]\n[auth.users]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsecret = \"${{SECRET}}\"\n\
         issuer = \"https://login.shop.test\"\naudience = [\"shop\"]\nforward = {{ \"x-user-id\" = \"sub\" }}\n",
        to(&upstream)
    );
    let socket = Running::start(&text_of_both);
    let bearer = format!("Bearer {}", token("ada"));
    let names_of = |response: &Response<ResponseBody>| {
        let mut fields: Vec<_> = response.headers().iter().map(|(name, _)| name.to_string()).collect();
        fields.sort();
        fields
    };
    run(async {
        let gateway = gateway(&text_of_both).await;
        for (with_token, status) in [(true, 200), (false, 401), (true, 200), (true, 429)] {
            let mut fields = vec![("x-user-id", "forged")];
            fields.extend(with_token.then_some(("authorization", bearer.as_str())));
            let lines: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let handed_in = gateway.handle(get_with("/a?b=c", &fields)).await;
            let sent = socket.get("/a?b=c", &lines.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!((handed_in.status().as_u16(), sent.status()), (status, status));
            // The connection's own fields are the business of whoever has the connection.
            let mut names: Vec<_> = sent.fields.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
            names.retain(|name| !["date", "connection", "content-length"].contains(&&**name));
            names.sort_unstable();
            let mut ours = names_of(&handed_in);
            ours.retain(|name| name != "content-length");
            assert_eq!(ours, names, "{status}");
            if status != 200 {
                let problem: serde_json::Value = serde_json::from_str(&text(handed_in).await).unwrap();
                assert_eq!(problem["code"], sent.json()["code"]);
            } else {
                assert_eq!(text(handed_in).await, "ok");
            }
        }
    });
    for request in upstream.seen() {
        assert_eq!((request.target(), request.get("x-user-id")), ("/a?b=c", Some("ada")));
        assert_eq!(request.get("authorization"), None);
    }
}

#[test]
fn a_service_of_the_program_gets_what_a_server_would() {
    #[derive(Clone, Debug, PartialEq)]
    struct Mark(u8);
    let (heads, mut seen) = mpsc::unbounded_channel();
    let app = App::new(move |request| {
        let heads = heads.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            heads.send(parts).unwrap();
            let mut answer = ok(body);
            for (name, value) in [("connection", "x-hop"), ("x-hop", "1"), ("x-user-id", "echoed")] {
                answer.headers_mut().try_insert(name, HeaderValue::from_static(value)).unwrap();
            }
            answer
        }
    });
    run(async {
        let gateway = builder(IN_CODE).upstream("app", app).build().await.unwrap();
        let bearer = format!("Bearer {}", token("ada"));
        let fields = [("x-user-id", "forged"), ("authorization", &bearer)];
        let mut request = get_with("/me?a=b", &fields).map(|_| Full::new(Bytes::from_static(b"hello")));
        *request.method_mut() = Method::POST;
        request.extensions_mut().insert(Mark(7));
        let response = gateway.handle(request).await;
        let of_hop = ["connection", "x-hop", "x-user-id"].map(|name| response.headers().contains_key(name));
        assert_eq!((response.status(), of_hop), (StatusCode::OK, [false; 3]));
        assert_eq!(text(response).await, "hello");

        let parts = seen.recv().await.unwrap();
        assert_eq!(
            (parts.uri.to_string().as_str(), &parts.headers["host"]),
            ("/me?a=b", &"shop.test".parse().unwrap())
        );
        let ids: Vec<_> = parts.headers.get_all("x-user-id").iter().map(|id| id.to_str().unwrap()).collect();
        assert_eq!((ids, parts.headers.contains_key("authorization")), (vec!["ada"], false));
        assert!(parts.headers["via"].to_str().unwrap().starts_with("1.1 portcullis-"));
        assert_eq!(parts.extensions.get::<Mark>(), Some(&Mark(7)));
        assert_eq!(parts.extensions.get::<Identity>().map(Identity::id), Some("ada"));

        let mut request = get("/old/a");
        let other = Identity::new("users", "root", serde_json::Map::new(), None).unwrap();
        request.extensions_mut().insert(other);
        assert_eq!(gateway.handle(request).await.status(), 200);
        let parts = seen.recv().await.unwrap();
        assert_eq!((parts.uri.path(), parts.extensions.get::<Identity>()), ("/a", None));
    });
}

#[test]
fn a_service_of_the_program_is_held_to_its_deadline_its_bounds_and_its_breaker() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let app = App::new(move |request| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match request.uri().path() {
                "/open/hangs" => std::future::pending().await,
                "/open/panics" => panic!("on purpose"),
                "/open/reads" => match request.into_body().collect().await {
                    Ok(body) => ok(body.to_bytes()),
                    Err(error) => panic!("{error}"),
                },
                _ => ok("ok"),
            }
        }
    });
    run(async {
        let gateway = builder(&IN_CODE.replace("10s", "300ms")).upstream("app", app).build().await.unwrap();
        let long = Request::post("/open/reads").header("host", "a");
        let body = Chunks(VecDeque::from([&b"0123456"[..], &b"789ab"[..]]));
        assert_eq!(
            gateway.handle(long.body(body).unwrap()).await.status(),
            413,
            "the client's fault, whatever the service made of it"
        );
        let mut statuses = Vec::new();
        for path in ["/open/hangs", "/open/fine", "/open/panics", "/open/hangs", "/open/panics", "/open/fine"] {
            statuses.push(gateway.handle(get(path)).await.status().as_u16());
        }
        assert_eq!(statuses, [504, 200, 502, 504, 502, 503]);
        assert_eq!(calls.load(Ordering::SeqCst), 6, "an open breaker asks nobody");
    });
}

/// U09: a probe whose client takes its time over the request keeps nobody else from finding out.
#[test]
fn a_slow_upload_to_a_service_does_not_hold_the_breaker() {
    let (began, mut begun) = mpsc::unbounded_channel();
    let app = App::new(move |request| {
        let began = began.clone();
        async move {
            match request.uri().path() {
                "/open/fails" => panic!("on purpose"),
                "/open/reads" => {
                    began.send(()).unwrap();
                    request.into_body().collect().await.map(|_| ok("read")).unwrap()
                }
                _ => ok("ok"),
            }
        }
    });
    let (clock, hand) = Clock::manual(UnixTime::from_secs(1_800_000_000));
    run(async {
        let text = IN_CODE.replace("10s", "100ms").replace("failures = 3", "failures = 1");
        let gateway = builder(&text).clock(clock).upstream("app", app).build().await.unwrap();
        assert_eq!(gateway.handle(get("/open/fails")).await.status(), 502);
        hand.advance(Duration::from_secs(2 * 3600));
        let uploading = gateway.clone();
        let (sender, body) = mpsc::unbounded_channel();
        let long = Request::post("/open/reads").header("host", "a").body(Arriving(body)).unwrap();
        let uploading = tokio::spawn(async move { uploading.handle(long).await.status() });
        begun.recv().await.unwrap();
        while gateway.handle(get("/open/fine")).await.status() != 200 {
            tokio::task::yield_now().await;
        }
        drop(sender);
        assert_eq!(uploading.await.unwrap(), 200);
    });
}

#[test]
fn what_is_known_of_a_bodys_length_is_kept() {
    let upstream = Upstream::ok();
    let (sizes, mut seen) = mpsc::unbounded_channel();
    let app = App::new(move |request| {
        sizes.send(http_body::Body::size_hint(request.body()).exact()).unwrap();
        async { ok("hello") }
    });
    run(async {
        let post = |size: usize| {
            Request::post("/open/a").header("host", "a").body(Full::<Bytes>::new(vec![b'a'; size].into()))
        };
        gateway(&to(&upstream)).await.handle(post(5).unwrap()).await;
        let request = &upstream.seen()[0];
        assert_eq!((request.get("content-length"), request.get("transfer-encoding")), (Some("5"), None));

        let gateway = builder(IN_CODE).upstream("app", app).build().await.unwrap();
        let response = gateway.handle(post(5).unwrap()).await;
        assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(5));
        assert_eq!(seen.recv().await, Some(Some(5)));
        assert_eq!(gateway.handle(post(11).unwrap()).await.status(), 413);
        assert!(seen.try_recv().is_err(), "what is too large as it says is refused before anybody is asked");
    });
}

#[test]
fn an_answer_of_a_service_is_one_that_a_server_could_send() {
    let app = App::new(|request| async move {
        let mut answer = ok("hello");
        *answer.status_mut() = request.uri().path().trim_start_matches("/open/").parse().unwrap();
        answer
    });
    run(async {
        let config = IN_CODE.replace("failures = 3", "failures = 100");
        let (builder, mut endings) = endings(builder(&config).upstream("app", app));
        let gateway = builder.build().await.unwrap();
        for status in ["100", "101", "199", "600", "999"] {
            let response = gateway.handle(get(&format!("/open/{status}"))).await;
            assert_eq!(response.status(), 502, "{status}");
            text(response).await;
            assert!(matches!(endings.recv().await, Some(Ending::Rejected(_))));
        }
        for (method, status, length) in [("HEAD", "200", Some("5")), ("GET", "204", None), ("GET", "304", None)] {
            let mut request = get(&format!("/open/{status}"));
            *request.method_mut() = method.parse().unwrap();
            let response = gateway.handle(request).await;
            assert_eq!(response.status().as_str(), status);
            assert_eq!(response.headers().get("content-length").map(|length| length.to_str().unwrap()), length);
            drop(response);
            assert_eq!(endings.recv().await, Some(Ending::Complete), "{method} {status}: there is no body to send");
        }
    });
}

/// A body that panics.
struct Bang;

impl http_body::Body for Bang {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("on purpose")
    }
}

/// A service whose answers panic while they are sent.
#[derive(Clone)]
struct Bangs;

impl Service<Request<RequestBody>> for Bangs {
    type Response = Response<Bang>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Bang>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        std::future::ready(Ok(Response::new(Bang)))
    }
}

#[test]
fn a_panic_of_the_programs_parts_reaches_nobody() {
    run(async {
        let (builder, mut endings) = endings(builder(IN_CODE).upstream("app", Bangs));
        let gateway = builder.build().await.unwrap();
        let mut body = gateway.handle(get("/open/a")).await.into_body();
        assert!(body.frame().await.unwrap().is_err());
        assert_eq!(endings.recv().await, Some(Ending::UpstreamCut));
    });
    run(async {
        let (builder, mut endings) = endings(builder(OK).client(|_| panic!("on purpose")));
        let gateway = builder.build().await.unwrap();
        let response = gateway.handle(get("/")).await;
        assert_eq!(response.status(), 500);
        text(response).await;
        assert!(matches!(endings.recv().await, Some(Ending::Rejected(_))));
    });
}

#[test]
fn cookies_of_http_2_go_on_as_one() {
    let upstream = Upstream::ok();
    run(async {
        let gateway = gateway(&to(&upstream)).await;
        let request = Request::get("http://shop.test/").version(Version::HTTP_2);
        let request = request.header("cookie", "a=b").header("cookie", "c=d").body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(gateway.handle(request).await.status(), 200);
    });
    let request = &upstream.seen()[0];
    assert_eq!((request.get("host"), request.get("cookie")), (Some("shop.test"), Some("a=b; c=d")));
}

#[test]
fn a_plan_that_was_replaced_is_kept_by_nobody() {
    run(async {
        let gateway = gateway(OK).await;
        assert_eq!(text(gateway.handle(get("/")).await).await, "ok");
        gateway.reload(Running::config(&OK.replace("\"ok\"", "\"new\"")).unwrap()).unwrap();
        assert_eq!(gateway.plans(), 1);
        assert_eq!(text(gateway.handle(get("/")).await).await, "new");
    });
}

/// A body of unknown length, all of it there.
struct Chunks(VecDeque<&'static [u8]>);

impl http_body::Body for Chunks {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }
}

/// A body whose bytes arrive when a test sends them.
struct Arriving(mpsc::UnboundedReceiver<&'static [u8]>);

impl http_body::Body for Arriving {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

/// Gives "ended with" of each request.
fn endings(builder: GatewayBuilder) -> (GatewayBuilder, mpsc::UnboundedReceiver<Ending>) {
    let (ended, endings) = mpsc::unbounded_channel();
    (builder.observer(move |record, _| ended.send(record.ending).unwrap()), endings)
}

#[test]
fn an_answer_that_stalls_ends_with_an_error_and_one_that_is_dropped_is_told_of() {
    let upstream = Upstream::start(|_| Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"));
    run(async {
        let (builder, mut endings) = endings(builder(&impatient("body_timeout", &to(&upstream))));
        let gateway = builder.build().await.unwrap();
        let mut body = gateway.handle(get("/")).await.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the upstream was silent for too long");
        assert!(body.frame().await.is_none());
        assert_eq!(endings.recv().await, Some(Ending::TimedOut));

        drop(gateway.handle(get("/")).await);
        assert_eq!(endings.recv().await, Some(Ending::ClientGone));
    });
    eventually("no connection to the upstream is left", || upstream.open() == 0);
}

#[test]
fn a_request_that_is_given_up_is_told_of_and_its_upstream_is_let_go() {
    let upstream = Upstream::start(|_| Reply::Silence);
    run(async {
        let (builder, mut endings) = endings(builder(&to(&upstream)));
        let gateway = builder.build().await.unwrap();
        let mut answering = Box::pin(gateway.handle(get("/")));
        while upstream.seen().is_empty() {
            let is_pending = poll_fn(|cx| Poll::Ready(answering.as_mut().poll(cx).is_pending())).await;
            assert!(is_pending);
            tokio::task::yield_now().await;
        }
        drop(answering);
        assert_eq!(endings.recv().await, Some(Ending::ClientGone));
    });
    eventually("the upstream is let go", || upstream.open() == 0);
}

#[test]
fn an_observer_that_panics_ends_nothing() {
    run(async {
        let (builder, mut endings) = endings(builder(OK).observer(|_, _| panic!("on purpose")));
        let gateway = builder.build().await.unwrap();
        for _ in 0..2 {
            assert_eq!(text(gateway.handle(get("/")).await).await, "ok");
            assert_eq!(endings.recv().await, Some(Ending::Complete));
        }
    });
}

/// Accepts one token.
struct OneToken;

impl TokenVerifier for OneToken {
    fn verify(&self, token: &str, _: UnixTime) -> Answer<Result<Arc<Identity>, AuthError>> {
        Answer::Now(match token {
            "sesame" => Identity::new("door", "ali", serde_json::Map::new(), None).map(Arc::new),
            _ => Err(AuthError::Invalid("not the word")),
        })
    }
}

/// Always the last server.
struct Last;

impl UpstreamPicker for Last {
    fn pick(&self, pool: &Snapshot, ask: &Ask<'_>) -> Option<EndpointIndex> {
        (0..pool.members().len()).rev().map(EndpointIndex).find(|index| !ask.tried.contains(index))
    }
}

/// Counts how often it is asked.
struct Counting(MemoryStore, Arc<AtomicU32>);

impl RateLimitStore for Counting {
    fn take(&self, charges: &[Charge]) -> Answer<Result<Verdict, StoreError>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.take(charges)
    }
}

/// Has the keys of one set.
struct Fixed(Arc<KeySet>);

#[async_trait::async_trait]
impl KeySource for Fixed {
    fn generation(&self) -> u64 {
        1
    }

    fn keys(&self) -> Option<Arc<KeySet>> {
        Some(Arc::clone(&self.0))
    }

    async fn refresh(&self, _: u64) {}
}

/// A configuration with every part in code, and a gateway that brings them.
fn parts(upstreams: [&Upstream; 2], asked: &Arc<AtomicU32>) -> (String, GatewayBuilder) {
    let text = format!(
        r#"
        [store]
        url = "in-code"
        [upstreams.app]
        servers = ["{}", "{}"]
        balance = "in-code"
        [auth.door]
        kind = "in-code"
        forward = {{ "x-user-id" = "id" }}
        [[routes]]
        path = "/**"
        upstream = "app"
        auth = "door"
        limits = [{{ rate = "2/min", key = "client" }}]
        "#,
        upstreams[0].url(),
        upstreams[1].url()
    );
    let store = Counting(MemoryStore::new(), Arc::clone(asked));
    let builder = builder(&text)
        .store(Arc::new(store))
        .picker("app", |_| Arc::new(Last))
        .verifier("door", Arc::new(OneToken))
        .client(|parts| parts.extensions.get::<IpAddr>().copied());
    (text, builder)
}

#[test]
fn parts_of_the_program_take_their_places_and_stay_through_a_reload() {
    let (first, last, asked) = (Upstream::ok(), Upstream::ok(), Arc::new(AtomicU32::new(0)));
    run(async {
        let (text, builder) = parts([&first, &last], &asked);
        let gateway = builder.build().await.unwrap();
        let ask = |word: &str, client: [u8; 4]| {
            let mut request = get_with("/", &[("authorization", &format!("Bearer {word}"))]);
            request.extensions_mut().insert(IpAddr::from(client));
            let gateway = gateway.clone();
            async move { gateway.handle(request).await.status().as_u16() }
        };
        assert_eq!(ask("open", [192, 0, 2, 1]).await, 401);
        assert_eq!(ask("sesame", [192, 0, 2, 1]).await, 200);
        gateway.reload(Running::config(&text.replace("2/min", "3/min")).unwrap()).unwrap();
        assert_eq!(ask("sesame", [192, 0, 2, 1]).await, 200);
        assert_eq!(ask("sesame", [192, 0, 2, 1]).await, 429, "what was counted before the reload counts");
        assert_eq!(ask("sesame", [192, 0, 2, 2]).await, 200, "another client");
        let problems = gateway
            .reload(Running::config(&text.replace("url = \"in-code\"", "url = \"memory\"")).unwrap())
            .unwrap_err();
        assert!(
            problems.to_string().ends_with("store.url changed: what was counted so far would be lost"),
            "{problems}"
        );
    });
    assert_eq!((first.seen().len(), last.seen().len()), (0, 3));
    assert_eq!(last.seen()[0].get("x-user-id"), Some("ali"));
    assert!(asked.load(Ordering::SeqCst) >= 4);
}

/// Decides nothing.
struct Lost;

impl RateLimitStore for Lost {
    fn take(&self, _: &[Charge]) -> Answer<Result<Verdict, StoreError>> {
        Answer::Now(Err(StoreError::new("it is lost")))
    }

    fn nodes(&self) -> NonZeroU32 {
        NonZeroU32::new(3).unwrap()
    }
}

/// A third of the limit, nothing counted, or nobody: what the limit says, or else the store's section.
#[test]
fn what_becomes_of_a_limit_whose_store_is_lost_is_configured() {
    let route = |path: &str, rest: &str| {
        format!(
            "[[routes]]\npath = \"{path}\"\nrespond = {{ status = 200, body = \"ok\" }}\n\
             limits = [{{ rate = \"6/min\"{rest} }}]\n"
        )
    };
    let text = format!(
        "[store]\nurl = \"in-code\"\non_failure = \"deny\"\n{}{}{}",
        route("/denied", ""),
        route("/allowed", ", on_failure = \"allow\""),
        route("/shared", ", on_failure = \"share\""),
    );
    run(async {
        let gateway = builder(&text).store(Arc::new(Lost)).build().await.unwrap();
        for (path, statuses) in [("/denied", [503; 4]), ("/allowed", [200; 4]), ("/shared", [200, 200, 429, 429])] {
            for status in statuses {
                assert_eq!(gateway.handle(get(path)).await.status(), status, "{path}");
            }
        }
    });
}

#[test]
fn keys_of_the_program_check_tokens() {
    let text = "[auth.users]\nkind = \"jwt\"\nalgorithms = [\"ES256\"]\njwks = \"in-code\"\nissuer = \"any\"\naudience = \"any\"\n\
                [[routes]]\npath = \"/**\"\nrespond = { status = 200, body = \"in\" }\nauth = \"users\"\n";
    let key = SigningKey::new(Algorithm::ES256);
    run(async {
        let source = Fixed(Arc::new(KeySet::from_pem(key.pem()).unwrap()));
        let gateway = builder(text).keys("users", Arc::new(source)).build().await.unwrap();
        let with = |token: String| get_with("/", &[("authorization", &format!("Bearer {token}"))]);
        let signed = key.sign(r#"{"alg":"ES256"}"#, portcullis_suite::claims("ada").to_string().as_bytes());
        assert_eq!(gateway.handle(with(signed)).await.status(), 200);
        assert_eq!(gateway.handle(with(token("ada"))).await.status(), 401);
    });
}

#[test]
fn parts_and_places_that_do_not_go_together_are_told_all_at_once() {
    let (first, last, asked) = (Upstream::ok(), Upstream::ok(), Arc::default());
    let (text, _) = parts([&first, &last], &asked);
    run(async {
        let error = builder(&text).picker("ap", |_| Arc::new(Last)).build().await.unwrap_err();
        assert!(matches!(error, GatewayError::InCode(_)));
        assert_eq!(
            error.to_string(),
            "[store] url = \"in-code\" is for a program that embeds the gateway and brings this part, with \
             `Gateway::builder(config).store(…)`\n\
             [upstreams.app] balance = \"in-code\" is for a program that embeds the gateway and brings this part, with \
             `Gateway::builder(config).picker(\"app\", …)`\n\
             [auth.door] kind = \"in-code\" is for a program that embeds the gateway and brings this part, with \
             `Gateway::builder(config).verifier(\"door\", …)`\n\
             the program brings a part for [upstreams.ap], which is not in the configuration: there is app"
        );
        let error = builder(&to(&first)).upstream("app", App::new(|_| async { ok("") })).build().await.unwrap_err();
        let said = "the program brings a part for [upstreams.app], whose `servers` says something else: write `servers = \"in-code\"`";
        assert_eq!(error.to_string(), said);
    });
    let error = portcullis::Server::start(Running::config(&text).unwrap(), Clock::system()).unwrap_err();
    assert!(error.to_string().starts_with("[store] url = \"in-code\" is for a program"), "{error}");
}

#[test]
fn the_admin_door_is_a_service() {
    run(async {
        let gateway = gateway(OK).await;
        drop(gateway.clone().call(get("/")).await.unwrap());
        let mut admin = gateway.admin();
        let page = |response: Answered| async { response.into_body().collect().await.unwrap().to_bytes() };
        let ready = admin.call(get("/readyz")).await.unwrap();
        assert_eq!((ready.status(), page(ready).await), (StatusCode::OK, Bytes::from_static(b"ready\n")));
        let metrics = page(admin.call(get("/metrics")).await.unwrap()).await;
        let line = "portcullis_requests_total{route=\"/**\",status=\"2xx\"} 1\n";
        assert!(String::from_utf8_lossy(&metrics).contains(line), "{metrics:?}");
        gateway.drain();
        assert_eq!(admin.call(get("/readyz")).await.unwrap().status(), 503);
        assert_eq!(gateway.handle(get("/")).await.status(), 200, "what is handed in is answered still");
    });
}

/// A connection that one runtime made is of no use in the next.
#[test]
fn a_gateway_outlives_the_runtime_that_it_was_made_in() {
    let upstream = Upstream::ok();
    let gateway = run(gateway(&to(&upstream)));
    for _ in 0..3 {
        assert_eq!(run(async { text(gateway.handle(get("/")).await).await }), "ok");
    }
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let mut gateway = gateway.clone();
            threads.spawn(async move { text(gateway.call(get("/")).await.unwrap()).await })
        })
        .collect();
    for asked in asking {
        assert_eq!(threads.block_on(asked).unwrap(), "ok");
    }
}

#[test]
fn a_request_over_tls_says_so_upstream() {
    let upstream = Upstream::ok();
    run(async {
        let gateway = gateway(&to(&upstream)).await;
        let request = Request::get("https://shop.test/a").version(Version::HTTP_2).body(Empty::<Bytes>::new());
        assert_eq!(gateway.handle(request.unwrap()).await.status(), 200);
    });
    let request = upstream.only();
    assert_eq!((request.target(), request.get("host")), ("/a", Some("shop.test")));
    assert_eq!(request.get("x-forwarded-proto"), Some("https"));
    assert!(request.get("via").unwrap().starts_with("2.0 "), "{:?}", request.get("via"));
}

#[test]
fn a_grpc_call_is_refused_in_grpc() {
    run(async {
        let (builder, mut endings) = endings(builder(OK));
        let statuses = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&statuses);
        let gateway =
            builder.observer(move |record, _| seen.lock().unwrap().push(record.status())).build().await.unwrap();
        for (version, status) in [(Version::HTTP_2, 200), (Version::HTTP_11, 414)] {
            let mut request = get_with(&format!("/{}", "a".repeat(9000)), &[("content-type", "application/grpc")]);
            *request.version_mut() = version;
            let response = gateway.handle(request).await;
            let code = response.headers().get("grpc-status").map(|code| code.to_str().unwrap().to_owned());
            assert_eq!((response.status().as_u16(), code.as_deref()), (status, (status == 200).then_some("8")));
            assert_eq!(text(response).await.is_empty(), status == 200);
            assert_eq!(endings.recv().await, Some(Ending::Rejected("uri-too-long")));
        }
        assert_eq!(*statuses.lock().unwrap(), [414, 414]);
    });
}

/// A body that cannot be read.
struct Unreadable;

impl http_body::Body for Unreadable {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        Poll::Ready(Some(Err(ErrorKind::InvalidData.into())))
    }
}

/// What a socket of ours would refuse is refused, and a body that its reader gives up is told of as what it is.
#[test]
fn what_is_handed_in_is_held_to_the_same_bounds() {
    let app = App::new(|request| async move {
        ok(request.into_body().collect().await.expect("a service that insists").to_bytes())
    });
    run(async {
        let gateway = builder(IN_CODE).upstream("app", app).build().await.unwrap();
        let fields: Vec<_> = (0..200).map(|number| (format!("x-{number}"), "1".to_owned())).collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(gateway.handle(get_with("/old/a", &fields)).await.status(), 431);
        let long = "a".repeat(40_000);
        assert_eq!(gateway.handle(get_with("/old/a", &[("x-long", &long)])).await.status(), 431);

        let post = || Request::post("/old/a").header("host", "a");
        let limited = http_body_util::Limited::new(Full::new(Bytes::from_static(b"0123456789")), 5);
        assert_eq!(gateway.handle(post().body(limited).unwrap()).await.status(), 413);
        let response = gateway.handle(post().body(Unreadable).unwrap()).await;
        assert_eq!(response.status(), 400);
        assert!(text(response).await.contains("the body could not be read"));
    });
}

/// Falls over at its first choice.
struct FallsOnce(AtomicU32);

impl UpstreamPicker for FallsOnce {
    fn pick(&self, _: &Snapshot, _: &Ask<'_>) -> Option<EndpointIndex> {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "on purpose");
        Some(EndpointIndex(0))
    }
}

/// C11: a fetch that falls over takes its request with it, and whoever comes next is not waiting for it. What is stored is handed out whole.
#[test]
fn answers_are_kept_inside_a_program_too() {
    let body = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nx-own: 1\r\ncontent-length: 4\r\n\r\nkept";
    let upstream = Upstream::start(move |_| Reply::raw(body));
    let text = format!(
        "[upstreams.app]\nservers = [\"{}\"]\nbalance = \"in-code\"\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\ncache = \"on\"\n",
        upstream.url()
    );
    run(async {
        let gateway = builder(&text).picker("app", |_| Arc::new(FallsOnce(AtomicU32::new(0)))).build().await.unwrap();
        assert_eq!(gateway.handle(get("/")).await.status(), 500);
        for said in ["Portcullis; fwd=uri-miss; ttl=60; stored", "Portcullis; hit; ttl=60"] {
            let answer = gateway.handle(get("/")).await;
            let fields = answer.headers();
            assert_eq!(
                (&fields["cache-status"], &fields["x-own"]),
                (&HeaderValue::from_static(said), &HeaderValue::from_static("1"))
            );
            assert_eq!((fields.get_all("date").iter().count(), self::text(answer).await), (1, "kept".to_owned()));
        }
    });
    assert_eq!(upstream.seen().len(), 1);
}
