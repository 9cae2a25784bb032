//! Tokens that somebody puts into a file for us.

use std::io;
use std::path::Path;

use tokio::io::AsyncReadExt as _;

/// The longest token that is read.
const MOST: u64 = 64 << 10;

/// The token in a file. Only plain files are read: a pipe would be waited for, and nothing ends that.
pub(crate) async fn read(path: &Path) -> io::Result<String> {
    let meta = tokio::fs::metadata(path).await?;
    if !meta.is_file() {
        let what = "it is no plain file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut text = String::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(MOST + 1).read_to_string(&mut text).await?;
    if text.len() as u64 > MOST {
        let what = "it is longer than 64 KiB, so it is no token; name the file with the token";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_plain_files_are_read_and_not_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, " t\n").unwrap();
        assert_eq!(read(&file).await.unwrap(), "t");
        std::fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
        let error = read(&file).await.unwrap_err();
        assert!(error.to_string().contains("no token"), "{error}");
        for odd in [folder.path(), Path::new("/dev/zero")] {
            let error = read(odd).await.unwrap_err();
            assert!(error.to_string().contains("no plain file"), "{error}");
        }
    }
}
