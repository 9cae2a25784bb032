//! Queries that the configuration may contain.

use super::Fault;

/// What is wrong with a query.
pub(crate) fn judge_query(query: &str, faults: &mut Vec<Fault>) {
    let query = one_statement(query);
    if query.is_empty() {
        faults.push(Fault::new(
            "query",
            "the query is empty",
            "write `SELECT 1`",
        ));
    } else if query.contains([';', '\0']) {
        let message = "the query has more than one statement";
        let help = "write one that only reads; a semicolon in a text is `chr(59)`";
        faults.push(Fault::new("query", message, help));
    }
}

/// The query without what ends it.
pub(crate) fn one_statement(query: &str) -> &str {
    query
        .trim_end_matches(|c: char| c.is_whitespace() || c == ';')
        .trim_start()
}
