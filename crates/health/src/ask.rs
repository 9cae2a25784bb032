//! Which view is asked for, and in which shape.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::View;
use crate::health::Only;

/// The shape of an answer: the product's own, or that of one of the five systems that Seaworthy reproduces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The product's own, with everything that is known.
    #[default]
    Full,
    /// `{status, service, checked_at}`, and components as a list with metadata.
    Scry,
    /// `{status, timestamp, uptime_seconds}`, and checks by name with their facts beside the word.
    Kronos,
    /// Components by name with response times, circuit breakers beside them.
    House,
    /// `{status: alive}`, and components as a list.
    Soma,
    /// `{status, version, uptime, components}` with the duration of each check.
    Harvester,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Full,
        Self::Scry,
        Self::Kronos,
        Self::House,
        Self::Soma,
        Self::Harvester,
    ];
}

/// How status words are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    /// `healthy`
    #[default]
    Lower,
    /// `HEALTHY`
    Upper,
}

/// One question to the board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The view.
    pub view: View,
    /// The shape.
    pub format: Format,
    /// How words are written.
    pub case: Case,
    /// Readiness with its components.
    pub detailed: bool,
    /// The media type `application/health+json` is wanted instead of the format.
    pub draft: bool,
    /// Strangers see the answer: it has words and codes, and nothing of what the service depends on.
    pub outside: bool,
    /// Which components.
    pub only: Only,
    /// Only the component of this name.
    pub component: Option<&'a str>,
}

impl<'a> Ask<'a> {
    /// A view in the product's own shape.
    pub fn view(view: View) -> Self {
        Self {
            view,
            ..Self::default()
        }
    }

    /// The same with what a query asks for: `detailed=true`, `only=required|critical|optional`, `component=NAME`.
    #[must_use]
    pub fn query(mut self, query: Option<&'a str>) -> Self {
        if self.outside {
            return self;
        }
        for pair in query.unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some(("detailed", value)) => self.detailed = value == "true" || value == "1",
                Some(("only", "required" | "critical")) => self.only = Only::Critical,
                Some(("only", "optional")) => self.only = Only::Optional,
                Some(("component", name)) => self.component = Some(name),
                _ => {}
            }
        }
        self
    }

    /// The place of the finished answer, when the question is one of those that are asked again and again.
    pub(crate) fn place(&self) -> Option<usize> {
        if self.only != Only::All || self.component.is_some() {
            return None;
        }
        let bits = [
            (self.view as usize, View::ALL.len()),
            (self.format as usize, Format::ALL.len()),
            (usize::from(self.case == Case::Upper), 2),
            (usize::from(self.detailed), 2),
            (usize::from(self.draft), 2),
            (usize::from(self.outside), 2),
        ];
        Some(bits.iter().fold(0, |place, (at, of)| place * of + at))
    }

    /// How many places there are.
    pub(crate) const PLACES: usize = View::ALL.len() * Format::ALL.len() * 16;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_question_has_a_place_of_its_own() {
        let mut places = HashSet::new();
        for view in View::ALL {
            for format in Format::ALL {
                for bits in 0..16 {
                    let case = if bits & 1 == 0 {
                        Case::Lower
                    } else {
                        Case::Upper
                    };
                    let (detailed, draft) = (bits & 2 != 0, bits & 4 != 0);
                    let ask = Ask {
                        view,
                        format,
                        case,
                        detailed,
                        draft,
                        outside: bits & 8 != 0,
                        ..Ask::default()
                    };
                    let place = ask.place().expect("a place");
                    assert!(place < Ask::PLACES);
                    assert!(places.insert(place), "{ask:?}");
                }
            }
        }
        let narrow = Ask::default().query(Some("component=db"));
        assert_eq!((narrow.place(), narrow.component), (None, Some("db")));
    }

    #[test]
    fn a_query_is_read_and_the_rest_of_it_ignored() {
        let ask = Ask::view(View::Ready).query(Some("x=1&detailed=true&only=required"));
        assert_eq!((ask.detailed, ask.only), (true, Only::Critical));
        assert!(
            !Ask::view(View::Ready)
                .query(Some("detailed=false"))
                .detailed
        );
    }
}
