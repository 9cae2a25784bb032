//! Pages as a strict scraper reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use seaworthy_core::exchange::Finished;
use seaworthy_core::names::{Kind, LIFECYCLE_SECONDS, METHODS, Metric};
use seaworthy_core::route::{RouteId, RouteTable};

use super::*;

type Labels = Vec<(String, String)>;

/// A page read by the rules of the format, each broken rule a panic.
#[derive(Debug, Default)]
struct Read {
    kinds: BTreeMap<String, String>,
    /// By name and labels, as they were written.
    samples: BTreeMap<(String, Labels), f64>,
}

impl Read {
    fn of(text: &str, openmetrics: bool) -> Self {
        let body = if openmetrics {
            text.strip_suffix("# EOF\n").expect("the end is marked")
        } else {
            text
        };
        assert!(body.ends_with('\n'));
        let mut read = Self::default();
        let mut family = String::new();
        let mut help = None;
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, text) = rest.split_once(' ').expect("help has a text");
                assert!(!text.is_empty() && help.is_none(), "{line}");
                help = Some(name.to_owned());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("type has a kind");
                assert_eq!(help.take().as_deref(), Some(name), "help comes before type");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(
                    read.kinds
                        .insert(name.to_owned(), kind.to_owned())
                        .is_none(),
                    "family twice: {name}"
                );
                name.clone_into(&mut family);
            } else {
                read.sample(line, &family, openmetrics);
            }
        }
        assert_eq!(help, None);
        read.check_histograms();
        read
    }

    fn sample(&mut self, line: &str, family: &str, openmetrics: bool) {
        assert!(!line.starts_with('#'), "unknown comment: {line}");
        let name_end = line.find(['{', ' ']).expect("a value follows");
        let (name, rest) = line.split_at(name_end);
        assert!(is_name(name), "{line}");
        let (labels, value) = if let Some(rest) = rest.strip_prefix('{') {
            parse_labels(rest)
        } else {
            (Vec::new(), rest)
        };
        let value = value.strip_prefix(' ').expect("one space before the value");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let suffix = name
            .strip_prefix(family)
            .unwrap_or_else(|| panic!("{name} outside its family {family}"));
        match self.kinds[family].as_str() {
            "counter" => {
                assert_eq!(suffix, if openmetrics { "_total" } else { "" }, "{line}");
                assert!(name.ends_with("_total") && value >= 0.0, "{line}");
            }
            "gauge" => assert_eq!(suffix, "", "{line}"),
            _ => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
        }
        let keys: BTreeSet<_> = labels.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), labels.len(), "label twice: {line}");
        assert_eq!(
            labels.iter().any(|(key, _)| key == "le"),
            suffix == "_bucket",
            "{line}"
        );
        assert!(
            self.samples
                .insert((name.to_owned(), labels), value)
                .is_none(),
            "series twice: {line}"
        );
    }

    /// Buckets ascend in bound and count, end in `+Inf`, and that one is the count.
    fn check_histograms(&self) {
        let histograms = self.kinds.iter().filter(|(_, kind)| *kind == "histogram");
        for (family, _) in histograms {
            let mut groups: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
            for ((name, labels), value) in &self.samples {
                if *name == format!("{family}_bucket") {
                    let (le, others): (Vec<_>, Vec<_>) =
                        labels.iter().cloned().partition(|(key, _)| key == "le");
                    let bound = if le[0].1 == "+Inf" {
                        f64::INFINITY
                    } else {
                        le[0].1.parse().unwrap()
                    };
                    groups.entry(others).or_default().push((bound, *value));
                }
            }
            assert!(!groups.is_empty(), "{family} without series");
            for (labels, mut buckets) in groups {
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(
                    buckets
                        .windows(2)
                        .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1),
                    "{family}"
                );
                let last = buckets.last().unwrap();
                assert!(last.0.is_infinite(), "{family}");
                assert_eq!(
                    self.samples[&(format!("{family}_count"), labels.clone())],
                    last.1
                );
                assert!(
                    self.samples
                        .contains_key(&(format!("{family}_sum"), labels))
                );
            }
        }
    }

    fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }

    fn count(&self, name: &str) -> usize {
        self.samples.keys().filter(|(own, _)| own == name).count()
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
        && !name.as_bytes()[0].is_ascii_digit()
}

/// Reads `a="b",c="d"}` and gives what follows.
fn parse_labels(mut rest: &str) -> (Labels, &str) {
    let mut labels = Vec::new();
    loop {
        let (key, after) = rest.split_once("=\"").expect("a label has a quoted value");
        assert!(is_name(key), "{key}");
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().expect("the quote is closed") {
                (at, '"') => break at,
                (_, '\\') => match characters.next().expect("an escape is complete").1 {
                    'n' => value.push('\n'),
                    plain @ ('\\' | '"') => value.push(plain),
                    other => panic!("unknown escape {other}"),
                },
                (_, plain) => value.push(plain),
            }
        };
        labels.push((key.to_owned(), value));
        rest = &after[end + 1..];
        if let Some(after) = rest.strip_prefix('}') {
            return (labels, after);
        }
        rest = rest.strip_prefix(',').expect("a comma between labels");
    }
}

fn read(registry: &Registry) -> Read {
    let text = Read::of(&registry.encode(false), false);
    let open = Read::of(&registry.encode(true), true);
    let names = |read: &Read| {
        read.samples
            .keys()
            .map(|(name, _)| name.clone())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&text), names(&open));
    text
}

fn done(method: &'static str, route: u16, status: u16, millis: u64) -> Finished<'static> {
    Finished {
        method,
        path: "/anything",
        version: "HTTP/1.1",
        route: RouteId(route),
        status,
        bytes_in: 0,
        bytes_out: 0,
        duration: Duration::from_millis(millis),
        first_byte: None,
        client: None,
        request_id: b"id",
        trace: None,
        user_agent: None,
        error: None,
        cut: false,
        view: false,
    }
}

fn requests(read: &Read, method: &str, endpoint: &str, status: &str) -> Option<f64> {
    read.get(
        "http_requests_total",
        &[
            ("method", method),
            ("endpoint", endpoint),
            ("status", status),
        ],
    )
}

#[test]
fn an_idle_registry_is_a_valid_page() {
    let registry = Registry::new(&[]);
    let page = read(&registry);
    assert_eq!(
        page.get(
            "seaworthy_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))]
        ),
        Some(1.0)
    );
    assert_eq!(page.get("http_requests_in_progress", &[]), Some(0.0));
    assert_eq!(page.count("http_requests_total"), 0);
}

#[test]
fn requests_of_all_workers_are_added_up() {
    let routes = RouteTable::try_new(["POST /v1/predict*", "/users/:id"]).unwrap();
    let registry = Registry::new(routes.templates());
    let (a, b) = (registry.worker(), registry.worker());
    for worker in [&a, &b] {
        worker.started();
        worker.started();
        worker.finished(&done("POST", 1, 200, 30));
    }
    a.finished(&Finished {
        error: Some("UpstreamCrashed"),
        cut: true,
        ..done("POST", 1, 502, 20_000)
    });
    a.started();
    a.finished(&done("PROPFIND", 0, 404, 1));
    a.started();
    a.finished(&done("GET", 99, 0, 1));
    a.started();
    a.finished(&Finished {
        view: true,
        ..done("GET", 0, 503, 0)
    });
    assert_eq!(registry.in_progress(), 1);
    drop(a);
    let page = read(&registry);
    assert_eq!(requests(&page, "POST", "/v1/predict*", "200"), Some(2.0));
    assert_eq!(requests(&page, "POST", "/v1/predict*", "502"), Some(1.0));
    assert_eq!(requests(&page, "OTHER", "unmatched", "404"), Some(1.0));
    assert_eq!(requests(&page, "GET", "unmatched", "none"), Some(1.0));
    assert_eq!(requests(&page, "GET", "view", "503"), Some(1.0));
    assert_eq!(page.count("http_requests_total"), 5);
    let bucket = |le| {
        page.get(
            "http_request_duration_seconds_bucket",
            &[("method", "POST"), ("endpoint", "/v1/predict*"), ("le", le)],
        )
    };
    assert_eq!(
        (
            bucket("0.025"),
            bucket("0.05"),
            bucket("10"),
            bucket("+Inf")
        ),
        (Some(0.0), Some(2.0), Some(2.0), Some(3.0))
    );
    let sum = page.get(
        "http_request_duration_seconds_sum",
        &[("method", "POST"), ("endpoint", "/v1/predict*")],
    );
    assert!((sum.unwrap() - 20.06).abs() < 1e-9);
    assert_eq!(page.get("http_requests_in_progress", &[]), Some(1.0));
    assert_eq!(page.get("seaworthy_requests_cut_total", &[]), Some(1.0));
    assert_eq!(
        page.get("seaworthy_errors_total", &[("type", "UpstreamCrashed")]),
        Some(1.0)
    );
}

#[test]
fn routes_that_differ_only_in_methods_share_their_series() {
    let routes = RouteTable::try_new(["GET /x", "BREW /x", "/x"]).unwrap();
    let registry = Registry::new(routes.templates());
    let worker = registry.worker();
    for route in 1..=3 {
        worker.started();
        worker.finished(&done("BREW", route, 200, 1));
    }
    assert_eq!(requests(&read(&registry), "OTHER", "/x", "200"), Some(3.0));
}

#[test]
fn bounds_belong_to_their_own_bucket() {
    let registry = Registry::new(&[]);
    let worker = registry.worker();
    for millis in [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] {
        worker.started();
        worker.finished(&done("GET", 0, 200, millis));
    }
    let page = read(&registry);
    for (at, le) in [
        "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10",
    ]
    .iter()
    .enumerate()
    {
        let bucket = page.get(
            "http_request_duration_seconds_bucket",
            &[("method", "GET"), ("endpoint", "unmatched"), ("le", le)],
        );
        assert_eq!(
            bucket,
            Some(f64::from(u32::try_from(at).unwrap() + 1)),
            "{le}"
        );
    }
    let open = registry.encode(true);
    assert!(open.contains(r#"le="1.0""#) && open.contains("# TYPE http_requests counter\n"));
}

#[test]
fn a_scrape_in_the_middle_of_traffic_never_goes_back() {
    let registry = Registry::new(&[]);
    let total = 20_000;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let worker = registry.worker();
            scope.spawn(move || {
                for _ in 0..total {
                    worker.started();
                    worker.finished(&done("GET", 0, 200, 1));
                }
            });
        }
        let mut last = 0.0;
        while last < 2.0 * f64::from(total) {
            let page = Read::of(&registry.encode(false), false);
            let now = requests(&page, "GET", "unmatched", "200").unwrap_or(0.0);
            assert!(
                now >= last
                    && page.get("http_requests_in_progress", &[]).unwrap()
                        <= 2.0 * f64::from(total)
            );
            last = now;
        }
    });
    assert_eq!(registry.in_progress(), 0);
}

#[test]
fn handles_of_one_series_share_their_number() {
    let registry = Registry::new(&[]);
    registry.counter(&metric::CHILD_RESTARTS, &[]).inc();
    registry.counter(&metric::CHILD_RESTARTS, &[]).add(2);
    let gauge = registry.gauge(&metric::CHILDREN_READY, &[]);
    gauge.set(3.0);
    gauge.add(-1.5);
    let startup = registry.histogram(&metric::STARTUP_SECONDS, &[]);
    startup.observe(0.1);
    registry
        .histogram(&metric::STARTUP_SECONDS, &[])
        .observe(1000.0);
    registry.read(&metric::ACCESS_LINES_DROPPED, &[], || 7.0);
    let states = registry.states(&metric::LIFECYCLE_STATE, &["starting", "running"]);
    states.set("starting");
    states.set("running");
    let page = read(&registry);
    assert_eq!(page.get("seaworthy_child_restarts_total", &[]), Some(3.0));
    assert_eq!(page.get("seaworthy_children_ready", &[]), Some(1.5));
    assert_eq!(
        page.get("service_startup_seconds_bucket", &[("le", "0.1")]),
        Some(1.0)
    );
    assert_eq!(page.get("service_startup_seconds_count", &[]), Some(2.0));
    assert_eq!(page.get("service_startup_seconds_sum", &[]), Some(1000.1));
    assert_eq!(
        page.get("seaworthy_access_lines_dropped_total", &[]),
        Some(7.0)
    );
    assert_eq!(
        page.get("seaworthy_lifecycle_state", &[("state", "starting")]),
        Some(0.0)
    );
    assert_eq!(
        page.get("seaworthy_lifecycle_state", &[("state", "running")]),
        Some(1.0)
    );
}

static PROBED: Metric = Metric {
    name: "seaworthy_probed",
    help: "A gauge for tests.",
    kind: Kind::Gauge,
    labels: &["a", "b"],
};

#[test]
fn a_family_is_bounded_and_says_what_it_dropped() {
    let registry = Registry::new(&[]);
    for at in 0..1_500 {
        registry.gauge(&PROBED, &[&at.to_string(), "x"]).set(1.0);
    }
    let page = read(&registry);
    assert_eq!(page.count("seaworthy_probed"), 1_000);
    assert_eq!(
        page.get("seaworthy_metrics_series_dropped_total", &[]),
        Some(500.0)
    );
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_described() {
    let page = read(&Registry::new(&[]));
    let memory = page.get("process_resident_memory_bytes", &[]).unwrap();
    assert!((1e6..1e11).contains(&memory), "{memory}");
    assert!(page.get("process_open_fds", &[]).unwrap() >= 3.0);
    assert!(page.get("process_cpu_seconds_total", &[]).unwrap() >= 0.0);
    let age =
        crate::stamp::now().as_secs_f64() - page.get("process_start_time_seconds", &[]).unwrap();
    assert!((-2.0..3600.0).contains(&age), "{age}");
}

#[test]
fn openmetrics_is_for_those_who_ask() {
    let prometheus =
        "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5";
    assert!(accepts_openmetrics(Some(prometheus)));
    assert!(!accepts_openmetrics(Some("text/plain, */*")));
    assert!(!accepts_openmetrics(None));
}

#[test]
fn routes_may_come_later() {
    let all = ["unmatched", "/a", "/b"].map(str::to_owned);
    let registry = Registry::new(&all[..2]);
    let worker = registry.worker();
    worker.finished(&done("GET", 1, 200, 0));
    worker.finished(&done("GET", 2, 200, 0));
    registry.renew(&all);
    worker.renew(&registry);
    worker.finished(&done("GET", 1, 200, 0));
    worker.finished(&done("GET", 2, 200, 0));
    let page = read(&registry);
    let count = |endpoint| {
        let labels = [("method", "GET"), ("endpoint", endpoint), ("status", "200")];
        page.get("http_requests_total", &labels)
    };
    assert_eq!(count("/a"), Some(2.0));
    assert_eq!(count("/b"), Some(1.0));
    assert_eq!(count("unmatched"), Some(1.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_label_value_survives_the_page(a in any::<String>(), b in any::<String>(), value in any::<f64>()) {
        // A line end of another kind would end the line for `str::lines`, not for a scraper.
        prop_assume!(!a.contains('\r') && !b.contains('\r'));
        let registry = Registry::new(&[]);
        registry.gauge(&PROBED, &[&a, &b]).set(value);
        let got = read(&registry).get("seaworthy_probed", &[("a", &a), ("b", &b)]).unwrap();
        prop_assert!(got == value || got.is_nan() && value.is_nan());
    }

    #[test]
    fn every_request_is_counted_once_in_series_that_are_bounded(
        all in proptest::collection::vec(("[A-Z]{1,7}", 0u16..6, any::<u16>(), any::<u64>()), 0..60),
    ) {
        let routes = ["unmatched", "/a", "/a", "/b"].map(str::to_owned);
        let registry = Registry::new(&routes);
        let worker = registry.worker();
        for (method, route, status, nanos) in &all {
            worker.started();
            worker.finished(&Finished { method, duration: Duration::from_nanos(*nanos / 1000), ..done("", *route, *status, 0) });
        }
        let page = read(&registry);
        let sum: f64 = page.samples.iter().filter(|((name, _), _)| name == "http_requests_total").map(|(_, value)| value).sum();
        prop_assert_eq!(sum, f64::from(u32::try_from(all.len()).unwrap()));
        for (_, labels) in page.samples.keys().filter(|(name, _)| name == "http_requests_total") {
            prop_assert!(METHODS.contains(&labels[0].1.as_str()) || labels[0].1 == "OTHER");
            prop_assert!(["unmatched", "/a", "/b"].contains(&labels[1].1.as_str()));
        }
    }

    #[test]
    fn observations_fall_into_the_bucket_that_holds_them(values in proptest::collection::vec(0.0f64..200.0, 1..40)) {
        let registry = Registry::new(&[]);
        let histogram = registry.histogram(&metric::SHUTDOWN_SECONDS, &[]);
        values.iter().for_each(|value| histogram.observe(*value));
        let page = read(&registry);
        for bound in LIFECYCLE_SECONDS {
            let expected = values.iter().filter(|value| *value <= bound).count();
            let got = page.get("service_shutdown_seconds_bucket", &[("le", &bound.to_string())]).unwrap();
            prop_assert_eq!(got, f64::from(u32::try_from(expected).unwrap()));
        }
    }
}
