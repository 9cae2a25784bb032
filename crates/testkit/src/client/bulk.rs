//! Bodies larger than memory should hold: made and checked piece by piece, compared by SHA-256.

use aws_lc_rs::digest;

use super::Connection;

const BLOCK: usize = 64 * 1024;

/// A running SHA-256.
struct Hash(digest::Context);

impl Hash {
    fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    fn hex(self) -> String {
        let digest = self.0.finish();
        digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// The SHA-256 of `bytes` in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let mut hash = Hash::new();
    hash.0.update(bytes);
    hash.hex()
}

/// The SHA-256 of what the applications of the fixtures answer to `/download/{count}`.
#[must_use]
pub fn download_sha256(count: u64) -> String {
    let block: Vec<u8> = (0..=u8::MAX).cycle().take(BLOCK).collect();
    let mut hash = Hash::new();
    for size in pieces(count) {
        hash.0.update(&block[..size]);
    }
    hash.hex()
}

fn pieces(count: u64) -> impl Iterator<Item = usize> {
    let size = BLOCK as u64;
    let last = usize::try_from(count % size).unwrap_or_default();
    let whole = (0..count / size).map(|_| BLOCK);
    whole.chain(std::iter::once(last).filter(|last| *last > 0))
}

impl Connection {
    /// Sends `count` bytes, no two blocks of them alike, and returns their SHA-256.
    ///
    /// # Errors
    /// When the peer closed or does not read in time.
    pub async fn send_bulk(&mut self, count: u64) -> crate::Result<String> {
        let mut block: Vec<u8> = (0..=u8::MAX).cycle().take(BLOCK).collect();
        let mut hash = Hash::new();
        for (number, size) in pieces(count).enumerate() {
            // Numbered, so that a lost, doubled or swapped block changes the hash.
            block[..8].copy_from_slice(&number.to_be_bytes());
            hash.0.update(&block[..size]);
            self.send(&block[..size]).await?;
        }
        Ok(hash.hex())
    }

    /// Reads `count` bytes and returns their SHA-256.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn receive_bulk(&mut self, count: u64) -> crate::Result<String> {
        let mut hash = Hash::new();
        for size in pieces(count) {
            hash.0.update(&self.exactly(size).await?);
        }
        Ok(hash.hex())
    }

    /// Reads a chunked body to its end and returns its length and SHA-256; trailers stay unread.
    ///
    /// # Errors
    /// When the framing is wrong or the connection ends before.
    pub async fn receive_chunks(&mut self) -> crate::Result<(u64, String)> {
        let mut hash = Hash::new();
        let mut count = 0;
        loop {
            let data = self.chunk().await?;
            if data.is_empty() {
                return Ok((count, hash.hex()));
            }
            count += data.len() as u64;
            hash.0.update(&data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::{Origin, Script, Step, chunked};

    #[test]
    fn pieces_add_up() {
        for count in [0, 1, BLOCK as u64, 200_000] {
            assert_eq!(pieces(count).sum::<usize>() as u64, count);
        }
    }

    #[test]
    fn knows_the_standard_hash() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(
            (sha256(b"").as_str(), download_sha256(0).as_str()),
            (empty, empty)
        );
    }

    #[tokio::test]
    async fn what_is_sent_arrives() {
        let script = Script::steps_of(vec![
            Step::Request,
            Step::Send(chunked(&["abc", "d"])),
            Step::Close,
        ]);
        let origin = Origin::tcp(script).await.unwrap();
        let mut connection = Connection::open(origin.address()).await.unwrap();
        connection
            .send("POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n")
            .await
            .unwrap();
        let sent = connection.send_bulk(100_000).await.unwrap();
        connection.head().await.unwrap();
        assert_eq!(
            connection.receive_chunks().await.unwrap(),
            (4, sha256(b"abcd"))
        );
        let got = origin.bytes();
        assert_eq!(sent, sha256(&got[got.len() - 100_000..]));
    }

    #[tokio::test]
    async fn what_arrives_is_hashed() {
        let steps = vec![Step::Flood(70_000), Step::Close];
        let origin = Origin::tcp(Script::steps_of(steps)).await.unwrap();
        let mut connection = Connection::open(origin.address()).await.unwrap();
        assert_eq!(
            connection.receive_bulk(70_000).await.unwrap(),
            sha256(&vec![b'x'; 70_000])
        );
    }
}
