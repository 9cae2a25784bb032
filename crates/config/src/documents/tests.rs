use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::*;

const SCHEMA: &str = r#"{
  "type": "object",
  "required": ["name"],
  "additionalProperties": false,
  "properties": {
    "name": {"type": "string"},
    "delimiter": {"type": "string", "maxLength": 1},
    "limits": {"type": "object", "properties": {"rows": {"type": "integer", "minimum": 1}}}
  }
}"#;

struct Home {
    folder: tempfile::TempDir,
    sets: Vec<Set>,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("adapters")).expect("a folder");
        fs::write(folder.path().join("schema.json"), SCHEMA).expect("a file");
        let home = Self {
            folder,
            sets: vec![Set {
                schema: Some("schema.json".into()),
                render: Some("out".into()),
                ..Set::new("adapters", "adapters/*.yaml")
            }],
        };
        home.write("csv", "name: csv\ndelimiter: ','\n");
        home.write("pdf", "name: pdf\n");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(&format!("adapters/{name}.yaml")), text).expect("a file");
    }

    fn prepare(&self, before: Option<&Documents>) -> Result<Prepared, Problems> {
        Documents::prepare(self.folder.path(), &self.sets, before)
    }

    fn commit(&self, before: Option<&Documents>) -> Committed {
        self.prepare(before).expect("they are fine").commit()
    }

    fn refused(&self) -> String {
        self.prepare(None)
            .expect_err("something is wrong")
            .to_string()
    }

    fn out(&self) -> Vec<String> {
        let listed = fs::read_dir(self.path("out")).into_iter().flatten();
        let mut names: Vec<String> = listed
            .filter_map(Result::ok)
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn shown(&self, name: &str) -> String {
        fs::read_to_string(self.path("out").join(name)).unwrap_or_default()
    }
}

fn changed(changes: &Changes) -> Vec<&str> {
    let all = changes.values().flatten();
    all.filter(|(_, change)| change.changed)
        .map(|(name, _)| name.as_str())
        .collect()
}

#[test]
fn documents_are_read_by_name_and_laid_out_as_they_are() {
    let home = Home::new();
    let committed = home.commit(None);
    assert!(committed.failed.is_empty());
    let documents = &committed.documents;
    let csv = documents.get("adapters", "csv").expect("there is one");
    assert_eq!(csv.value(), &json!({"name": "csv", "delimiter": ","}));
    assert_eq!((csv.file(), csv.bytes()), ("adapters/csv.yaml", 25));
    assert_eq!(
        documents
            .of("adapters")
            .map(Document::name)
            .collect::<Vec<_>>(),
        ["csv", "pdf"]
    );
    assert!(documents.get("adapters", "word").is_none() && documents.get("other", "csv").is_none());
    assert_eq!(home.shown("csv.yaml"), "name: csv\ndelimiter: ','\n");
    assert_eq!(changed(&committed.changes), ["csv", "pdf"]);
}

#[test]
fn what_has_not_changed_is_not_parsed_again() {
    let home = Home::new();
    let first = home.commit(None).documents;
    let prepared = home.prepare(Some(&first)).expect("they are fine");
    assert_eq!(prepared.checked().parsed(), 0);
    assert!(changed(prepared.checked().changes()).is_empty());
    drop(prepared);
    home.write("csv", "name: csv\ndelimiter: ';'\n");
    let prepared = home.prepare(Some(&first)).expect("they are fine");
    assert_eq!(prepared.checked().parsed(), 1);
    assert_eq!(changed(prepared.checked().changes()), ["csv"]);
    let second = prepared.commit().documents;
    // Another schema is another question to all of them.
    fs::write(
        home.path("schema.json"),
        SCHEMA.replace("\"maxLength\": 1", "\"maxLength\": 2"),
    )
    .expect("a file");
    let prepared = home.prepare(Some(&second)).expect("they are fine");
    assert_eq!(prepared.checked().parsed(), 2);
    assert!(changed(prepared.checked().changes()).is_empty());
}

#[test]
fn nothing_is_shown_before_it_is_committed() {
    let home = Home::new();
    let first = home.commit(None).documents;
    let before = home.out();
    home.write("csv", "name: csv\ndelimiter: ';'\n");
    drop(home.prepare(Some(&first)).expect("they are fine"));
    assert_eq!(
        (home.out(), home.shown("csv.yaml")),
        (before, "name: csv\ndelimiter: ','\n".to_owned())
    );
    home.write("csv", "name: 3\n");
    assert!(home.prepare(Some(&first)).is_err());
    assert_eq!(home.shown("csv.yaml"), "name: csv\ndelimiter: ','\n");
}

#[test]
fn a_set_is_swapped_whole_and_what_is_gone_goes() {
    let home = Home::new();
    let first = home.commit(None).documents;
    home.write("word", "name: word\n");
    fs::remove_file(home.path("adapters/pdf.yaml")).expect("it was there");
    let second = home.commit(Some(&first));
    assert_eq!(changed(&second.changes), ["pdf", "word"]);
    assert!(second.changes["adapters"]["pdf"].removed);
    let names = home.out();
    assert_eq!(
        names.iter().filter(|name| name.starts_with("..v-")).count(),
        1,
        "{names:?}"
    );
    let links: Vec<_> = names
        .iter()
        .filter(|name| !name.starts_with(".."))
        .collect();
    assert_eq!(links, ["csv.yaml", "word.yaml"]);
    assert_eq!(home.shown("word.yaml"), "name: word\n");
}

#[test]
fn what_a_killed_process_left_behind_is_neither_shown_nor_kept() {
    let home = Home::new();
    let first = home.commit(None).documents;
    // Killed between the last file and the rename: a version that nobody is led to, and the draft of a link.
    fs::create_dir(home.path("out/..v-0123.9")).expect("a folder");
    fs::write(home.path("out/..v-0123.9/csv.yaml"), "half").expect("a file");
    symlink("..v-0123.9", home.path("out/..data.9")).expect("a link");
    assert_eq!(home.shown("csv.yaml"), "name: csv\ndelimiter: ','\n");
    home.write("csv", "name: csv\n");
    home.commit(Some(&first));
    assert_eq!(home.shown("csv.yaml"), "name: csv\n");
    assert!(
        !home
            .out()
            .iter()
            .any(|name| name.contains("0123") || name == "..data.9")
    );
}

#[test]
fn what_somebody_else_put_there_is_left_alone() {
    let home = Home::new();
    fs::create_dir(home.path("out")).expect("a folder");
    fs::write(home.path("out/csv.yaml"), "mine").expect("a file");
    assert!(
        home.refused()
            .contains("there is another `csv.yaml` already")
    );
    fs::rename(home.path("out/csv.yaml"), home.path("out/notes")).expect("it was there");
    home.commit(None);
    assert_eq!(
        fs::read_to_string(home.path("out/notes")).expect("a file"),
        "mine"
    );
}

#[test]
fn what_could_not_be_shown_is_told_from_what_is_shown_in_part() {
    let home = Home::new();
    let failed = |prepared: Prepared| prepared.commit().failed.pop().map(|(_, failed)| failed);
    // Nothing can take the place of a folder.
    let prepared = home.prepare(None).expect("they are fine");
    fs::create_dir(home.path("out/..data")).expect("a folder");
    assert!(matches!(failed(prepared), Some(Failed::NotShown(_))));
    assert!(!home.out().iter().any(|name| name.starts_with("..v-")));
    fs::remove_dir(home.path("out/..data")).expect("it was there");
    // Somebody comes between.
    let prepared = home.prepare(None).expect("they are fine");
    fs::write(home.path("out/csv.yaml"), "mine").expect("a file");
    assert!(matches!(failed(prepared), Some(Failed::Partly(_))));
    assert_eq!(home.shown("..data/csv.yaml"), "name: csv\ndelimiter: ','\n");
    assert_eq!(home.shown("csv.yaml"), "mine");
    fs::remove_file(home.path("out/csv.yaml")).expect("it was there");
    // What looks like an old version and is none cannot be taken away.
    fs::write(home.path("out/..v-odd"), "").expect("a file");
    let prepared = home.prepare(None).expect("they are fine");
    assert!(matches!(failed(prepared), Some(Failed::Untidy(_))));
    assert_eq!(home.shown("csv.yaml"), "name: csv\ndelimiter: ','\n");
}

#[test]
fn everything_that_is_wrong_is_told_with_its_line() {
    let home = Home::new();
    home.write("csv", "name: csv\ndelimiter: ';;'\nlimits: {rows: 0}\n");
    home.write("pdf", "nmae: pdf\n");
    home.write("word", "name: word\nname: twice\n");
    home.write("empty", "# nothing yet\n");
    let said = home.refused();
    for part in [
        "adapters/csv.yaml:2:12",
        "adapters/csv.yaml:3:16",
        "unknown key `nmae`",
        "adapters/pdf.yaml:1:",
        "\"name\" is a required property",
        "adapters/word.yaml:2:1",
        "written twice",
        "this document is empty",
        "^",
    ] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
}

#[test]
fn a_schema_that_is_none_is_told() {
    let home = Home::new();
    fs::write(home.path("schema.json"), "{\"type\": 5}").expect("a file");
    let said = home.refused();
    assert!(
        said.contains("this is no JSON Schema") && said.contains("schema.json:1:"),
        "{said}"
    );
    fs::write(
        home.path("schema.json"),
        r#"{"$ref": "http://example.com/x.json"}"#,
    )
    .expect("a file");
    assert!(home.refused().contains("this is no JSON Schema"));
    fs::remove_file(home.path("schema.json")).expect("it was there");
    assert!(home.refused().contains("schema.json"));
}

#[test]
fn only_plain_files_inside_are_read() {
    let home = Home::new();
    let secret = tempfile::tempdir().expect("a folder");
    fs::write(secret.path().join("shadow"), "root:x").expect("a file");
    let fifo = home.path("adapters/fifo.yaml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).expect("a FIFO");
    assert!(home.refused().contains("fifo.yaml: it is not a plain file"));
    fs::remove_file(fifo).expect("it was there");
    fs::create_dir(home.path("adapters/folder.yaml")).expect("a folder");
    assert!(
        home.refused()
            .contains("folder.yaml: it is not a plain file")
    );
    fs::remove_dir(home.path("adapters/folder.yaml")).expect("it was there");
    for target in [
        secret.path().join("shadow"),
        "../../../../../../etc/passwd".into(),
    ] {
        symlink(target, home.path("adapters/link.yaml")).expect("a link");
        let said = home.refused();
        assert!(
            said.contains("link.yaml: it is a link that leads out of the folder"),
            "{said}"
        );
        assert!(!said.contains("root:"), "{said}");
        fs::remove_file(home.path("adapters/link.yaml")).expect("it was there");
    }
    // Links that stay inside are what volumes are made of.
    fs::create_dir(home.path("adapters/..one")).expect("a folder");
    fs::write(home.path("adapters/..one/soup.yaml"), "name: soup\n").expect("a file");
    symlink("..one", home.path("adapters/..data")).expect("a link");
    symlink("..data/soup.yaml", home.path("adapters/soup.yaml")).expect("a link");
    assert!(
        home.commit(None)
            .documents
            .get("adapters", "soup")
            .is_some()
    );
}

#[test]
fn bombs_are_refused_and_do_not_go_off() {
    let bomb: String = (1..30).fold("a0: &a0 [x]\n".to_owned(), |text, at| {
        let before = at - 1;
        format!(
            "{text}a{at}: &a{at} [{}]\n",
            vec![format!("*a{before}"); 9].join(",")
        )
    });
    let texts = [
        bomb,
        format!("name: {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("name: {}\n", "x".repeat(1 << 20)),
        format!("name: x\n# {}\n", "x".repeat(5 << 20)),
        "name: \u{0}\n".to_owned(),
    ];
    for text in texts {
        let home = Home::new();
        home.write("csv", &text);
        let began = std::time::Instant::now();
        assert!(!home.refused().is_empty());
        assert!(began.elapsed() < std::time::Duration::from_secs(5));
    }
}

#[test]
fn two_files_with_one_name_are_refused_and_lists_are_documents_too() {
    let mut home = Home::new();
    home.sets = vec![Set::new("adapters", "adapters/*")];
    fs::write(home.path("adapters/csv.json"), "[1, null]").expect("a file");
    assert!(home.refused().contains("would both be called `csv`"));
    fs::remove_file(home.path("adapters/csv.yaml")).expect("it was there");
    let documents = home.commit(None).documents;
    assert_eq!(
        documents.get("adapters", "csv").expect("one").value(),
        &json!([1, null])
    );
}

#[test]
fn a_set_without_files_is_empty_and_said_to_be() {
    let mut home = Home::new();
    home.sets.push(Set::new("models", "models/*.yaml"));
    let prepared = home.prepare(None).expect("they are fine");
    assert_eq!(prepared.checked().empty().collect::<Vec<_>>(), ["models"]);
}
