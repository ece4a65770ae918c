//! Fault by picker by method: what the client sees, and how often each server was asked to do it.

use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use portcullis_core::time::Clock;
use portcullis_suite::{
    Arrival, Client, Delays, Digest, End, Fault, Gateway, MARKER, Message, Origin, PATIENCE, eventually,
};

mod table;

use table::{Cell, ROWS, Row, Seen};

/// A request of the matrix.
struct Request {
    method: &'static str,
    body: usize,
    chunked: bool,
    /// Which column of the table says what becomes of it.
    column: fn(&Row, Sick) -> Cell,
}

/// Which of the three origins have the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sick {
    All,
    One,
}

/// More than is kept to be sent again.
const LARGE: usize = 80_000;

const REQUESTS: [Request; 6] = [
    Request { method: "GET", body: 0, chunked: false, column: Row::get },
    Request { method: "HEAD", body: 0, chunked: false, column: Row::head },
    Request { method: "PUT", body: 100, chunked: false, column: Row::put },
    Request { method: "PUT", body: LARGE, chunked: false, column: Row::once },
    Request { method: "POST", body: 100, chunked: false, column: Row::once },
    Request { method: "POST", body: LARGE, chunked: true, column: Row::once },
];

/// So many tries where the fault leaves no trace of a single request. Elsewhere: until the picker has chosen the sick one.
const TRIES: usize = 4;

impl Request {
    fn bytes(&self, marker: &str) -> Vec<u8> {
        let mut bytes = format!("{} / HTTP/1.1\r\nhost: shop.test\r\n{MARKER}: {marker}\r\n", self.method).into_bytes();
        let body = self.content();
        match (self.chunked, body.len()) {
            (true, length) => {
                bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                for chunk in body.chunks(length / 2) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
            (false, 0) => bytes.extend_from_slice(b"\r\n"),
            (false, length) => {
                bytes.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
                bytes.extend_from_slice(body);
            }
        }
        bytes
    }

    /// No two parts of it are the same, so that none can stand for another.
    fn content(&self) -> &'static [u8] {
        static CONTENT: LazyLock<Vec<u8>> =
            LazyLock::new(|| (0..LARGE / 8).flat_map(|place| format!("{place:08}").into_bytes()).collect());
        &CONTENT[..self.body]
    }

    fn ask(&self, gateway: &Gateway, marker: &str) -> Option<Message> {
        let mut client = Client::connect(gateway.address());
        client.send(self.bytes(marker));
        if self.method == "HEAD" { client.response_to_head() } else { client.response() }
    }
}

/// A gateway before three origins, the first of which is sick, or all are.
struct Case<'a> {
    row: &'a Row,
    sick: Sick,
    picker: &'a str,
    origins: [Origin; 3],
    gateway: Gateway,
}

impl<'a> Case<'a> {
    fn start(row: &'a Row, sick: Sick, picker: &'a str) -> Self {
        let origins = ["a", "b", "c"].map(Origin::start);
        for origin in origins.iter().take(if sick == Sick::All { 3 } else { 1 }) {
            origin.set(row.fault.clone());
        }
        // Deadlines are short where it is they that end the request, and out of the way elsewhere.
        let connect = if matches!(row.fault, Fault::BlackHole) { "150ms" } else { "10s" };
        let attempt = if matches!(row.fault, Fault::Hang) { "400ms" } else { "10s" };
        let body = if matches!(row.fault, Fault::HangAfterHead) { "400ms" } else { "10s" };
        let gateway = Gateway::start(&format!(
            "listen = [\"127.0.0.1:0\"]\n[server]\nworkers = 2\nbody_timeout = \"{body}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"off\"\n\
             [upstreams.app]\nservers = [{}]\nbalance = \"{picker}\"\nconnect_timeout = \"{connect}\"\ntimeout = \"{attempt}\"\n\
             retries = {{ attempts = 1, budget = 1.0, backoff = \"1ms\" }}\n{OUT_OF_THE_WAY}\
             [[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
            origins.each_ref().map(|origin| format!("\"{}\"", origin.url())).join(", "),
        ));
        Self { row, sick, picker, origins, gateway }
    }

    /// Every request of the matrix, side by side.
    fn check(&self) {
        thread::scope(|scope| {
            for (number, request) in REQUESTS.iter().enumerate() {
                scope.spawn(move || self.check_request(request, number));
            }
        });
        let what = self.what("afterwards");
        let ended = |origin: &Origin| origin.arrivals().iter().all(|arrival| arrival.end != End::Open);
        eventually(&format!("every exchange has ended: {what}"), || self.origins.iter().all(ended));
        eventually(&format!("nothing is in flight: {what}"), || {
            self.gateway.metric("portcullis_upstream_in_flight{upstream=\"app\"}") == Some(0.0)
        });
        let touched = match self.row.fault {
            Fault::BlackHole | Fault::Refuse => {
                let failed = "portcullis_upstream_failures_total{upstream=\"app\",kind=\"connect\"}";
                self.gateway.metric(failed).unwrap_or_default() > 0.0
            }
            _ => self.origins.iter().any(|origin| origin.connections() > 0),
        };
        assert!(touched, "the fault was met: {what}");
    }

    fn check_request(&self, request: &Request, number: usize) {
        let cell = (request.column)(self.row, self.sick);
        let what = self.what(&format!("{} with {} bytes", request.method, request.body));
        let began = Clock::system().now();
        for round in 0.. {
            // Some pickers avoid a server that keeps another request waiting, so it may take until that is over.
            assert!(Clock::system().now().since(began) < PATIENCE, "the sick one was never chosen, {what}");
            let marker = format!("{number}-{round}");
            let answer = request.ask(&self.gateway, &marker);
            let arrivals = self.origins.each_ref().map(|origin| origin.marked(&marker));
            self.check_bodies(request, &arrivals, &what);
            let asked = arrivals.each_ref().map(Vec::len);
            if self.sick == Sick::All {
                assert!(asked.iter().all(|times| *times <= 1), "never twice at one: {asked:?}, {what}");
                assert_eq!(asked.iter().sum::<usize>(), cell.asked, "asked in all, {what}");
                return cell.seen.check(request.method, answer.as_ref(), "abc", &what);
            }
            // Others are asked where the sick one left it to them.
            let others = asked[1] + asked[2];
            if asked[0] == 0 && cell.asked > 0 {
                Seen::Elsewhere.check(request.method, answer.as_ref(), "a", &what);
                assert_eq!(others, 1, "{what}");
                continue;
            }
            assert_eq!(asked[0], cell.asked, "asked the sick one, {what}");
            let elsewhere = answer.as_ref().is_some_and(|answer| matches!(answer.get("x-origin"), Some("b" | "c")));
            assert_eq!(others, usize::from(elsewhere), "asked others, {what}");
            cell.seen.check(request.method, answer.as_ref(), "a", &what);
            if cell.asked > 0 || round + 1 == TRIES {
                return;
            }
        }
    }

    /// What arrived whole is what was sent, the second time too.
    fn check_bodies(&self, request: &Request, arrivals: &[Vec<Arrival>; 3], what: &str) {
        let sent = Digest::of(request.content());
        for arrival in arrivals.iter().flatten() {
            assert!(
                arrival.method == request.method && arrival.body.is_none_or(|body| body == sent),
                "{arrival:?}, {what}"
            );
            let cut = matches!(self.row.fault, Fault::ResetWithinRequest) && arrival.fault == self.row.fault.name();
            assert_eq!(arrival.body.is_none(), cut, "{arrival:?}, {what}");
        }
    }

    fn what(&self, request: &str) -> String {
        format!("{} at {:?} of three, {}: {request}", self.row.fault.name(), self.sick, self.picker)
    }
}

/// What would otherwise change the picture: rests for the sick one, and the end of all asking.
const OUT_OF_THE_WAY: &str = "eject = \"off\"\nbreaker = { failures = 60000 }\n";

/// Every row at this picker; those that wait for deadlines beside the others.
fn matrix(picker: &str) {
    matrix_with(picker, &[Sick::One, Sick::All]);
}

fn matrix_with(picker: &str, sick: &[Sick]) {
    let check = |row: &Row| sick.iter().for_each(|sick| Case::start(row, *sick, picker).check());
    thread::scope(|scope| {
        let (slow, fast): (Vec<_>, Vec<_>) = ROWS.iter().partition(|row| row.waits());
        for row in slow {
            scope.spawn(move || check(row));
        }
        fast.into_iter().for_each(check);
    });
}

#[test]
fn at_round_robin() {
    matrix("round-robin");
}

#[test]
fn at_least_request() {
    matrix("least-request");
}

#[test]
fn at_random() {
    matrix("random");
}

#[test]
fn at_peak_ewma() {
    // Of three, the one that takes longest is not chosen: to meet the sick one, all have to be.
    matrix_with("peak-ewma", &[Sick::All]);
}

#[test]
fn at_hash() {
    matrix(&format!("hash:header:{MARKER}"));
}

/// U06: kept connections that their servers close under the next request. What is idempotent is answered as if nothing had
/// been; a POST is answered or refused, and never executed twice.
#[test]
fn stale_connections_cost_no_execution() {
    let origins = ["a", "b"].map(Origin::start);
    let gateway = Gateway::start(&format!(
        "[upstreams.app]\nservers = [\"{}\", \"{}\"]\nbalance = \"round-robin\"\n{OUT_OF_THE_WAY}\
         [[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        origins[0].url(),
        origins[1].url(),
    ));
    origins.iter().for_each(|origin| origin.set(Fault::StaleConnections));
    let mut refused = 0;
    for round in 0..60 {
        for request in REQUESTS.iter().filter(|request| request.body < LARGE) {
            let marker = format!("{}-{round}", request.method);
            let answer = request.ask(&gateway, &marker).expect("an answer");
            let asked: usize = origins.iter().map(|origin| origin.marked(&marker).len()).sum();
            match answer.status() {
                200 => assert_eq!(asked, 1, "{marker}"),
                502 if request.method == "POST" => {
                    refused += 1;
                    assert_eq!(asked, 0, "{marker}");
                }
                other => panic!("{other} for {marker}"),
            }
        }
    }
    assert!(refused > 0, "connections were kept, and closed");
}

/// An answer is the client's byte by byte, as it comes, and its head as soon as that is whole.
#[test]
fn a_trickled_answer_arrives_as_it_is_sent() {
    let origin = Origin::start("a-long-name-to-be-trickled");
    let gateway = Gateway::start(&format!(
        "[upstreams]\napp = [\"{}\"]\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        origin.url()
    ));
    let head = {
        let mut direct = Client::connect(origin.address());
        direct.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") && !bytes.ends_with(origin.name().as_bytes()) {
            bytes.extend(direct.some().expect("the whole answer"));
        }
        bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4
    };
    origin.set(Fault::Step);
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    origin.step(head);
    let mut seen = client.some().expect("a head");
    assert!(seen.ends_with(b"\r\n\r\n"), "{}", String::from_utf8_lossy(&seen));
    for byte in origin.name().bytes() {
        origin.step(1);
        seen = client.some().expect("a byte");
        assert_eq!(seen, [byte]);
    }
}

/// U14: clients that leave, in every state that an answer can be in: their exchanges end at the servers, and nothing is counted on.
#[test]
fn clients_that_leave_are_followed_by_nothing() {
    let origin = Origin::start("a");
    let gateway = Gateway::start(&format!(
        "[upstreams.app]\nservers = [\"{}\"]\nbreaker = {{ failures = 1 }}\n[[routes]]\npath = \"/**\"\nupstream = \"app\"\n",
        origin.url()
    ));
    let mut left = 0;
    for fault in [Fault::Hang, Fault::HangAfterHead, Fault::Step] {
        origin.set(fault);
        for request in REQUESTS.iter().filter(|request| request.method != "HEAD") {
            for _ in 0..10 {
                let mut client = Client::connect(gateway.address());
                client.send(request.bytes("left"));
                left += 1;
                eventually("it arrives", || origin.count() == left);
            }
        }
        let cut = |arrival: &Arrival| matches!(arrival.end, End::Cut(_) | End::Broken);
        // One that waits for leave to send notices when it gets it.
        eventually("they end", || {
            origin.step(1);
            origin.arrivals().iter().all(cut)
        });
    }
    eventually("nothing is in flight", || {
        gateway.metric("portcullis_upstream_in_flight{upstream=\"app\"}") == Some(0.0)
    });
    origin.set(Fault::Healthy);
    assert_eq!(gateway.get("/", &[]).status(), 200, "the breaker is closed");
}
