//! `bench-limits memory` or `bench-limits redis HOST:PORT`: one line of Markdown for each figure.

mod memory;
mod redis;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["memory"] => memory::run(),
        ["redis", address] => redis::run(address),
        _ => {
            eprintln!("bench-limits memory | redis HOST:PORT");
            std::process::exit(2);
        }
    }
}

/// The median.
fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
