//! What is said about a load, in words and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::tally::{Run, Runs, Tally};

/// The percentiles that are told.
const TOLD: [(&str, u64); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)];

/// In words.
pub(super) fn words(tally: &Tally) -> String {
    let mut text = String::new();
    let answered = tally.answered();
    let all = answered + tally.unanswered();
    let seconds = tally.took.as_secs_f64();
    line(
        &mut text,
        "requests",
        &format!(
            "{all} in {seconds:.2} s, {:.1} answers a second",
            rate(tally)
        ),
    );
    let statuses = tally
        .statuses
        .iter()
        .map(|(status, count)| format!("{count} x {status}"));
    let lost = tally
        .lost
        .iter()
        .map(|(word, count)| format!("{count} x no answer ({word})"));
    let statuses: Vec<String> = statuses.chain(lost).collect();
    line(&mut text, "status", &statuses.join(", "));
    line(&mut text, "in order", &in_order(&tally.runs));
    let told =
        TOLD.map(|(name, per_mille)| format!("{name} {}", shown(tally.latency.at(per_mille))));
    let longest = shown(tally.latency.longest());
    line(
        &mut text,
        "latency",
        &format!("{}, max {longest}", told.join(", ")),
    );
    line(
        &mut text,
        "received",
        &format!("{} bytes of bodies", tally.bytes),
    );
    for (name, found) in &tally.fields {
        line(
            &mut text,
            "field",
            &format!("{name} on {found} of {answered}"),
        );
    }
    text
}

/// As JSON.
pub(super) fn document(tally: &Tally, failures: &[String]) -> Value {
    let counts = |counts: &mut dyn Iterator<Item = (String, u64)>| -> Map<String, Value> {
        counts.map(|(name, count)| (name, count.into())).collect()
    };
    let statuses = &mut tally
        .statuses
        .iter()
        .map(|(status, count)| (status.to_string(), *count));
    let lost = &mut tally
        .lost
        .iter()
        .map(|(word, count)| ((*word).to_owned(), *count));
    let fields = &mut tally
        .fields
        .iter()
        .map(|(name, found)| (name.to_string(), *found));
    let mut latency: Map<String, Value> = TOLD
        .iter()
        .map(|(name, per_mille)| {
            (
                (*name).to_owned(),
                millis(tally.latency.at(*per_mille)).into(),
            )
        })
        .collect();
    latency.insert("max".to_owned(), millis(tally.latency.longest()).into());
    let runs = tally.runs.first.iter().chain(&tally.runs.last);
    let runs: Vec<Value> = runs
        .map(|run| json!({"status": run.status, "count": run.count}))
        .collect();
    json!({
        "ok": failures.is_empty(),
        "failures": failures,
        "requests": tally.answered() + tally.unanswered(),
        "answered": tally.answered(),
        "seconds": tally.took.as_secs_f64(),
        "per_second": rate(tally),
        "status": counts(statuses),
        "no_answer": counts(lost),
        "runs": runs,
        "runs_left_out": tally.runs.left_out,
        "latency_ms": latency,
        "bytes": tally.bytes,
        "fields": counts(fields),
    })
}

/// Counts are exact in a float up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn rate(tally: &Tally) -> f64 {
    tally.answered() as f64 / tally.took.as_secs_f64().max(f64::EPSILON)
}

fn in_order(runs: &Runs) -> String {
    let word = |run: &Run| match run.status {
        Some(status) => format!("{} {status}", run.count),
        None => format!("{} without an answer", run.count),
    };
    let all: Vec<&Run> = runs.first.iter().chain(&runs.last).collect();
    let (first, middle, last) = match all.as_slice() {
        [] => return "nothing".to_owned(),
        [one] => return format!("all {}", word(one)),
        [first, middle @ .., last] => (first, middle, last),
    };
    let mut text = format!("first {}", word(first));
    for (place, run) in middle.iter().enumerate() {
        // What was left out lies where the last ones begin.
        if runs.left_out > 0 && place + 1 == runs.first.len() {
            _ = write!(text, ", {} changes more", runs.left_out);
        }
        _ = write!(text, ", then {}", word(run));
    }
    _ = write!(text, ", last {}", word(last));
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    writeln!(text, "{name:<9} {value}").expect("a String takes everything");
}

fn shown(time: Duration) -> String {
    format!("{:.2} ms", millis(time))
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_told_from_both_ends() {
        let run = |status, count| Run {
            status: Some(status),
            count,
        };
        let mut runs = Runs::default();
        assert_eq!(in_order(&runs), "nothing");
        runs.first.push(run(200, 100));
        assert_eq!(in_order(&runs), "all 100 200");
        runs.first.push(run(429, 5));
        assert_eq!(in_order(&runs), "first 100 200, last 5 429");
        runs.last.extend([run(503, 1), run(200, 2)]);
        runs.left_out = 7;
        assert_eq!(
            in_order(&runs),
            "first 100 200, then 5 429, 7 changes more, then 1 503, last 2 200"
        );
    }
}
