//! Reads a page of metrics as strictly as Prometheus does, and stricter where a page of ours has no excuse.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context as _, bail, ensure};
use seaworthy_testkit::Result;

/// A page: every sample by its name and labels.
#[derive(Debug, Default)]
pub(crate) struct Page {
    samples: BTreeMap<String, Vec<Sample>>,
    types: HashMap<String, String>,
}

/// One line of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Page {
    /// Reads the text format 0.0.4.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        ensure!(text.ends_with('\n'), "the last line has no end");
        let mut page = Self::default();
        let mut seen = HashSet::new();
        let mut helped = HashSet::new();
        let mut family = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# ") {
                let mut words = rest.splitn(3, ' ');
                let (kind, name) = (words.next(), words.next().context("no name")?);
                let said = words.next().unwrap_or_default();
                match kind {
                    Some("HELP") => ensure!(
                        helped.insert(name.to_owned()) && !said.is_empty(),
                        "help of {name}"
                    ),
                    Some("TYPE") => {
                        let first = page.types.insert(name.to_owned(), said.to_owned());
                        ensure!(first.is_none(), "{name} has two types");
                        family = name.to_owned();
                    }
                    _ => bail!("a comment that means nothing: {line}"),
                }
                continue;
            }
            let (key, value) = line
                .rsplit_once(' ')
                .with_context(|| format!("no value: {line}"))?;
            ensure!(seen.insert(key.to_owned()), "{key} stands there twice");
            let (name, labels) = match key.split_once('{') {
                Some((name, labels)) => (
                    name,
                    labels_of(labels.strip_suffix('}').context("no brace")?)?,
                ),
                None => (key, BTreeMap::new()),
            };
            ensure!(
                name.strip_prefix(family.as_str())
                    .is_some_and(|suffix| SUFFIXES.contains(&suffix)),
                "{name} stands under {family}"
            );
            let value = value
                .parse()
                .with_context(|| format!("no number: {line}"))?;
            page.samples
                .entry(name.to_owned())
                .or_default()
                .push(Sample { labels, value });
        }
        page.check()?;
        Ok(page)
    }

    /// What the format cannot say about single lines.
    fn check(&self) -> Result<()> {
        for (name, kind) in &self.types {
            match kind.as_str() {
                "counter" => {
                    ensure!(
                        name.ends_with("_total"),
                        "the counter {name} has no `_total`"
                    );
                    ensure!(
                        self.all(name).iter().all(|sample| sample.value >= 0.0),
                        "{name} is negative"
                    );
                }
                "gauge" => {}
                "histogram" => self.check_histogram(name)?,
                other => bail!("{name} has the type {other}"),
            }
        }
        Ok(())
    }

    fn check_histogram(&self, name: &str) -> Result<()> {
        let mut series: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
        for bucket in self.all(&format!("{name}_bucket")) {
            let mut labels = bucket.labels.clone();
            let bound = labels.remove("le").context("a bucket without a bound")?;
            series
                .entry(labels)
                .or_default()
                .push((bound.parse()?, bucket.value));
        }
        for (labels, buckets) in series {
            ensure!(
                buckets
                    .windows(2)
                    .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1),
                "{name}{labels:?} goes down"
            );
            let count = self.all(&format!("{name}_count"));
            let count = count.iter().find(|sample| sample.labels == labels);
            ensure!(
                buckets
                    .last()
                    .map(|last| last.0.is_infinite()
                        && Some(last.1) == count.map(|count| count.value))
                    == Some(true),
                "{name}{labels:?} has no end"
            );
        }
        Ok(())
    }

    /// Every sample called `name`.
    pub(crate) fn all(&self, name: &str) -> Vec<Sample> {
        self.samples.get(name).cloned().unwrap_or_default()
    }

    /// The sum over all samples called `name` whose labels hold these.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let holds = |sample: &Sample| {
            labels.iter().all(|(label, value)| {
                sample
                    .labels
                    .get(*label)
                    .is_some_and(|known| known == value)
            })
        };
        self.all(name)
            .iter()
            .filter(|sample| holds(sample))
            .map(|sample| sample.value)
            .sum()
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.samples.values().map(Vec::len).sum()
    }
}

const SUFFIXES: &[&str] = &["", "_bucket", "_sum", "_count"];

fn labels_of(text: &str) -> Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").context("no label")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().context("no end of a label")? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(chars.next().context("no escape")?.1),
                (_, other) => value.push(other),
            }
        };
        ensure!(
            labels.insert(name.to_owned(), value).is_none(),
            "{name} twice in {text}"
        );
        rest = after[end..].strip_prefix(',').unwrap_or(&after[end..]);
    }
    Ok(labels)
}

#[test]
fn a_page_that_is_wrong_is_refused() {
    let bad = [
        "a 1",
        "# TYPE a counter\na 1\n",
        "# TYPE a_total counter\na_total 1\na_total 2\n",
        "# TYPE a gauge\nb 1\n",
        "# TYPE a gauge\na x\n",
        "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n",
        "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_count 1\na_sum 1\n",
    ];
    for text in bad {
        assert!(Page::parse(text).is_err(), "{text}");
    }
    let good = "# HELP a_total Help.\n# TYPE a_total counter\na_total{x=\"y\\\"z\",u=\"v\"} 5\n";
    let page = Page::parse(good).unwrap();
    assert_eq!(
        (page.sum("a_total", &[("x", "y\"z")]), page.len()),
        (5.0, 1)
    );
}
