//! A topic of one partition as a log that everybody reads in the same order.
//!
//! It reads from the beginning of what is kept, and goes on from where it was whatever happens to its connection. Of a topic that was
//! deleted and made anew it begins again, so a record may come twice.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Record, Skipped};
use super::bootstrap::Bootstrap;
use super::cluster::{self, Cluster};
use super::connection::Connection;
use super::fetch::{self, fetch};
use super::produce::produce;
use super::suspect;
use crate::probe::kept::Place as _;
use crate::probe::trouble::Trouble;

/// The one partition.
const PARTITION: i32 = 0;

/// One call of `read` holds no more than about this many bytes; the next one goes on.
const MOST: usize = 64 << 20;

/// How often something is tried again that a cluster needs a moment for.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_millis(100);

/// See the [module documentation](self).
///
/// It keeps one connection. A call that fails or is dropped before it has ended drops that, and the next call opens a new one.
pub struct Log {
    bootstrap: Arc<Bootstrap>,
    topic: String,
    way: Way,
    /// Where to read on; from the beginning when that is not known.
    next: Option<i64>,
    /// What was read and not handed over yet, and its length.
    read: Vec<Record>,
    held: usize,
    skipped: Option<Skipped>,
}

/// The connection that is kept.
enum Way {
    None,
    /// To whichever broker let us in.
    Any(Connection),
    /// To the leader, which has this number.
    Leader(Connection, i32),
}

/// What there is of the topic.
enum Found {
    Leader(Connection, i32),
    Leaderless,
    Absent,
}

impl Log {
    /// The log in `topic`. Opens nothing.
    pub fn new(bootstrap: Arc<Bootstrap>, topic: impl Into<String>) -> Self {
        Self {
            bootstrap,
            topic: topic.into(),
            way: Way::None,
            next: None,
            read: Vec::new(),
            held: 0,
            skipped: None,
        }
    }

    /// The name of the topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Has the topic made, when it does not exist and brokers make topics for those who ask.
    ///
    /// # Errors
    /// When it does not come to be, in words.
    pub async fn make(&mut self) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..TRIES {
            match self.find(true).await.map_err(words)? {
                Found::Leader(connection, leader) => {
                    self.way = Way::Leader(connection, leader);
                    return Ok(());
                }
                Found::Absent => last = self.absent(),
                Found::Leaderless => last = self.leaderless(),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(last)
    }

    /// Appends a record, and returns when all replicas have it that are in step. After an error it may be there or not.
    ///
    /// # Errors
    /// When it is not known to be there, in words.
    pub async fn append(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..TRIES {
            match self.find(false).await.map_err(words)? {
                Found::Leader(mut connection, leader) => {
                    let produced = produce(&mut connection, &self.topic, PARTITION, key, value);
                    match produced.await.map_err(words)? {
                        0 => {
                            self.way = Way::Leader(connection, leader);
                            return Ok(());
                        }
                        // It is not the leader, or does not know yet that it is: nothing was written.
                        code @ (3 | 5 | 6) => last = self.refusal(code),
                        code => return Err(self.refusal(code)),
                    }
                }
                Found::Leaderless => last = self.leaderless(),
                Found::Absent => return Err(self.absent()),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(last)
    }

    /// What was appended since the last call and is kept, in order. Values longer than [`LONGEST_VALUE`](super::LONGEST_VALUE) are
    /// left out, and so is all that is compressed. A topic that does not exist is empty. After an error, or dropped before it
    /// has ended, the next call hands over what this one has read.
    ///
    /// # Errors
    /// When it cannot be read, in words.
    pub async fn read(&mut self) -> Result<Vec<Record>, String> {
        self.gather().await.map_err(words)?;
        self.held = 0;
        Ok(std::mem::take(&mut self.read))
    }

    /// What was left out last, if anything was since this was asked.
    pub fn skipped(&mut self) -> Option<Skipped> {
        self.skipped.take()
    }

    async fn gather(&mut self) -> Result<(), Trouble> {
        let mut tries = 3;
        while self.held < MOST {
            let Some((mut connection, leader)) = self.leader().await? else {
                return Ok(());
            };
            let next = match self.next {
                Some(next) => Ok(next),
                None => cluster::beginning(&mut connection, &self.topic, PARTITION).await?,
            };
            let error = match next {
                Err(error) => error,
                Ok(next) => {
                    self.next = Some(next);
                    let piece = fetch(&mut connection, &self.topic, PARTITION, next).await?;
                    if piece.error == 0 {
                        let is_last = piece.next >= piece.end || piece.next <= next;
                        if !piece.is_cut {
                            self.way = Way::Leader(connection, leader);
                        }
                        self.take(piece);
                        if is_last {
                            return Ok(());
                        }
                        continue;
                    }
                    piece.error
                }
            };
            tries -= 1;
            if error == fetch::OUT_OF_RANGE {
                self.next = None;
                self.way = Way::Leader(connection, leader);
            } else if !matches!(error, 3 | 5 | 6 | 74 | 75) {
                return Err(Trouble::says(self.refusal(error)));
            }
            if tries == 0 {
                return Err(Trouble::says(self.refusal(error)));
            }
        }
        Ok(())
    }

    fn take(&mut self, piece: fetch::Piece) {
        self.next = Some(piece.next);
        self.skipped = piece.skipped.or(self.skipped);
        for record in piece.records {
            self.held += record.key.len() + record.value.as_ref().map_or(0, Vec::len);
            self.held += size_of::<Record>();
            self.read.push(record);
        }
    }

    /// A connection to the leader, if the topic exists.
    async fn leader(&mut self) -> Result<Option<(Connection, i32)>, Trouble> {
        if let Way::Leader(..) = self.way
            && let Way::Leader(connection, leader) = std::mem::replace(&mut self.way, Way::None)
        {
            return Ok(Some((connection, leader)));
        }
        match self.find(false).await? {
            Found::Leader(connection, leader) => Ok(Some((connection, leader))),
            Found::Leaderless => Err(Trouble::says(self.leaderless())),
            Found::Absent => {
                // One of that name which is made later begins anew.
                self.next = None;
                Ok(None)
            }
        }
    }

    /// Asks who leads, over the connection that there is or a new one.
    async fn find(&mut self, makes: bool) -> Result<Found, Trouble> {
        let topics = [self.topic.as_str()];
        let kept = match std::mem::replace(&mut self.way, Way::None) {
            Way::None => None,
            Way::Any(connection) => Some((connection, None)),
            Way::Leader(connection, leader) => Some((connection, Some(leader))),
        };
        let mut asked = None;
        if let Some((mut connection, known)) = kept {
            match Cluster::ask(&mut connection, &topics, makes).await {
                Ok(cluster) => asked = Some((connection, known, cluster)),
                // One that was kept may have ended, which says nothing about the cluster.
                Err(Trouble::Io(_)) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        let (connection, known, cluster) = match asked {
            Some(asked) => asked,
            None => {
                let mut connection = self.bootstrap.open().await?;
                let cluster = Cluster::ask(&mut connection, &topics, makes).await;
                let cluster = cluster.map_err(|trouble| suspect(trouble, true))?;
                (connection, None, cluster)
            }
        };
        match self.judge(&cluster)? {
            Standing::Absent => {
                self.way = Way::Any(connection);
                Ok(Found::Absent)
            }
            Standing::Led(leader) if known == Some(leader) => Ok(Found::Leader(connection, leader)),
            Standing::Led(leader) => {
                let Some(broker) = cluster.broker(leader) else {
                    self.way = Way::Any(connection);
                    return Ok(Found::Leaderless);
                };
                let follow = self.bootstrap.access.follow(&broker.host, broker.port);
                Ok(Found::Leader(follow.await?, leader))
            }
        }
    }

    /// What a cluster says of the topic.
    fn judge(&self, cluster: &Cluster) -> Result<Standing, Trouble> {
        let topic = cluster.topics.iter().find(|topic| topic.name == self.topic);
        let topic = topic.ok_or(Trouble::Foreign)?;
        match (topic.error, topic.leaders.as_slice()) {
            (3, _) | (5, []) => Ok(Standing::Absent),
            // Nobody leads a partition whose leader is below zero.
            (0 | 5, [(PARTITION, leader)]) => Ok(Standing::Led(*leader)),
            (0 | 5, partitions) => {
                let (name, count) = (&self.topic, partitions.len());
                Err(Trouble::says(format!(
                    "the topic `{name}` has {count} partitions, and only one keeps everything in order; \
                     make it anew with one"
                )))
            }
            (code, _) => Err(Trouble::says(self.refusal(code))),
        }
    }

    fn absent(&self) -> String {
        format!(
            "there is no topic `{}`, and the brokers make none; make it with one partition",
            self.topic
        )
    }

    fn leaderless(&self) -> String {
        format!("the topic `{}` has no leader at the moment", self.topic)
    }

    fn refusal(&self, code: i16) -> String {
        let topic = &self.topic;
        match code {
            7 => format!("the replicas of `{topic}` did not all answer in time (7)"),
            10 | 18 => format!(
                "`{topic}` takes no record that long; raise its `max.message.bytes` ({code})"
            ),
            17 => format!("`{topic}` is no name of a topic (17)"),
            19 | 20 => format!("`{topic}` has too few replicas in step ({code})"),
            29 => format!("the user may not do that to the topic `{topic}` (29)"),
            code => format!("the topic `{topic}` cannot be used ({code})"),
        }
    }
}

/// Who leads a topic, if it is there.
enum Standing {
    Absent,
    Led(i32),
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("bootstrap", &self.bootstrap)
            .field("topic", &self.topic)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

fn words(trouble: Trouble) -> String {
    trouble.outcome(Bootstrap::TONGUE).message
}
