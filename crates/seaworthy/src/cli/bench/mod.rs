//! `seaworthy bench URL`: asks a URL many times, says what came back, and holds that against what was expected.
//!
//! For rules that count requests, a loop around curl is no test: starting curl takes longer than the tokens take to come back. This
//! keeps its connections open and follows no redirect. One thread, one URL, HTTP/1.1: for the limits of a fast server there are
//! better tools.

mod aim;
mod connection;
mod expected;
mod latency;
mod load;
mod said;
mod tally;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use seaworthy_core::quantity::{Duration, Rate};

use super::{FINDINGS, FINE, Global, output};
use crate::egress::tls;
use crate::failure::Failure;

use aim::Aim;
use expected::Expected;

const EXAMPLES: &str = "\
Examples:
  seaworthy bench http://127.0.0.1:8000/echo --count 105 --assert-status 200=100,429=5
  seaworthy bench http://127.0.0.1:8000/ --duration 30s --conc 20 --rate 500/s --assert-status 5xx=0";

/// Without a word on it, so many requests are sent.
const COUNT: u64 = 100;

/// Arguments of `bench`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// What is asked, such as http://127.0.0.1:8000/echo
    #[arg(value_name = "URL")]
    pub url: Aim,
    /// Send so many requests [default: 100, or what fits into --duration]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Begin requests for so long
    #[arg(long, value_name = "TIME")]
    pub duration: Option<Duration>,
    /// Over so many connections at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub conc: u16,
    /// Begin so many, such as 50/s, however long answers take; times count from when a request was due [default: one after the other]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub rate: Option<Rate>,
    /// Send this field too; may be repeated
    #[arg(long, value_name = "NAME:VALUE", value_parser = aim::field)]
    pub header: Vec<(HeaderName, HeaderValue)>,
    /// The method [default: GET, or POST with --data]
    #[arg(long)]
    pub method: Option<Method>,
    /// Send this body, or that of the file in @FILE
    #[arg(long, value_name = "TEXT")]
    pub data: Option<String>,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub timeout: Duration,
    /// Trust the certificates of this file instead of those of the system
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Fail unless every answer has this field; may be repeated
    #[arg(long, value_name = "NAME")]
    pub assert_header: Vec<HeaderName>,
    /// Fail unless exactly so many answers have these statuses, as in 200=100,429=5 or 5xx=0
    #[arg(long, value_name = "STATUS=COUNT", value_delimiter = ',')]
    pub assert_status: Vec<Expected>,
}

/// A rate; a number alone is one per second.
fn rate(text: &str) -> Result<Rate, String> {
    let rate: Rate = match text.parse() {
        Ok(count) => Rate {
            count,
            per: Duration::from_secs(1),
        },
        Err(_) => text.parse().map_err(|error| format!("{error}"))?,
    };
    if rate.count == 0 {
        return Err("no request would ever begin".to_owned());
    }
    Ok(rate)
}

/// Asks, prints what came of it, and gives the exit code.
pub(super) async fn execute(global: &Global, args: BenchArgs) -> anyhow::Result<u8> {
    let body = args.data.as_deref().map(body).transpose()?;
    let usual = match body {
        Some(_) => Method::POST,
        None => Method::GET,
    };
    let mut headers = HeaderMap::new();
    let agent = concat!("seaworthy-bench/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    let named: HeaderMap = args.header.into_iter().collect();
    headers.extend(named);
    let tls = match args.url.secure {
        true => Some(tls::config(args.ca.as_deref())?),
        false => None,
    };
    let aim = Arc::new(args.url);
    let load = load::Load {
        aim: aim.clone(),
        tls,
        method: args.method.unwrap_or(usual),
        headers,
        body: body.unwrap_or_default(),
        count: match (args.count, args.duration) {
            (None, None) => Some(COUNT),
            (count, _) => count,
        },
        duration: args.duration.map(Duration::get),
        connections: usize::from(args.conc),
        rate: args.rate,
        timeout: args.timeout.get(),
    };
    let tally = load.run(&args.assert_header).await;
    let tally = tally.map_err(|lost| Failure::unreachable(format!("{aim}: {lost}")))?;
    let failures = expected::failures(&tally, &args.assert_status);
    if global.json {
        output::json(&said::document(&tally, &failures));
    } else {
        output::data(&said::words(&tally));
        for failure in &failures {
            output::talk(&format!("failed: {failure}"));
        }
    }
    Ok(if failures.is_empty() { FINE } else { FINDINGS })
}

fn body(data: &str) -> anyhow::Result<Bytes> {
    match data.strip_prefix('@') {
        Some(path) => {
            let read = std::fs::read(path)
                .map_err(|error| Failure::usage(format!("{path} cannot be read: {error}")));
            Ok(read?.into())
        }
        None => Ok(data.to_owned().into()),
    }
}
