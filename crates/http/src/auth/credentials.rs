//! What a request shows of who makes it, read from its fields without believing any of it.
//!
//! A field that must stand alone and comes twice says two things, and whichever of them we took, the app might take the
//! other: such a request is refused. What `Connection` lists counts as not sent behind our edge, for us as for the app; in
//! front of another server this layer reads it, which can only refuse more.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Refusal;

/// The value of a field that may come once.
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).into_iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::Twice);
    }
    Ok(first)
}

/// The token of `Authorization: Bearer TOKEN`. Other schemes are none of our business.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(value) = single(headers, &header::AUTHORIZATION)? else {
        return Ok(None);
    };
    let bytes = value.as_bytes();
    let end = bytes.iter().position(|byte| matches!(byte, b' ' | b'\t'));
    let (scheme, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let token = std::str::from_utf8(rest).map_err(|_| Refusal::Malformed)?;
    let token = token.trim_matches([' ', '\t']);
    if token.is_empty() {
        return Err(Refusal::Malformed);
    }
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (header::AUTHORIZATION, HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_others_are_left_alone() {
        for text in [
            "Bearer a.b.c",
            "bearer a.b.c",
            "BEARER   a.b.c ",
            "Bearer\ta.b.c",
        ] {
            assert_eq!(bearer(&of(&[text])), Ok(Some("a.b.c")), "{text}");
        }
        for text in ["Basic eDp5", "Bearertoken", "", "a.b.c"] {
            assert_eq!(bearer(&of(&[text])), Ok(None), "{text}");
        }
        for text in ["Bearer", "Bearer "] {
            assert_eq!(bearer(&of(&[text])), Err(Refusal::Malformed), "{text}");
        }
    }

    #[test]
    fn two_are_one_too_many_even_when_they_agree() {
        assert_eq!(bearer(&of(&["Bearer a", "Bearer a"])), Err(Refusal::Twice));
        assert_eq!(bearer(&of(&["Basic x", "Bearer a"])), Err(Refusal::Twice));
    }
}
