//! How Kafka writes its values in the versions that are spoken here: numbers in network order, texts with their length.

use super::super::socket::Trouble;

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

/// Reads values. What does not fit is [`Trouble::Foreign`], and nothing is made room for that has not come.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Trouble> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Trouble::Foreign)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Trouble> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| Trouble::Foreign)
    }

    pub(super) fn octet(&mut self) -> Result<u8, Trouble> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn short(&mut self) -> Result<i16, Trouble> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn int(&mut self) -> Result<i32, Trouble> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn long(&mut self) -> Result<i64, Trouble> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A text; one that is not there is empty.
    pub(super) fn text(&mut self) -> Result<&'a str, Trouble> {
        let Ok(length) = usize::try_from(self.short()?) else {
            return Ok("");
        };
        std::str::from_utf8(self.take(length)?).map_err(|_| Trouble::Foreign)
    }

    /// A list.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Trouble>,
    ) -> Result<Vec<T>, Trouble> {
        let mut items = Vec::new();
        for _ in 0..self.int()?.max(0) {
            // An item of no bytes could be announced two thousand million times.
            if self.0.is_empty() {
                return Err(Trouble::Foreign);
            }
            items.push(read(self)?);
        }
        Ok(items)
    }
}
