//! Exact decimal numbers with a unit behind them, such as `1.5s`.

use std::borrow::Cow;

/// Why a number with a unit could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No digits where a number must stand.
    NoNumber,
    /// The unit is not in the table; holds the unit as written (empty when there is none).
    Unit(String),
    /// The value has a fraction below one smallest unit.
    TooFine,
    /// The value does not fit.
    TooLarge,
}

/// Reads one `number unit` term from the front of `text`, in smallest units. Returns the value and the rest.
///
/// `units` gives each spelling with its worth in smallest units; `fold` makes the spellings case-insensitive.
pub(super) fn term<'a>(
    text: &'a str,
    units: &[(&str, u64)],
    fold: bool,
) -> Result<(u128, &'a str), Refusal> {
    let whole_len = digits(text);
    if whole_len == 0 {
        return Err(Refusal::NoNumber);
    }
    let (whole, rest) = text.split_at(whole_len);
    let (fraction, rest) = match rest.strip_prefix('.') {
        None => ("", rest),
        Some(after) => match digits(after) {
            0 => return Err(Refusal::NoNumber),
            len => after.split_at(len),
        },
    };
    let rest = rest.trim_start_matches(' ');
    let unit_len = rest
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_len);
    let worth = units
        .iter()
        .find(|(name, _)| {
            if fold {
                name.eq_ignore_ascii_case(unit)
            } else {
                *name == unit
            }
        })
        .map(|(_, worth)| u128::from(*worth))
        .ok_or_else(|| Refusal::Unit(unit.to_owned()))?;
    Ok((scaled(whole, fraction, worth)?, rest))
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// `whole.fraction * worth`, refused when it is not a whole number.
fn scaled(whole: &str, fraction: &str, worth: u128) -> Result<u128, Refusal> {
    let fraction = fraction.trim_end_matches('0');
    // Longer numbers overflow anyway, and a short one can be multiplied by any unit without a check.
    if whole.trim_start_matches('0').len() > 20 {
        return Err(Refusal::TooLarge);
    }
    if fraction.len() > 12 {
        return Err(Refusal::TooFine);
    }
    let mut total = whole
        .parse::<u128>()
        .map_err(|_| Refusal::TooLarge)?
        .checked_mul(worth)
        .ok_or(Refusal::TooLarge)?;
    if !fraction.is_empty() {
        let scale = fraction.bytes().fold(1_u128, |scale, _| scale * 10);
        let part = fraction.parse::<u128>().map_err(|_| Refusal::TooFine)? * worth;
        if !part.is_multiple_of(scale) {
            return Err(Refusal::TooFine);
        }
        total = total.checked_add(part / scale).ok_or(Refusal::TooLarge)?;
    }
    Ok(total)
}

/// Cuts a text for an error message, so that a huge value does not become a huge message.
pub(super) fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(40) {
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
        None => Cow::Borrowed(text),
    }
}
