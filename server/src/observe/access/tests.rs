use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};

use http::{Method, StatusCode, Version};
use portcullis_core::auth::Identity;
use portcullis_core::time::UnixTime;
use proptest::prelude::*;

use super::*;
use crate::observe::format::Colour;
use crate::observe::metrics::Metrics;
use crate::observe::record::{AuthOutcome, BreakerState, Ending, LimitOutcome, LimitRecord};
use crate::observe::{Clip, Origin};

/// More than any test needs: what waits for the writer fails only when the writer hangs.
const LONG: Duration = Duration::from_secs(60);

const PLAIN: Format = Format::Text { colour: Colour::Plain };

fn clock() -> Clock {
    Clock::manual(UnixTime::from_secs(1_795_495_867)).0
}

fn record() -> Record {
    Record::new(clock().now(), Method::GET, Version::HTTP_11)
}

fn full() -> Record {
    let metrics = Metrics::new(&clock());
    let mut record = record();
    record.client = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    record.request_id = Some(Clip::new("0198c0de"));
    record.host = Some(Clip::new("shop.test"));
    record.path = Some(Clip::new("/orders/7"));
    record.route = Some(metrics.route("orders"));
    record.auth = Some(AuthOutcome::Accepted);
    record.identity = Some(Arc::new(Identity::new("users", "alice", Default::default(), None).unwrap()));
    record.limit = Some(LimitRecord {
        name: "per-user".into(),
        outcome: LimitOutcome::Admitted,
        remaining: Some(99),
        alone: true,
    });
    record.upstream = Some(metrics.upstream("orders"));
    record.breaker = Some(BreakerState::HalfOpen);
    record.endpoint = Some("127.0.0.1:7011".into());
    record.attempts = 2;
    record.until_head = Some(Duration::from_micros(900));
    record.status = Some(StatusCode::OK);
    record.bytes_sent = 512;
    record.ending = Ending::Complete;
    record
}

fn format(format: Format, record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    let ended = record.started + Duration::from_micros(1_250);
    match format {
        Format::Json => json::line(&mut out, &mut Stamp::default(), &clock(), record, ended),
        Format::Text { colour } => text::line(&mut out, &mut Stamp::default(), &clock(), record, ended, colour),
    }
    out
}

fn as_text(form: Format, record: &Record) -> String {
    String::from_utf8(format(form, record)).unwrap()
}

#[test]
fn json_has_every_field_in_order() {
    let line = concat!(
        r#"{"time":"2026-11-24T04:51:07.000Z","request_id":"0198c0de","client":"192.0.2.7","method":"GET","#,
        r#""host":"shop.test","path":"/orders/7","http":"1.1","route":"orders","auth":"accepted","verifier":"users","#,
        r#""identity":"alice","limit":"per-user","limit_outcome":"admitted","limit_by":"share","limit_remaining":99,"upstream":"orders","#,
        r#""breaker":"half-open","endpoint":"127.0.0.1:7011","attempts":2,"upstream_ms":0.900,"status":200,"#,
        r#""bytes_received":0,"bytes_sent":512,"total_ms":1.250,"ending":"complete"}"#,
        "\n"
    );
    assert_eq!(as_text(Format::Json, &full()), line);
}

#[test]
fn json_names_the_refusal_and_whose_side_it_was() {
    let mut record = record();
    record.status = Some(StatusCode::UNAUTHORIZED);
    record.auth = Some(AuthOutcome::Refused);
    record.auth_reason = Some("expired");
    record.ending = Ending::Rejected("token-invalid");
    let value: serde_json::Value = serde_json::from_slice(&format(Format::Json, &record)).unwrap();
    assert_eq!(value["auth"], "refused");
    assert_eq!(value["auth_reason"], "expired");
    assert_eq!((&value["ending"], &value["code"]), (&"rejected".into(), &"token-invalid".into()));
    assert_eq!(value["origin"], Origin::Client.code());
    assert_eq!(value["upstream"], serde_json::Value::Null);
}

#[test]
fn text_is_aligned_and_says_the_same() {
    let line = concat!(
        "2026-11-24T04:51:07.000Z 200      1.250ms GET    shop.test/orders/7 route=orders client=192.0.2.7 ",
        "auth=accepted identity=users/alice limit=per-user limit_outcome=admitted limit_by=share limit_remaining=99 upstream=orders ",
        "breaker=half-open endpoint=127.0.0.1:7011 attempts=2 upstream_ms=0.900 bytes_received=0 bytes_sent=512 ",
        "ending=complete request_id=0198c0de\n"
    );
    assert_eq!(as_text(PLAIN, &full()), line);
}

#[test]
fn text_is_coloured_only_when_asked() {
    assert!(!as_text(PLAIN, &full()).contains('\x1b'));
    let coloured = as_text(Format::Text { colour: Colour::Ansi }, &full());
    assert!(coloured.contains("\x1b[32m200\x1b[0m"), "{coloured:?}");
}

/// The longest line there can be still fits where a shard says that it has room.
#[test]
fn the_longest_line_fits() {
    let long = "\u{1b}".repeat(70_000);
    let metrics = Metrics::new(&clock());
    let mut record = full();
    record.method = Method::from_bytes(&[b'M'; 70_000]).unwrap();
    record.client = Some(IpAddr::V6([0xffff; 8].into()));
    record.route = Some(metrics.route(&long));
    record.upstream = Some(metrics.upstream(&long));
    for clip in [&mut record.host, &mut record.path, &mut record.request_id] {
        *clip = Some(Clip::new(&long));
    }
    record.identity = Some(Arc::new(Identity::new(long.as_str(), "\"".repeat(256), Default::default(), None).unwrap()));
    record.limit = Some(LimitRecord {
        name: long.as_str().into(),
        outcome: LimitOutcome::StoreLost,
        remaining: Some(u64::MAX),
        alone: true,
    });
    record.endpoint = Some(long.as_str().into());
    record.until_head = Some(Duration::MAX);
    for form in [Format::Json, PLAIN] {
        let line = format(form, &record);
        assert!((50_000..=LINE_BYTES).contains(&line.len()), "{form:?}: {}", line.len());
    }
}

proptest! {
    #[test]
    fn any_bytes_make_one_line_of_valid_json(
        path in prop::collection::vec(any::<u8>(), 0..2000),
        host in prop::collection::vec(any::<u8>(), 0..100),
        id in ".{0,300}",
        name in any::<String>(),
    ) {
        let mut record = full();
        record.path = Some(Clip::new(&path));
        record.host = Some(Clip::new(&host));
        record.identity = Identity::new(name.as_str(), id.as_str(), Default::default(), None).ok().map(Arc::new);
        let line = as_text(Format::Json, &record);
        prop_assert_eq!(line.chars().filter(|char| char.is_control()).count(), 1, "one line break and nothing else");
        prop_assert!(line.ends_with("}\n"), "ends the object and the line");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value["host"].as_str().unwrap(), String::from_utf8_lossy(&host));
        if path.len() <= Clip::MAX {
            prop_assert_eq!(value["path"].as_str().unwrap(), String::from_utf8_lossy(&path));
        }
        if let Some(identity) = &record.identity {
            prop_assert_eq!(value["identity"].as_str().unwrap(), identity.id());
        }
    }

    #[test]
    fn any_bytes_make_one_line_of_text_with_its_own_fields(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut record = full();
        record.path = Some(Clip::new(&bytes));
        record.request_id = Some(Clip::new(&bytes));
        let line = as_text(PLAIN, &record);
        prop_assert_eq!(line.chars().filter(|char| char.is_control()).count(), 1);
        let pairs = as_text(PLAIN, &full()).split_whitespace().count();
        prop_assert_eq!(line.split_whitespace().count(), pairs, "{}", line);
    }
}

/// Keeps what it is given where a test can see it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Kept {}

#[test]
fn every_line_of_every_thread_is_written_once() {
    let kept = Kept::default();
    let log = AccessLog::start(Box::new(kept.clone()), Format::Json, clock()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..100 {
                    let mut record = record();
                    record.path = Some(Clip::new(format!("/{thread}/{number}")));
                    log.write(&record, record.started);
                }
            });
        }
    });
    assert!(log.shutdown(LONG));
    let mut paths: Vec<String> = kept
        .lines()
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["path"].as_str().unwrap().to_owned())
        .collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!((paths.len(), log.dropped()), (800, 0));
}

#[test]
fn the_writer_comes_without_being_asked() {
    let (sender, arrived) = mpsc::channel();
    let log = AccessLog::start(Box::new(Tells(sender)), Format::Json, clock()).unwrap();
    for _ in 0..3 {
        log.write(&record(), clock().now());
        arrived.recv_timeout(LONG).unwrap();
    }
}

/// Says so when something was written.
struct Tells(Sender<usize>);

impl Write for Tells {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.len()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Tells {}

/// Hangs in its first write until it is let go.
struct Stuck {
    entered: Sender<()>,
    release: Receiver<()>,
    kept: Kept,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Both fail once the test's ends are gone, and then nothing waits any more.
        let _ = self.entered.send(());
        let _ = self.release.recv();
        self.kept.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Stuck {}

#[test]
fn a_sink_that_hangs_costs_lines_and_nothing_else() {
    const LINES: usize = 20_000;
    let (entered, was_entered) = mpsc::channel();
    let (let_go, release) = mpsc::channel();
    let kept = Kept::default();
    let sink = Stuck { entered, release, kept: kept.clone() };
    let log = AccessLog::start(Box::new(sink), Format::Json, clock()).unwrap();
    let record = full();
    log.write(&record, record.started);
    was_entered.recv_timeout(LONG).unwrap();

    (1..LINES).for_each(|_| log.write(&record, record.started));
    let dropped = log.dropped();
    assert!(dropped > 0 && dropped < LINES as u64, "{dropped}");
    assert!(!log.shutdown(Duration::from_millis(1)), "the deadline holds although the sink hangs");

    drop(let_go);
    assert!(log.shutdown(LONG));
    let written = kept.lines();
    assert_eq!(written.len() as u64 + log.dropped(), LINES as u64);
    assert!(written.iter().map(String::len).sum::<usize>() <= SHARD_BYTES + 1024);
}

/// Takes so many bytes and then fails, until it is mended.
struct Breaks {
    room: Arc<Mutex<usize>>,
    kept: Kept,
}

impl Write for Breaks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.room.lock().unwrap();
        let taken = bytes.len().min(*room);
        *room -= taken;
        if taken == 0 { Err(io::Error::other("no space")) } else { self.kept.write(&bytes[..taken]) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Breaks {}

#[test]
fn a_sink_that_fails_costs_the_lines_it_did_not_take() {
    let record = full();
    let length = format(Format::Json, &record).len();
    let (room, kept) = (Arc::new(Mutex::new(length * 2 + 10)), Kept::default());
    let sink = Breaks { room: Arc::clone(&room), kept: kept.clone() };
    let log = AccessLog::start(Box::new(sink), Format::Json, clock()).unwrap();
    let ended = record.started + Duration::from_micros(1_250);
    (0..5).for_each(|_| log.write(&record, ended));
    assert!(log.flush(LONG));
    assert_eq!(log.dropped(), 3);

    *room.lock().unwrap() = usize::MAX;
    log.write(&record, ended);
    assert!(log.flush(LONG));
    let lines = kept.lines();
    let whole = format(Format::Json, &record);
    let whole = std::str::from_utf8(&whole).unwrap().trim_end();
    assert_eq!(lines, [whole, whole, &whole[..10], whole], "the torn line spoils no other");
    assert_eq!(log.dropped(), 3);
}

fn lines_of(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

#[test]
fn a_renamed_file_is_opened_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
    fs::write(&path, "kept\n").unwrap();
    let log = AccessLog::file(&path, Format::Json, clock()).unwrap();
    let record = record();
    log.write(&record, record.started);
    assert!(log.flush(LONG));
    fs::rename(&path, &old).unwrap();
    log.write(&record, record.started);
    log.reopen();
    assert!(log.flush(LONG));
    log.write(&record, record.started);
    assert!(log.shutdown(LONG));
    assert_eq!((lines_of(&old), lines_of(&path)), (3, 1));
}

#[test]
fn a_file_that_cannot_be_opened_anew_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (place, moved) = (dir.path().join("logs"), dir.path().join("moved"));
    fs::create_dir(&place).unwrap();
    let log = AccessLog::file(place.join("access.log"), Format::Json, clock()).unwrap();
    fs::rename(&place, &moved).unwrap();
    log.reopen();
    assert!(log.flush(LONG));
    let record = record();
    log.write(&record, record.started);
    assert!(log.shutdown(LONG));
    assert_eq!(lines_of(&moved.join("access.log")), 1);
}

#[test]
fn a_file_that_cannot_be_made_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(AccessLog::file(dir.path().join("missing/access.log"), Format::Json, clock()).is_err());
}

#[test]
fn after_the_end_lines_are_dropped_and_counted() {
    let kept = Kept::default();
    let log = AccessLog::start(Box::new(kept.clone()), PLAIN, clock()).unwrap();
    assert!(log.shutdown(LONG));
    log.write(&record(), clock().now());
    assert!(log.flush(LONG) && log.shutdown(LONG));
    assert_eq!((kept.lines().len(), log.dropped()), (0, 1));
}

#[test]
fn off_is_always_done() {
    let log = AccessLog::off();
    log.write(&record(), clock().now());
    log.reopen();
    assert!(log.flush(Duration::ZERO) && log.shutdown(Duration::ZERO));
    assert_eq!(log.dropped(), 0);
}
