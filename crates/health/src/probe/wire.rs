//! Reading what stands behind a length, for the protocols that are spoken here. Numbers are read with [`bytes::Buf`].

use super::trouble::Trouble;

/// Takes the next `length` bytes. No room is made for what has not come.
pub(super) fn take<'a>(from: &mut &'a [u8], length: usize) -> Result<&'a [u8], Trouble> {
    from.split_off(..length).ok_or(Trouble::Foreign)
}

/// Takes a text of `length` bytes.
pub(super) fn take_text<'a>(from: &mut &'a [u8], length: usize) -> Result<&'a str, Trouble> {
    std::str::from_utf8(take(from, length)?).map_err(|_| Trouble::Foreign)
}
