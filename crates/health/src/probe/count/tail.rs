//! Lines of a file, from its end backwards.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::SystemTime;

use super::time;

/// Read at once.
const PIECE: u64 = 64 * 1024;
/// Read in all.
const MOST: u64 = 4 * 1024 * 1024;

/// Which lines count.
pub(super) struct Tail<'a> {
    pub(super) field: Option<&'a str>,
    pub(super) after: SystemTime,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) lines: u64,
    /// There may be more.
    pub(super) cut: bool,
}

impl Tail<'_> {
    pub(super) fn count(&self, path: &Path) -> io::Result<Counted> {
        // Opening a pipe would wait for whoever writes to it.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut counted = Counted::default();
        let mut end = length;
        // The end of a line whose beginning has not been read yet.
        let mut rest = Vec::new();
        while end > 0 {
            if length - end >= MOST {
                counted.cut = true;
                break;
            }
            let start = end.saturating_sub(PIECE);
            let mut piece = read(&file, start, end)?;
            piece.append(&mut rest);
            let whole = match piece.iter().position(|byte| *byte == b'\n') {
                _ if start == 0 => 0,
                Some(newline) => newline + 1,
                None => piece.len(),
            };
            let (recent, old) = self.judge(&piece[whole..]);
            counted.lines += recent;
            if recent == 0 && old > 0 {
                break;
            }
            piece.truncate(whole);
            rest = piece;
            end = start;
        }
        Ok(counted)
    }

    /// How many lines are recent and how many are not; those without a time are neither.
    fn judge(&self, lines: &[u8]) -> (u64, u64) {
        let (mut recent, mut old) = (0, 0);
        for line in lines.split(|byte| *byte == b'\n') {
            match time::of(line, self.field) {
                Some(time) if time > self.after => recent += 1,
                Some(_) => old += 1,
                None => {}
            }
        }
        (recent, old)
    }
}

/// The bytes from `start` to `end`; fewer when somebody has shortened the file since.
fn read(file: &File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(end - start).unwrap_or(0);
    let mut piece = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut piece[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    piece.truncate(filled);
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::Duration;

    use super::*;

    fn at(seconds: i64) -> String {
        jiff::Timestamp::from_second(seconds).unwrap().to_string()
    }

    fn counted(text: &[u8]) -> Counted {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let after = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        Tail { field: None, after }.count(file.path()).unwrap()
    }

    #[test]
    fn lines_are_whole_wherever_a_piece_ends() {
        let mut text = String::new();
        for index in 0..20_000 {
            writeln!(text, "{} line {index}", at(990_000 + index)).unwrap();
        }
        // 10,001 to 19,999.
        let found = Counted {
            lines: 9_999,
            cut: false,
        };
        assert_eq!(counted(text.as_bytes()), found);
        assert_eq!(counted(text.trim_end().as_bytes()), found);
    }

    #[test]
    fn a_long_file_is_not_read_whole() {
        let line = format!("{} {}\n", at(2_000_000), "x".repeat(1000));
        let text = line.repeat(8_000);
        let found = counted(text.as_bytes());
        assert!(found.cut && found.lines > 3_000 && found.lines < 4_500);
        // A line without an end is no line within these bounds.
        let found = counted(&vec![b'x'; 6 << 20]);
        assert_eq!((found.lines, found.cut), (0, true));
    }

    #[test]
    fn garbage_is_no_line() {
        assert_eq!(counted(b""), Counted::default());
        assert_eq!(counted(b"\n\n\xff\xfe\n{\n"), Counted::default());
    }
}
