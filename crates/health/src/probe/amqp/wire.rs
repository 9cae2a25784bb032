//! How AMQP 0-9-1 writes its values: numbers in network order, short texts, long texts, tables.

use bytes::Buf as _;

use crate::probe::trouble::Trouble;
use crate::probe::wire::{take, take_text};

/// Writes values.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    /// The arguments of a method begin with its class and its number.
    pub(crate) fn method(class: u16, method: u16) -> Self {
        Self::default().short(class).short(method)
    }

    pub(crate) fn octet(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn short(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn long(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn long_long(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A text of at most 255 bytes; what is longer is cut, which [`fits`] has ruled out for whatever a user writes.
    pub(crate) fn text(mut self, text: &str) -> Self {
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        self.0.push(length);
        self.0.extend(&text.as_bytes()[..usize::from(length)]);
        self
    }

    /// A text, or a table that has been written already.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut written = self.long(length);
        written.0.extend(bytes);
        written
    }

    /// A text as a field of a table.
    pub(crate) fn text_field(self, name: &str, text: &str) -> Self {
        self.text(name).octet(b'S').bytes(text.as_bytes())
    }

    /// Yes, as a field of a table.
    pub(crate) fn yes_field(self, name: &str) -> Self {
        self.text(name).octet(b't').octet(1)
    }

    /// A table as a field of a table.
    pub(crate) fn table_field(self, name: &str, table: &Self) -> Self {
        self.text(name).octet(b'F').bytes(&table.0)
    }
}

/// Whether a text may be a name in this protocol.
pub(crate) fn fits(text: &str) -> bool {
    text.len() <= usize::from(u8::MAX)
}

/// Reads a short text.
pub(crate) fn text<'a>(from: &mut &'a [u8]) -> Result<&'a str, Trouble> {
    let length = from.try_get_u8()?;
    take_text(from, length.into())
}

/// Reads a long text or a table.
pub(crate) fn bytes<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], Trouble> {
    let length = from.try_get_u32()?;
    take(from, length as usize)
}

/// Reads the text `name` in a table.
pub(crate) fn text_field(mut table: &[u8], name: &str) -> Result<Option<String>, Trouble> {
    while !table.is_empty() {
        let found = text(&mut table)?;
        let size = match table.try_get_u8()? {
            b'S' if found == name => {
                let text = bytes(&mut table)?;
                return Ok(std::str::from_utf8(text).ok().map(str::to_owned));
            }
            b'S' | b'x' | b'A' | b'F' => table.try_get_u32()? as usize,
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'u' | b'U' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'L' | b'l' | b'd' | b'T' => 8,
            _ => return Err(Trouble::Foreign),
        };
        take(&mut table, size)?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_text_behind_fields_of_every_kind() {
        let inner = Writer::default()
            .yes_field("a")
            .text_field("version", "inner");
        let table = Writer::default()
            .table_field("capabilities", &inner)
            .yes_field("b")
            .text("n")
            .octet(b'V')
            .text("l")
            .octet(b'l')
            .long_long(7)
            .text_field("version", "3.10.8");
        let found = text_field(&table.0, "version").unwrap();
        assert_eq!(found.as_deref(), Some("3.10.8"));
        assert_eq!(text_field(&table.0, "none").unwrap(), None);
    }

    #[test]
    fn a_table_that_is_cut_anywhere_is_refused_or_lacks_its_end() {
        let table = Writer::default()
            .yes_field("b")
            .text_field("version", "3.10.8")
            .0;
        for end in 0..table.len() {
            assert_ne!(
                text_field(&table[..end], "version")
                    .ok()
                    .flatten()
                    .as_deref(),
                Some("3.10.8")
            );
        }
    }
}
