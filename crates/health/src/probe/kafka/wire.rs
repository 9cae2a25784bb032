//! How Kafka writes its values in the versions that are spoken here: numbers in network order, texts with their length.

use bytes::Buf as _;

use crate::probe::trouble::Trouble;
use crate::probe::wire::take_text;

/// Writes values.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn octet(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(super) fn short(mut self, value: i16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn int(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn long(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A text; what a user writes is held against its limit before.
    pub(super) fn text(self, text: &str) -> Self {
        let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
        let mut written = self.short(length);
        written
            .0
            .extend(text.as_bytes().iter().take(i16::MAX as usize));
        written
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        let mut written = self.int(length);
        written.0.extend(bytes);
        written
    }

    /// A list.
    pub(super) fn list<T>(self, items: &[T], write: impl Fn(Self, &T) -> Self) -> Self {
        let length = i32::try_from(items.len()).unwrap_or(i32::MAX);
        items.iter().fold(self.int(length), write)
    }
}

/// Reads a text; one that is not there is empty.
pub(super) fn text<'a>(from: &mut &'a [u8]) -> Result<&'a str, Trouble> {
    let length = from.try_get_i16()?;
    take_text(from, usize::try_from(length).unwrap_or(0))
}

/// Reads a list. It grows with what came, not with what was announced.
pub(super) fn list<'a, T>(
    from: &mut &'a [u8],
    mut read: impl FnMut(&mut &'a [u8]) -> Result<T, Trouble>,
) -> Result<Vec<T>, Trouble> {
    let mut items = Vec::new();
    for _ in 0..from.try_get_i32()?.max(0) {
        // An item of no bytes could be announced two thousand million times.
        if from.is_empty() {
            return Err(Trouble::Foreign);
        }
        items.push(read(from)?);
    }
    Ok(items)
}
