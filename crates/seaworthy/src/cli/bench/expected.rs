//! What a load is expected to come to.

use std::str::FromStr;

use super::tally::Tally;

/// So many answers of one status, or of one class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    first: u16,
    last: u16,
    count: u64,
}

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let how = || format!("`{text}` is not STATUS=COUNT: write 200=100, 429=5 or 5xx=0");
        let (status, count) = text.split_once('=').ok_or_else(how)?;
        let count = count.trim().parse().map_err(|_| how())?;
        let status = status.trim();
        let (first, last) = match status.strip_suffix("xx") {
            Some(class) => {
                let class: u16 = class.parse().map_err(|_| how())?;
                (
                    class.saturating_mul(100),
                    class.saturating_mul(100).saturating_add(99),
                )
            }
            None => {
                let status = status.parse().map_err(|_| how())?;
                (status, status)
            }
        };
        if !(100..=999).contains(&first) {
            return Err(how());
        }
        Ok(Self { first, last, count })
    }
}

impl Expected {
    /// What is wrong with the answers, if anything is.
    fn missed(&self, tally: &Tally) -> Option<String> {
        let all = tally.statuses.range(self.first..=self.last);
        let found: u64 = all.map(|(_, count)| count).sum();
        let status = if self.first == self.last {
            self.first.to_string()
        } else {
            format!("{}xx", self.first / 100)
        };
        let Self { count, .. } = self;
        (found != *count).then(|| format!("expected {count} answers of {status}, not {found}"))
    }
}

/// All that is wrong. A request without an answer always is.
pub(super) fn failures(tally: &Tally, statuses: &[Expected]) -> Vec<String> {
    let mut failures: Vec<String> = Vec::new();
    if tally.interrupted {
        failures.push("it was stopped early".to_owned());
    }
    if let Some(reason) = &tally.reason {
        let lost = tally.unanswered();
        failures.push(format!(
            "{lost} without an answer; the first because {reason}"
        ));
    }
    failures.extend(statuses.iter().filter_map(|one| one.missed(tally)));
    let answered = tally.answered();
    let fields = tally.fields.iter().filter(|(_, found)| *found != answered);
    failures.extend(fields.map(|(name, found)| {
        let without = answered - found;
        format!("{without} of {answered} answers have no field {name}")
    }));
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_or_a_class_of_them_is_counted() {
        let mut tally = Tally::default();
        tally.statuses.extend([(200, 100), (429, 5), (418, 1)]);
        for (text, right) in [
            ("200=100", true),
            ("429=4", false),
            ("4xx=6", true),
            ("5xx=0", true),
            ("503=0", true),
        ] {
            let expected: Expected = text.parse().expect(text);
            assert_eq!(failures(&tally, &[expected]).is_empty(), right, "{text}");
        }
        for wrong in [
            "200", "200=", "=5", "x=5", "20=5", "xx=1", "99999=1", "200=-1",
        ] {
            assert!(wrong.parse::<Expected>().is_err(), "{wrong}");
        }
    }
}
