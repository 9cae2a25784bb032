//! What an error of Postgres means for the registry.

use seaworthy_health::probe::postgres::Link;
use tokio_postgres::Error;

/// The code of an error that the server sent.
pub(super) fn code(error: &Error) -> Option<&str> {
    error.code().map(tokio_postgres::error::SqlState::code)
}

/// Whether the table is not there.
pub(super) fn is_missing(error: &Error) -> bool {
    code(error) == Some("42P01")
}

/// What an error means here.
pub(super) fn words(link: &Link, error: &Error) -> String {
    match code(error) {
        Some("25006") => "it is a copy that takes no writes; name the primary (25006)".to_owned(),
        Some("42501") => "its user may not do that; it needs `SELECT`, `INSERT`, `UPDATE` and, to make the tables, `CREATE` (42501)".to_owned(),
        Some("55P03") => "somebody holds the lock for appending; try again (55P03)".to_owned(),
        Some("3F000") => "it has no schema of that name; make it (3F000)".to_owned(),
        Some("22021") => "a text for it may not hold the character NUL (22021)".to_owned(),
        _ => link.words(error),
    }
}
