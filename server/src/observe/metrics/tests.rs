use std::thread;

use http::{Method, StatusCode, Version};
use portcullis_core::time::Moment;

use super::*;
use crate::observe::record::BreakerState;

fn metrics() -> Metrics {
    Metrics::new(&Clock::manual(UnixTime::from_secs(1000)).0)
}

fn record(status: u16) -> Record {
    let mut record = Record::new(Moment::default(), Method::GET, Version::HTTP_11);
    record.status = Some(StatusCode::from_u16(status).unwrap());
    record.ending = Ending::Complete;
    record
}

/// Fails unless each of `lines` is a line of what is shown.
fn shows(metrics: &Metrics, readings: Readings, lines: &[&str]) {
    let text = metrics.encode(readings);
    for line in lines {
        assert!(text.lines().any(|shown| shown == *line), "{line} in\n{text}");
    }
}

#[test]
fn requests_are_counted_by_route_class_and_duration() {
    let metrics = metrics();
    let mut ok = record(200);
    ok.route = Some(metrics.route("orders"));
    ok.bytes_received = 3;
    ok.bytes_sent = 500;
    metrics.finished(&ok, Duration::from_millis(1));
    metrics.finished(&ok, Duration::from_secs(31));
    let mut refused = record(429);
    refused.route = Some(metrics.route("orders"));
    refused.ending = Ending::Rejected("rate-limited");
    metrics.finished(&refused, Duration::from_nanos(1_000_001));
    let mut lost = record(404);
    lost.ending = Ending::Rejected("no-route");
    metrics.finished(&lost, Duration::ZERO);
    shows(
        &metrics,
        Readings::default(),
        &[
            r#"portcullis_requests_total{route="orders",status="2xx"} 2"#,
            r#"portcullis_requests_total{route="orders",status="4xx"} 1"#,
            r#"portcullis_requests_total{route="orders",status="5xx"} 0"#,
            r#"portcullis_requests_total{route="(none)",status="4xx"} 1"#,
            r#"portcullis_request_duration_seconds_bucket{le="0.001",route="orders"} 1"#,
            r#"portcullis_request_duration_seconds_bucket{le="0.0025",route="orders"} 2"#,
            r#"portcullis_request_duration_seconds_bucket{le="30.0",route="orders"} 2"#,
            r#"portcullis_request_duration_seconds_bucket{le="+Inf",route="orders"} 3"#,
            r#"portcullis_request_duration_seconds_count{route="orders"} 3"#,
            r#"portcullis_request_duration_seconds_sum{route="orders"} 31.002000001"#,
            r#"portcullis_refusals_total{route="orders",code="rate-limited"} 1"#,
            r#"portcullis_refusals_total{route="(none)",code="no-route"} 1"#,
            r#"portcullis_request_body_bytes_total{route="orders"} 6"#,
            r#"portcullis_response_body_bytes_total{route="orders"} 1000"#,
            r#"portcullis_endings_total{ending="complete"} 2"#,
            r#"portcullis_endings_total{ending="rejected"} 2"#,
        ],
    );
}

#[test]
fn any_status_falls_into_a_class() {
    let metrics = metrics();
    [100, 199, 299, 304, 499, 500, 600, 999]
        .into_iter()
        .for_each(|status| metrics.finished(&record(status), Duration::ZERO));
    for (class, count) in [("1xx", 2), ("2xx", 1), ("3xx", 1), ("4xx", 1), ("5xx", 3)] {
        let line = format!(r#"portcullis_requests_total{{route="(none)",status="{class}"}} {count}"#);
        shows(&metrics, Readings::default(), &[&line]);
    }
}

#[test]
fn attempts_and_states_are_shown_by_upstream() {
    let metrics = metrics();
    let orders = metrics.upstream("orders");
    for outcome in [AttemptOutcome::Answered, AttemptOutcome::Connect, AttemptOutcome::Timeout, AttemptOutcome::Timeout]
    {
        metrics.attempted(&orders, outcome);
    }
    let mut answered = record(200);
    answered.upstream = Some(orders);
    answered.until_head = Some(Duration::from_millis(3));
    metrics.finished(&answered, Duration::from_millis(4));
    let mut reading = UpstreamReading::new("orders");
    reading.breaker = Some(BreakerState::Open);
    reading.breaker_opened = 2;
    reading.breaker_reopened = 1;
    reading.in_flight = 7;
    shows(
        &metrics,
        Readings { upstreams: vec![reading, UpstreamReading::new("users")], ..Readings::default() },
        &[
            r#"portcullis_upstream_attempts_total{upstream="orders"} 4"#,
            r#"portcullis_upstream_failures_total{upstream="orders",kind="connect"} 1"#,
            r#"portcullis_upstream_failures_total{upstream="orders",kind="status"} 0"#,
            r#"portcullis_upstream_failures_total{upstream="orders",kind="timeout"} 2"#,
            r#"portcullis_upstream_head_seconds_bucket{le="0.005",upstream="orders"} 1"#,
            r#"portcullis_upstream_breaker{upstream="orders",state="closed"} 0"#,
            r#"portcullis_upstream_breaker{upstream="orders",state="open"} 1"#,
            r#"portcullis_upstream_breaker_opened_total{upstream="orders"} 2"#,
            r#"portcullis_upstream_breaker_reopened_total{upstream="orders"} 1"#,
            r#"portcullis_upstream_in_flight{upstream="orders"} 7"#,
            r#"portcullis_upstream_in_flight{upstream="users"} 0"#,
        ],
    );
}

#[test]
fn the_process_tells_of_itself() {
    let metrics = metrics();
    metrics.connection_accepted();
    metrics.connection_refused();
    metrics.panicked();
    metrics.reloaded(0xabc, UnixTime::from_secs(1234));
    metrics.reload_failed();
    let version = concat!(r#"portcullis_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#);
    shows(
        &metrics,
        Readings { access_log_dropped: 5, connections_open: 3, limit_keys: 8, plans: 2, ..Readings::default() },
        &[
            "portcullis_connections_accepted_total 1",
            "portcullis_connections_refused_total 1",
            "portcullis_connections_open 3",
            "portcullis_access_log_dropped_total 5",
            "portcullis_limit_keys 8",
            "portcullis_panics_total 1",
            r#"portcullis_reloads_total{result="ok"} 1"#,
            r#"portcullis_reloads_total{result="failed"} 1"#,
            "portcullis_reload_last_ok 0",
            "portcullis_config_loaded_timestamp_seconds 1234",
            "portcullis_plans 2",
            r#"portcullis_config_info{hash="0000000000000abc"} 1"#,
            "process_start_time_seconds 1000",
            version,
        ],
    );
    metrics.reloaded(0xabd, UnixTime::from_secs(1235));
    shows(&metrics, Readings::default(), &["portcullis_reload_last_ok 1"]);
}

#[test]
fn labels_are_escaped() {
    let metrics = metrics();
    let mut ok = record(200);
    ok.route = Some(metrics.route("a\"b\\c\nd"));
    metrics.finished(&ok, Duration::ZERO);
    shows(&metrics, Readings::default(), &[r#"portcullis_requests_total{route="a\"b\\c\nd",status="2xx"} 1"#]);
}

/// Every line is a comment or `name{label="value",…} number`; every family is described once, before its samples.
#[test]
fn the_text_parses_line_by_line() {
    let metrics = metrics();
    let mut ok = record(200);
    ok.route = Some(metrics.route("orders"));
    ok.upstream = Some(metrics.upstream("orders"));
    ok.until_head = Some(Duration::ZERO);
    metrics.finished(&ok, Duration::ZERO);
    let text = metrics.encode(Readings { upstreams: vec![UpstreamReading::new("orders")], ..Readings::default() });
    let body = text.strip_suffix("# EOF\n").unwrap();
    let mut families = Vec::new();
    for line in body.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let name = described.split(' ').next().unwrap();
            assert!(!families.contains(&name), "{name} twice");
            families.push(name);
        } else if !line.starts_with("# ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            assert!(name.starts_with(families.last().unwrap()), "{line} under {:?}", families.last());
            assert!(name.chars().all(|char| char.is_ascii_lowercase() || char == '_'), "{line}");
            let labels = labels.strip_suffix('}').unwrap();
            assert!(
                labels.is_empty() || labels.split(',').all(|label| label.contains("=\"") && label.ends_with('"')),
                "{line}"
            );
        }
    }
    assert!(families.len() > 20, "{families:?}");
}

#[test]
fn a_name_keeps_its_series_over_reloads() {
    let metrics = metrics();
    for _ in 0..3 {
        let mut ok = record(200);
        ok.route = Some(metrics.route("orders"));
        metrics.finished(&ok, Duration::ZERO);
        metrics.route("another");
    }
    shows(&metrics, Readings::default(), &[r#"portcullis_requests_total{route="orders",status="2xx"} 3"#]);
}

#[test]
fn names_beyond_the_bound_are_folded() {
    let metrics = metrics();
    let routes: Vec<_> = (0..Metrics::MAX_NAMES + 2).map(|number| metrics.route(&format!("r{number}"))).collect();
    for route in &routes[Metrics::MAX_NAMES - 1..] {
        let mut ok = record(200);
        ok.route = Some(Arc::clone(route));
        metrics.finished(&ok, Duration::ZERO);
    }
    shows(
        &metrics,
        Readings::default(),
        &[
            r#"portcullis_requests_total{route="r4095",status="2xx"} 1"#,
            r#"portcullis_requests_total{route="(other)",status="2xx"} 2"#,
            "portcullis_series_folded_total 2",
        ],
    );
    assert_eq!(routes.last().unwrap().name(), "r4097", "the log still has its name");
}

#[test]
fn counts_of_many_threads_add_up() {
    let metrics = metrics();
    let route = metrics.route("orders");
    let upstream = metrics.upstream("orders");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    let mut ok = record(200);
                    ok.route = Some(Arc::clone(&route));
                    metrics.finished(&ok, Duration::ZERO);
                    metrics.attempted(&upstream, AttemptOutcome::Reset);
                }
            });
        }
        scope.spawn(|| (0..10).for_each(|_| drop(metrics.encode(Readings::default()))));
    });
    shows(
        &metrics,
        Readings::default(),
        &[
            r#"portcullis_requests_total{route="orders",status="2xx"} 8000"#,
            r#"portcullis_upstream_failures_total{upstream="orders",kind="reset"} 8000"#,
        ],
    );
}
