//! The templates of all route tables that there have been, numbered for good.
//!
//! A table numbers its routes from one, so the same number means another route after a reload. What outlives a table, such as
//! counters and the lines of a log, goes by the numbers that are given here: a template keeps its own for as long as the
//! process lives. They are never given again, so there is an end to them; what comes after it counts as unmatched.

use std::sync::Arc;

use crate::route::{RouteId, RouteTable};

/// Templates beyond so many have no number of their own.
pub const MOST: usize = 4096;

/// See the [module documentation](self).
#[derive(Debug, Clone)]
pub struct RouteNames {
    templates: Vec<String>,
}

impl Default for RouteNames {
    fn default() -> Self {
        Self {
            templates: RouteTable::default().templates().to_vec(),
        }
    }
}

impl RouteNames {
    /// The lasting number of each of a table's routes, by the number that the table gives it.
    pub fn number(&mut self, table: &RouteTable) -> Arc<[RouteId]> {
        let numbers = table.templates().iter().map(|template| self.of(template));
        numbers.collect()
    }

    /// All templates by their numbers.
    pub fn templates(&self) -> &[String] {
        &self.templates
    }

    fn of(&mut self, template: &String) -> RouteId {
        let known = self.templates.iter().position(|known| known == template);
        let place = known.or_else(|| {
            (self.templates.len() < MOST).then(|| {
                self.templates.push(template.clone());
                self.templates.len() - 1
            })
        });
        let number = place.and_then(|place| u16::try_from(place).ok());
        number.map_or(RouteId::UNMATCHED, RouteId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(patterns: &[&str]) -> RouteTable {
        RouteTable::try_new(patterns).unwrap()
    }

    #[test]
    fn a_template_keeps_its_number() {
        let mut names = RouteNames::default();
        let first = names.number(&table(&["/a", "POST /b"]));
        let second = names.number(&table(&["/c", "/b"]));
        let numbers = |ids: &[RouteId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(numbers(&first), [0, 1, 2]);
        assert_eq!(numbers(&second), [0, 3, 2]);
        assert_eq!(names.templates(), ["unmatched", "/a", "/b", "/c"]);
    }

    #[test]
    fn numbers_come_to_an_end() {
        let mut names = RouteNames::default();
        for first in 0..MOST {
            names.number(&table(&[&format!("/{first}"), &format!("/x/{first}")]));
        }
        assert_eq!(names.templates().len(), MOST);
        let late = names.number(&table(&["/late", "/1"]));
        assert_eq!(&*late, [RouteId(0), RouteId(0), RouteId(3)]);
    }
}
