//! How large the counts of a run are.
//!
//! A test names its everyday count; `scripts/test --full` multiplies it by ten through `SEAWORTHY_TEST_SCALE`.

/// `count` times the scale of this run.
#[must_use]
pub fn count(count: usize) -> usize {
    count * factor()
}

/// The scale of this run: 1 every day, 10 in a full run.
#[must_use]
pub fn factor() -> usize {
    parse(std::env::var("SEAWORTHY_TEST_SCALE").ok().as_deref())
}

fn parse(text: Option<&str>) -> usize {
    text.and_then(|text| text.parse().ok())
        .filter(|factor| *factor > 0)
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn is_one_unless_a_positive_number_is_given() {
        assert_eq!(parse(None), 1);
        assert_eq!(parse(Some("x")), 1);
        assert_eq!(parse(Some("0")), 1);
        assert_eq!(parse(Some("10")), 10);
    }
}
