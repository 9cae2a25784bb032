//! "Did you mean": the known word closest to an unknown one.

/// Finds the candidate that was probably meant.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| text.to_lowercase().replace('-', "_");
    let wanted = fold(word);
    if wanted.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let known = fold(candidate);
            let distance = strsim::damerau_levenshtein(&wanted, &known);
            // A third of the letters may be wrong; a known word inside a longer one counts as two wrong letters.
            let contained = known.len() >= 4
                && wanted.len() >= 4
                && (wanted.contains(&known) || known.contains(&wanted));
            let distance = if contained { distance.min(2) } else { distance };
            let allowed = if contained {
                2
            } else {
                wanted.chars().count().max(known.chars().count()) / 3
            };
            (distance <= allowed).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Says which words exist, for the help line of an unknown one.
pub(crate) fn known(words: &[&str]) -> String {
    const SHOWN: usize = 24;
    let mut text = words
        .iter()
        .take(SHOWN)
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if words.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_that_was_meant() {
        let keys = [
            "service",
            "listen",
            "shutdown",
            "endpoints",
            "limits",
            "log",
            "drain",
        ];
        assert_eq!(closest("lisen", keys), Some("listen"));
        assert_eq!(closest("Shut-down", keys), Some("shutdown"));
        assert_eq!(closest("drain_timeout", keys), Some("drain"));
        assert_eq!(closest("limit", keys), Some("limits"));
        assert_eq!(closest("database", keys), None);
    }
}
