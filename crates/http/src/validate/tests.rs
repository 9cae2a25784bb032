//! What is let through, what is refused, and what it costs.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body::Frame;
use http_body_util::combinators::MapErr;
use http_body_util::{BodyExt as _, Full, StreamBody};
use seaworthy_core::route::RouteId;
use serde_json::json;
use tower::{Layer as _, Service, ServiceExt as _};

use super::*;
use crate::error::BodyError;
use crate::exchange::Exchange;

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

const OHLC: &str = "low <= min(open, close) && high >= max(open, close) && low <= high";

fn kronos(mode: Mode) -> Rules {
    let mut rules = vec![
        Rule::Ascending {
            path: path("timestamps"),
            strict: false,
        },
        #[cfg(feature = "rules")]
        Rule::Holds {
            each: Some(path("candles")),
            condition: compile(OHLC).unwrap(),
            name: "ohlc".to_owned(),
        },
        Rule::NotNull(path("candles[].*")),
        Rule::SameLength(vec![path("timestamps"), path("candles")]),
    ];
    rules.sort_by_key(Rule::turn);
    Rules {
        mode,
        max_body: 1 << 20,
        max_depth: 32,
        max_items: vec![(path("candles"), 2048)],
        schema: None,
        rules,
        echo: true,
    }
}

fn sample(count: usize) -> Value {
    let times: Vec<String> = (0..count)
        .map(|at| {
            format!(
                "2024-01-{:02}T{:02}:{:02}:00Z",
                1 + at / 1440,
                at / 60 % 24,
                at % 60
            )
        })
        .collect();
    let candle = json!({"open": 10, "high": 12.5, "low": 8, "close": 9, "volume": 1000});
    json!({"timestamps": times, "candles": vec![candle; count]})
}

fn found(rules: &Rules, body: &Value) -> (String, Option<usize>, Value, String) {
    let found = rules.check(body.to_string().as_bytes()).unwrap_err();
    (found.field, found.index, *found.value, found.problem)
}

#[test]
fn a_place_where_times_go_back_is_named() {
    let rules = kronos(Mode::Enforce);
    let mut body = sample(60);
    assert_eq!(rules.check(body.to_string().as_bytes()), Ok(()));
    body["timestamps"][42] = json!("2023-01-15T10:00:00Z");
    let wrong = found(&rules, &body);
    let words = "timestamps not in ascending order".to_owned();
    assert_eq!(
        wrong,
        (
            "timestamps".to_owned(),
            Some(42),
            json!("2023-01-15T10:00:00Z"),
            words
        )
    );
    // The same moment in other words is not a step back, and twice the same only matters when that is said.
    body["timestamps"][42] = json!("2024-01-01T01:41:00+01:00");
    assert_eq!(rules.check(body.to_string().as_bytes()), Ok(()));
    let strict = Rule::Ascending {
        path: path("timestamps"),
        strict: true,
    };
    assert_eq!(strict.check(&body).unwrap_err().index, Some(42));
    for (times, at) in [
        (json!([1, 2, 3.5, 3]), Some(3)),
        (json!([1, "2"]), Some(1)),
        (json!([1, null]), Some(1)),
        (json!(["b", "a"]), Some(1)),
        (
            json!(["2024-01-01T00:00:00", "2023-01-01T00:00:00"]),
            Some(1),
        ),
        (json!([]), None),
    ] {
        let found = strict.check(&json!({"timestamps": times}));
        assert_eq!(found.err().and_then(|wrong| wrong.index), at, "{times}");
    }
}

#[test]
fn what_is_missing_is_named_before_what_needs_it() {
    let rules = kronos(Mode::Enforce);
    let mut body = sample(8);
    body["candles"][5]["close"] = Value::Null;
    assert_eq!(
        found(&rules, &body),
        (
            "candles[5].close".to_owned(),
            Some(5),
            Value::Null,
            "candles[5].close is null".to_owned()
        )
    );
    body["candles"][5].as_object_mut().unwrap().remove("close");
    assert_eq!(
        found(&rules, &body),
        (
            "candles[5].close".to_owned(),
            Some(5),
            Value::Null,
            "candles[5].close is missing".to_owned()
        )
    );
    for text in ["NaN", "Infinity", "-Infinity", "-inf", "null", ""] {
        body["candles"][5]["close"] = json!(text);
        let wrong = found(&rules, &body);
        assert_eq!(
            (&*wrong.0, wrong.1),
            if text.is_empty() {
                ("candles", Some(5))
            } else {
                ("candles[5].close", Some(5))
            },
            "{text}"
        );
    }
    let mut body = sample(8);
    body["candles"].as_array_mut().unwrap().pop();
    assert_eq!(found(&rules, &body).0, "candles");
}

#[test]
fn too_many_items_are_counted() {
    let rules = kronos(Mode::Enforce);
    assert_eq!(rules.check(sample(2048).to_string().as_bytes()), Ok(()));
    let wrong = found(&rules, &sample(2049));
    assert_eq!((&*wrong.0, wrong.2), ("candles", json!(2049)));
}

#[cfg(feature = "rules")]
#[test]
fn a_rule_that_does_not_hold_names_itself_and_the_item() {
    let rules = kronos(Mode::Enforce);
    let mut body = sample(8);
    body["candles"][3] = json!({"open": 10, "high": 9, "low": 8, "close": 9, "volume": 1});
    let wrong = found(&rules, &body);
    assert_eq!((&*wrong.0, wrong.1), ("candles", Some(3)));
    assert!(
        wrong.3.contains("`ohlc`") && wrong.3.contains("candles[3]"),
        "{}",
        wrong.3
    );
    // Whole numbers and fractions mix, as JSON has them.
    body["candles"][3] = json!({"open": 10, "high": 10.5, "low": 8.25, "close": 9, "volume": 1});
    assert_eq!(rules.check(body.to_string().as_bytes()), Ok(()));
}

#[cfg(feature = "rules")]
#[test]
fn conditions_that_are_none_are_found_when_they_are_read() {
    for text in [
        OHLC,
        "size(a) == size(b)",
        "this.all(x, x > 0)",
        "items.all(x, x.price >= 0.0 && x.count > 0)",
        "has(this.user) && user.startsWith('u-')",
        "high - low > 0.5",
        "kind in ['a', 'b']",
        "index == 0 || close > 1",
        "close > 0 ? open > 0 : true",
        "name.contains('\\u00e9')",
    ] {
        assert!(compile(text).is_ok(), "{text}: {:?}", compile(text));
    }
    for (text, says) in [
        ("low <= ", "no condition"),
        ("low <=> high", "no condition"),
        ("(low", "no condition"),
        ("", "no condition"),
        ("1 + 'a'", "never"),
        ("low + high", "gives a"),
        ("'yes'", "gives a string"),
        ("minimum(low, high) > 1", "no function `minimum`"),
        ("low.matches('(a+)+$')", "no function `matches`"),
        ("a.all(x, b.all(y, x < y))", "loop"),
        ("close + 1 > open", "fraction"),
        ("{'a': 1}.a == 1", "builds no maps"),
    ] {
        let bad = compile(text).expect_err(text);
        assert!(bad.message.contains(says), "{text}: {bad:?}");
    }
    let deep = format!("{}1{} == 1", "(".repeat(50_000), ")".repeat(50_000));
    assert!(compile(&deep).unwrap_err().message.contains("characters"));
    let deep = format!("{}1{} == 1", "(".repeat(900), ")".repeat(900));
    assert!(compile(&deep).unwrap_err().message.contains("brackets"));
    for most in ["(", "[", "!"] {
        let close = if most == "(" {
            ")"
        } else if most == "[" {
            "]"
        } else {
            ""
        };
        // Whatever it says, it comes back.
        drop(compile(&format!(
            "{}true{}",
            most.repeat(64),
            close.repeat(64)
        )));
    }
    drop(compile(&"a||".repeat(600)));
    drop(compile(&format!("{}a", "a.".repeat(1000))));
    drop(compile(&"!".repeat(2000)));
    drop(compile(&"-".repeat(2000)));
    let sum = format!("0.0 {} > 1.0", "+ a".repeat(600));
    assert!(compile(&sum).unwrap_err().message.contains("parts"));
    let column = compile("low > 0 && minimum(low) > 1").unwrap_err().column;
    assert_eq!(column, Some(12));
}

#[test]
fn bombs_are_refused_unparsed() {
    let deep = "[".repeat(100_000);
    let objects = "{\"a\":".repeat(100_000);
    let closed = format!("{}{}", "[".repeat(33), "]".repeat(33));
    let digits = "9".repeat(1_000_000);
    for (body, says) in [
        (deep.as_str(), "deeply"),
        (&objects, "deeply"),
        (&closed, "deeply"),
        (&digits, "digits"),
        ("{\"a\":1,\"a\":2}", "twice"),
        ("{\"a\":1,\"\\u0061\":2}", "twice"),
        ("[NaN]", "NaN"),
        ("[Infinity]", "NaN"),
        ("[-Infinity]", "NaN"),
        ("", "empty"),
        ("  ", "empty"),
        ("{} {}", "goes on"),
        ("\u{feff}{}", "no JSON"),
        ("{'a':1}", "no JSON"),
        ("[1,]", "no JSON"),
        ("[01]", "no JSON"),
        ("\"a\nb\"", "control"),
    ] {
        let wrong = scan(body.as_bytes(), 32).expect_err(body.get(..20).unwrap_or(body));
        assert!(wrong.contains(says), "{wrong}");
    }
    assert!(scan(b"\"\xff\"", 32).unwrap_err().contains("UTF-8"));
    let names: String = (0..50_000).map(|at| format!("\"k{at}\":1,")).collect();
    assert_eq!(scan(format!("{{{names}\"z\":1}}").as_bytes(), 32), Ok(()));
    assert!(scan(format!("{{{names}\"k7\":1}}").as_bytes(), 32).is_err());
    let far = kronos(Mode::Enforce).check(b"[1e999]").unwrap_err();
    assert!(far.problem.contains("out of range"), "{far:?}");
    // Names may be the same in different objects.
    assert_eq!(scan(b"[{\"a\":{\"a\":1}},{\"a\":1}]", 32), Ok(()));
}

proptest::proptest! {
    #[test]
    fn whatever_passes_can_be_parsed_and_whatever_is_written_passes(text in "[\\[\\]{}\",:0-9eE+. \\\\tfn-]{0,40}") {
        let parsed = serde_json::from_str::<Value>(&text).is_ok();
        if scan(text.as_bytes(), 100).is_ok() {
            // Only a number that is out of range is JSON that nobody parses.
            proptest::prop_assert!(parsed || text.contains(['e', 'E']), "{}", text);
        } else if parsed {
            proptest::prop_assert!(scan(text.as_bytes(), 100) == Err("an object has the same name twice") || text.len() > 60, "{}", text);
        }
    }
}

/// The parsing cases of JSONTestSuite, which are not part of this repository.
#[test]
fn json_is_what_others_say_it_is() {
    let folder = std::env::var_os("JSON_TEST_SUITE").map_or_else(
        || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/json").into(),
        PathBuf::from,
    );
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!(
            "JSON: NOT RUN, there is no folder {}; set JSON_TEST_SUITE to the folder `test_parsing` of a clone of https://github.com/nst/JSONTestSuite",
            folder.display()
        );
        return;
    };
    let (mut taken, mut refused, mut free) = (0, 0, 0);
    for file in files {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let verdict = scan(&std::fs::read(file.path()).unwrap(), DEEPEST);
        match name.as_bytes() {
            [b'y', b'_', ..] if name.contains("duplicated_key") => {
                assert!(verdict.is_err(), "{name}")
            }
            [b'y', b'_', ..] => {
                assert_eq!(verdict, Ok(()), "{name}");
                taken += 1;
            }
            [b'n', b'_', ..] => {
                assert!(verdict.is_err(), "{name}");
                refused += 1;
            }
            _ => free += 1,
        }
    }
    println!("JSON: {taken} taken, {refused} refused, {free} free");
    assert!(taken > 0 && refused > 0);
}

#[cfg(feature = "schema")]
#[test]
fn a_schema_names_what_is_wrong_and_repeats_nothing() {
    use super::schema::{Schema, Source};
    let document = json!({
        "type": "object",
        "required": ["name"],
        "additionalProperties": false,
        "properties": {
            "name": {"type": "string", "pattern": "^(a+)+$", "maxLength": 100_000},
            "items": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}}},
        },
    });
    let schema = Source::Fixed(std::sync::Arc::new(Schema::new(&document).unwrap()));
    for (body, field, index) in [
        (json!({}), "name", None),
        (json!({"name": 7}), "name", None),
        (json!({"name": "b-secret"}), "name", None),
        (json!({"name": "a", "more": "b-secret"}), "", None),
        (
            json!({"name": "a", "items": [{"n": 1}, {"n": -1}]}),
            "items[1].n",
            Some(1),
        ),
    ] {
        let wrong = schema.check(&body).unwrap_err();
        assert_eq!((&*wrong.field, wrong.index), (field, index), "{body}");
        assert!(
            !wrong.problem.contains("secret") && !wrong.problem.is_empty(),
            "{}",
            wrong.problem
        );
    }
    // The engine is linear: where it is not, this one would not come back.
    assert!(
        schema
            .check(&json!({"name": format!("{}b", "a".repeat(50_000))}))
            .is_err()
    );
    assert!(Schema::new(&json!({"pattern": "(?=a)b"})).is_err());
    assert!(Schema::new(&json!({"pattern": "(a)\\1"})).is_err());
    assert!(Schema::new(&json!({"pattern": "((a{1,1000}){1,1000}){1,1000}"})).is_err());
    assert!(Schema::new(&json!({"$ref": "https://example.test/x.json"})).is_err());
    assert!(Schema::new(&json!({"$ref": "file:///etc/passwd"})).is_err());
    assert!(Schema::new(&json!({"type": "strnig"})).is_err());
}

type Plain = MapErr<Full<Bytes>, fn(Infallible) -> BodyError>;

/// Answers with the body that reached it.
async fn app<B>(request: Request<B>) -> Result<Response<Bytes>, Error>
where
    B: http_body::Body<Data = Bytes, Error = BodyError>,
{
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(|error| Error::from(&error))?;
    Ok(Response::new(body.to_bytes()))
}

#[derive(Default)]
struct Seen(Mutex<Vec<Mode>>);

impl Watch for Seen {
    fn failed(&self, mode: Mode) {
        self.0.lock().unwrap().push(mode);
    }
}

fn post(body: &str, fields: &[(&str, &str)]) -> Request<Plain> {
    let mut request = Request::post("/v1/predict");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let mut exchange = Exchange::new(Instant::now(), None, false);
    exchange.route = RouteId(1);
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    let body = body.map_err((|never| match never {}) as fn(Infallible) -> BodyError);
    request.extension(exchange).body(body).unwrap()
}

async fn through(rules: Rules, request: Request<Plain>) -> (Result<Bytes, Error>, usize) {
    let seen = Arc::new(Seen::default());
    let by_route: ByRoute = vec![None, Some(Arc::new(rules))].into();
    let service = ValidateLayer::new(by_route, Some(seen.clone())).layer(tower::service_fn(app));
    let answer = service.oneshot(request).await.map(Response::into_body);
    let failed = seen.0.lock().unwrap().len();
    (answer, failed)
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test]
async fn the_app_gets_the_very_same_bytes() {
    for count in [2, 2000] {
        // Blanks and the order of names are nobody's business but the app's.
        let body = format!(" {} \n", sample(count).to_string().replace(":", " : "));
        let body = body
            .replace("T00 : 0", "T00:0")
            .replace(" : ", ":")
            .replace("\"open\":", "\"open\"  : ");
        let (answer, failed) = through(kronos(Mode::Enforce), post(&body, &[JSON])).await;
        assert_eq!((answer.unwrap(), failed), (Bytes::from(body), 0));
    }
}

#[tokio::test]
async fn modes_differ_in_what_is_done_and_not_in_what_is_found() {
    let mut body = sample(60);
    body["timestamps"][42] = json!("2023-01-15T10:00:00Z");
    let body = body.to_string();
    let (answer, failed) = through(kronos(Mode::Off), post(&body, &[JSON])).await;
    assert_eq!((answer.unwrap(), failed), (Bytes::from(body.clone()), 0));
    let (answer, failed) = through(kronos(Mode::Observe), post(&body, &[JSON])).await;
    assert_eq!((answer.unwrap(), failed), (Bytes::from(body.clone()), 1));
    let (answer, failed) = through(kronos(Mode::Enforce), post(&body, &[JSON])).await;
    let error = answer.unwrap_err();
    assert_eq!(
        (error.kind().name, error.kind().status, failed),
        ("ValidationError", 422, 1)
    );
    assert_eq!(
        error.message(),
        "Invalid input: timestamps not in ascending order"
    );
    let details = [
        ("field", json!("timestamps")),
        ("index", json!(42)),
        ("value", json!("2023-01-15T10:00:00Z")),
    ];
    assert_eq!(error.details(), details);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_or_passed_on_whole() {
    let large = format!("\"{}\"", "x".repeat(3 << 20));
    for (body, fields, status) in [
        ("{}", vec![("Content-Type", "text/plain")], 415),
        ("{}", vec![], 415),
        ("{}", vec![JSON, JSON], 415),
        ("{}", vec![JSON, ("Content-Encoding", "gzip")], 415),
        (
            "{}",
            vec![JSON, ("Content-Encoding", "identity, gzip")],
            415,
        ),
        (
            "{}",
            vec![("Content-Type", "application/json; charset=utf-16")],
            415,
        ),
        (
            "{}",
            vec![(
                "Content-Type",
                "application/problem+json; charset=\"UTF-8\"",
            )],
            200,
        ),
        ("{}", vec![JSON, ("Content-Encoding", "identity")], 200),
        ("", vec![], 422),
        (&large, vec![JSON], 413),
    ] {
        let (answer, _) = through(kronos(Mode::Enforce), post(body, &fields)).await;
        let got = answer.map_or_else(|error| error.kind().status, |_| 200);
        assert_eq!(got, status, "{fields:?}");
        let (answer, failed) = through(kronos(Mode::Observe), post(body, &fields)).await;
        assert_eq!(answer.unwrap().len(), body.len());
        assert_eq!(failed, usize::from(status != 200), "{fields:?}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_is_collected_up_to_the_bound() {
    let pieces = (0..200).map(|_| Ok::<_, BodyError>(Frame::data(Bytes::from(vec![b' '; 8192]))));
    let body = StreamBody::new(futures_util::stream::iter(pieces));
    let mut exchange = Exchange::new(Instant::now(), None, false);
    exchange.route = RouteId(1);
    let request = Request::post("/")
        .header(header::CONTENT_TYPE, "application/json")
        .extension(exchange)
        .body(body)
        .unwrap();
    let by_route: ByRoute = vec![None, Some(Arc::new(kronos(Mode::Enforce)))].into();
    let service = ValidateLayer::new(by_route, None).layer(tower::service_fn(app));
    assert_eq!(
        service.oneshot(request).await.unwrap_err().kind().status,
        413
    );
}

#[tokio::test]
async fn secrets_are_not_repeated() {
    let mut rules = kronos(Mode::Enforce);
    rules.rules = vec![Rule::Ascending {
        path: path("api_key"),
        strict: false,
    }];
    let body = json!({"api_key": ["b", "hunter2", "a"]}).to_string();
    let body = body.replace("\"b\"", "\"z\"");
    let (answer, _) = through(rules, post(&body, &[JSON])).await;
    let error = answer.unwrap_err();
    assert_eq!(error.details()[2].1, "[REDACTED]");
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}

#[test]
fn requests_without_a_body_pass() {
    let by_route: ByRoute = vec![None, Some(Arc::new(kronos(Mode::Enforce)))].into();
    let mut service = ValidateLayer::new(by_route, None).layer(tower::service_fn(app));
    let mut request = post("", &[]);
    *request.method_mut() = http::Method::GET;
    assert!(format!("{:?}", service.call(request)).contains("ResponseFuture"));
}

#[tokio::test]
async fn only_what_should_have_a_body_is_refused_for_having_none() {
    for (method, passes) in [
        ("GET", true),
        ("DELETE", true),
        ("OPTIONS", true),
        ("POST", false),
        ("PUT", false),
        ("PATCH", false),
    ] {
        let mut request = post("", &[]);
        *request.method_mut() = method.parse().unwrap();
        let (answer, _) = through(kronos(Mode::Enforce), request).await;
        assert_eq!(answer.is_ok(), passes, "{method}");
    }
}

/// Prints what stands in the documentation; it asserts nothing about the clock, which a busy machine would break.
#[test]
fn what_a_check_costs() {
    let mut plain = kronos(Mode::Enforce);
    plain.rules.retain(|rule| !rule.is_slow());
    let full = kronos(Mode::Enforce);
    for count in [10, 50, 300, 2048] {
        let body = sample(count).to_string();
        for (what, rules) in [("without conditions", &plain), ("with a condition", &full)] {
            let began = Instant::now();
            for _ in 0..10 {
                rules.check(body.as_bytes()).unwrap();
            }
            println!("{} bytes {what}: {:?}", body.len(), began.elapsed() / 10);
        }
        let began = Instant::now();
        for _ in 0..10 {
            scan(body.as_bytes(), 32).unwrap();
        }
        println!("{} bytes scanned: {:?}", body.len(), began.elapsed() / 10);
    }
}
