//! How AMQP 0-9-1 writes its values: numbers in network order, short texts, long texts, tables.

use super::super::socket::Trouble;

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

/// Reads values. What does not fit is [`Trouble::Foreign`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Trouble> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Trouble::Foreign)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Trouble> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| Trouble::Foreign)
    }

    pub(crate) fn octet(&mut self) -> Result<u8, Trouble> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn short(&mut self) -> Result<u16, Trouble> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn long(&mut self) -> Result<u32, Trouble> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn long_long(&mut self) -> Result<u64, Trouble> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A short text.
    pub(crate) fn text(&mut self) -> Result<&'a str, Trouble> {
        let length = self.octet()?;
        std::str::from_utf8(self.take(usize::from(length))?).map_err(|_| Trouble::Foreign)
    }

    /// A long text or a table.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Trouble> {
        let length = usize::try_from(self.long()?).map_err(|_| Trouble::Foreign)?;
        self.take(length)
    }

    fn skip(&mut self, length: usize) -> Result<(), Trouble> {
        self.take(length).map(|_| ())
    }

    fn skip_bytes(&mut self) -> Result<(), Trouble> {
        self.bytes().map(|_| ())
    }

    /// The text `name` in the table that this is.
    pub(crate) fn text_field(mut self, name: &str) -> Result<Option<String>, Trouble> {
        while !self.0.is_empty() {
            let found = self.text()?;
            let kind = self.octet()?;
            match kind {
                b'S' => {
                    let text = self.bytes()?;
                    if found == name {
                        return Ok(std::str::from_utf8(text).ok().map(str::to_owned));
                    }
                }
                b'x' | b'A' | b'F' => self.skip_bytes()?,
                b'V' => {}
                b't' | b'b' | b'B' => self.skip(1)?,
                b's' | b'u' | b'U' => self.skip(2)?,
                b'I' | b'i' | b'f' => self.skip(4)?,
                b'D' => self.skip(5)?,
                b'L' | b'l' | b'd' | b'T' => self.skip(8)?,
                _ => return Err(Trouble::Foreign),
            }
        }
        Ok(None)
    }
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
        let found = Reader(&table.0).text_field("version").unwrap();
        assert_eq!(found.as_deref(), Some("3.10.8"));
        assert_eq!(Reader(&table.0).text_field("none").unwrap(), None);
    }

    #[test]
    fn a_table_that_is_cut_anywhere_is_refused_or_lacks_its_end() {
        let table = Writer::default()
            .yes_field("b")
            .text_field("version", "3.10.8")
            .0;
        for end in 0..table.len() {
            assert_ne!(
                Reader(&table[..end])
                    .text_field("version")
                    .ok()
                    .flatten()
                    .as_deref(),
                Some("3.10.8")
            );
        }
    }
}
