//! Lines as a reader of the log sees them.

use std::net::IpAddr;
use std::sync::mpsc;
use std::sync::{Condvar, Mutex};

use proptest::prelude::*;
use seaworthy_core::route::RouteId;
use seaworthy_core::trace_context::TraceContext;
use serde_json::Value;

use super::*;

/// A destination that can be read, and shut like a full pipe.
#[derive(Debug, Clone, Default)]
struct Paper(Arc<(Mutex<Sheet>, Condvar)>);

#[derive(Debug, Default)]
struct Sheet {
    text: Vec<u8>,
    shut: bool,
    waiting: bool,
    broken: bool,
}

impl Paper {
    fn shut(&self, shut: bool) {
        self.0.0.lock().unwrap().shut = shut;
        self.0.1.notify_all();
    }

    fn wait_until_stuck(&self) {
        let sheet = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(sheet, |sheet| !sheet.waiting).unwrap());
    }

    fn lines(&self) -> Vec<Value> {
        let sheet = self.0.0.lock().unwrap();
        let text = std::str::from_utf8(&sheet.text).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sheet = self.0.0.lock().unwrap();
        sheet.waiting = sheet.shut;
        self.0.1.notify_all();
        let mut sheet = self.0.1.wait_while(sheet, |sheet| sheet.shut).unwrap();
        if sheet.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        sheet.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn config(format: Format) -> Config {
    Config {
        format,
        service: "kronos".to_owned(),
        routes: vec!["unmatched".to_owned(), "/v1/predict*".to_owned()],
        shown: None,
    }
}

fn start(paper: &Paper) -> Writer {
    Writer::try_with_destination(&config(Format::Json), Box::new(paper.clone())).unwrap()
}

fn request() -> Finished<'static> {
    Finished {
        method: "POST",
        path: "/v1/predict/batch",
        version: "HTTP/1.1",
        route: RouteId(1),
        status: 200,
        bytes_in: 12,
        bytes_out: 3456,
        duration: Duration::from_micros(1_234_567),
        first_byte: Some(Duration::from_micros(1_002)),
        client: Some(IpAddr::from([203, 0, 113, 9])),
        request_id: b"abc123",
        trace: TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        user_agent: Some(b"curl/8.0"),
        error: None,
        cut: false,
        view: false,
    }
}

fn written(requests: &[Finished<'_>]) -> Vec<Value> {
    let paper = Paper::default();
    let writer = start(&paper);
    let lines = writer.worker();
    for done in requests {
        lines.line_at(done, Duration::from_millis(1_705_312_800_042));
    }
    drop(lines);
    assert!(writer.close());
    paper.lines()
}

#[test]
fn a_line_says_all_there_is_to_say() {
    let expected = serde_json::json!({
        "ts": "2024-01-15T10:00:00.042Z", "level": "info", "event": "request", "service": "kronos",
        "method": "POST", "path": "/v1/predict/batch", "route": "/v1/predict*", "status": 200,
        "duration_ms": 1234.567, "first_byte_ms": 1.002, "bytes_in": 12, "bytes_out": 3456,
        "client": "203.0.113.9", "request_id": "abc123",
        "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
        "user_agent": "curl/8.0", "error": null, "cut": false, "version": "HTTP/1.1",
    });
    assert_eq!(written(&[request()]), [expected]);
}

#[test]
fn what_is_not_known_is_null_and_the_keys_stay() {
    let full = written(&[request()]).remove(0);
    let bare = Finished {
        route: RouteId(7),
        first_byte: None,
        client: None,
        trace: None,
        user_agent: None,
        error: Some("UpstreamCrashed"),
        status: 502,
        cut: true,
        ..request()
    };
    let bare = written(&[bare]).remove(0);
    assert_eq!(
        bare.as_object().unwrap().keys().collect::<Vec<_>>(),
        full.as_object().unwrap().keys().collect::<Vec<_>>()
    );
    for key in [
        "first_byte_ms",
        "client",
        "trace_id",
        "span_id",
        "user_agent",
    ] {
        assert_eq!(bare[key], Value::Null, "{key}");
    }
    assert_eq!(bare["route"], "unmatched");
    assert_eq!(
        (&bare["level"], &bare["error"], &bare["cut"]),
        (&"warn".into(), &"UpstreamCrashed".into(), &true.into())
    );
}

#[test]
fn only_failing_probes_are_logged() {
    let probe = |status| Finished {
        view: true,
        status,
        path: "/health/live",
        ..request()
    };
    let lines = written(&[probe(200), probe(503), probe(204)]);
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["status"], &lines[0]["view"]),
        (&503.into(), &true.into())
    );
}

#[test]
fn a_terminal_gets_short_lines_without_control_characters() {
    let paper = Paper::default();
    let writer =
        Writer::try_with_destination(&config(Format::Text), Box::new(paper.clone())).unwrap();
    let lines = writer.worker();
    let done = Finished {
        path: "/a\x1b[2J",
        status: 502,
        error: Some("UpstreamCrashed"),
        cut: true,
        ..request()
    };
    lines.line_at(&done, Duration::from_millis(1_705_312_800_042));
    drop(lines);
    assert!(writer.close());
    let text = String::from_utf8(paper.0.0.lock().unwrap().text.clone()).unwrap();
    assert_eq!(
        text,
        "10:00:00Z POST /a\\u001b[2J 502 1234.567ms UpstreamCrashed cut\n"
    );
}

#[test]
fn flush_hands_over_what_was_begun_and_close_writes_it() {
    let paper = Paper::default();
    let writer = start(&paper);
    let lines = writer.worker();
    lines.flush();
    for _ in 0..10 {
        lines.line(&request());
    }
    lines.flush();
    lines.line(&request());
    // The worker lives on: close must neither wait for it nor lose what it flushed.
    assert!(writer.close());
    assert_eq!(paper.lines().len(), 10);
}

#[test]
fn many_workers_lose_nothing_while_the_queue_has_room() {
    // Fewer buffers than the queue holds, so that it does not matter how fast the thread is.
    const EACH: usize = 200;
    let paper = Paper::default();
    let writer = start(&paper);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let lines = writer.worker();
            scope.spawn(move || {
                for _ in 0..EACH {
                    lines.line(&request());
                }
            });
        }
    });
    let dropped = writer.dropped();
    assert!(writer.close());
    assert_eq!(dropped, 0);
    assert_eq!(paper.lines().len(), 4 * EACH);
}

#[test]
fn a_stuck_log_costs_lines_that_are_counted_and_nothing_else() {
    let paper = Paper::default();
    paper.shut(true);
    let writer = start(&paper);
    let dropped = writer.dropped_reader();
    let lines = writer.worker();
    lines.line(&request());
    lines.flush();
    paper.wait_until_stuck();
    let total = 100_000;
    for at in 1..total {
        lines.line(&request());
        if at % 1_000 == 0 {
            lines.flush();
        }
    }
    assert!(writer.dropped() > 0);
    paper.shut(false);
    drop(lines);
    assert!(writer.close());
    assert_eq!(paper.lines().len() as u64 + dropped(), total);
}

#[test]
fn close_gives_up_on_a_stuck_log() {
    let paper = Paper::default();
    paper.shut(true);
    let writer = start(&paper);
    let lines = writer.worker();
    lines.line(&request());
    drop(lines);
    paper.wait_until_stuck();
    assert!(!writer.close_within(Duration::from_millis(1)));
    paper.shut(false);
}

#[test]
fn lines_after_the_end_and_broken_destinations_are_counted() {
    let paper = Paper::default();
    paper.0.0.lock().unwrap().broken = true;
    let writer = start(&paper);
    let dropped = writer.dropped_reader();
    let (before, after) = (writer.worker(), writer.worker());
    before.line(&request());
    before.line(&request());
    drop(before);
    assert!(writer.close());
    assert_eq!(dropped(), 2);
    after.line(&request());
    drop(after);
    assert_eq!(dropped(), 3);
}

#[test]
fn a_worker_can_move_to_its_thread() {
    let (send, receive) = mpsc::channel();
    send.send(start(&Paper::default()).worker()).unwrap();
    receive.recv().unwrap().flush();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn hostile_requests_stay_one_json_line_that_fits(
        method in "\\PC{0,60}",
        path in proptest::string::string_regex("(?s).{0,9000}").unwrap(),
        agent in proptest::collection::vec(any::<u8>(), 0..2000),
        id in any::<String>(),
        octets: [u8; 4],
        v6: u128,
        duration in any::<Duration>(),
        numbers: (u64, u64, u16),
    ) {
        let first = Finished {
            method: &method, path: &path, user_agent: Some(&agent), request_id: id.as_bytes(),
            client: Some(IpAddr::from(octets)), bytes_in: numbers.0, bytes_out: numbers.1, status: numbers.2,
            duration, first_byte: Some(duration), ..request()
        };
        let second = Finished { client: Some(IpAddr::V6(v6.into())), ..first };
        let lines = written(&[first, second]);
        prop_assert_eq!(lines.len(), 2);
        prop_assert_eq!(lines[0]["client"].as_str().unwrap(), IpAddr::from(octets).to_string());
        prop_assert_eq!(lines[1]["client"].as_str().unwrap(), IpAddr::V6(v6.into()).to_string());
        prop_assert_eq!(lines[0]["bytes_in"].as_u64().unwrap(), numbers.0);
        let kept: String = String::from_utf8_lossy(&agent[..agent.len().min(512)]).into_owned();
        prop_assert!(lines[0]["user_agent"].as_str().unwrap().starts_with(&kept));
        let mut out = Vec::new();
        line::write(&mut out, &Prefix::new(Shape::Json, "s", &[]), b"1970-01-01T00:00:00.000Z", &first);
        prop_assert!(out.len() <= line::LONGEST);
    }
}

#[test]
fn the_longest_line_fits_into_the_room_that_is_kept_for_it() {
    let (long, bytes) = ("\u{1}".repeat(10_000), vec![1; 10_000]);
    let done = Finished {
        method: &long,
        path: &long,
        request_id: long.as_bytes(),
        user_agent: Some(&bytes),
        client: Some(IpAddr::V6(u128::MAX.into())),
        duration: Duration::MAX,
        first_byte: Some(Duration::MAX),
        bytes_in: u64::MAX,
        bytes_out: u64::MAX,
        ..request()
    };
    let prefix = Prefix::new(Shape::Json, &long, &[long.clone(), long.clone()]);
    let mut out = Vec::new();
    line::write(&mut out, &prefix, b"1970-01-01T00:00:00.000Z", &done);
    assert!(
        out.len() <= line::LONGEST && line::LONGEST < BUFFER,
        "{}",
        out.len()
    );
}
