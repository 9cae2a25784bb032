use seaworthy::registry::{DirectoryLog, Log};

use crate::contract;

#[tokio::test]
async fn it_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |environment: &str| Log::Directory(DirectoryLog::new(folder.path(), environment));
    contract::holds(open).await;
}

#[tokio::test]
async fn one_that_was_emptied_is_read_from_its_new_beginning() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = || DirectoryLog::new(folder.path(), "test");
    let (mut follower, mut publisher) = (log(), log());
    for text in ["one", "two", "three"] {
        publisher.append(text).await.expect("a log");
    }
    assert_eq!(follower.news().await.expect("a log").len(), 3);
    std::fs::remove_dir_all(folder.path().join("test/records")).expect("it is there");
    assert_eq!(follower.news().await.expect("a log"), [""; 0]);
    publisher.append("four").await.expect("a log");
    assert_eq!(follower.news().await.expect("a log"), ["four"]);
}
