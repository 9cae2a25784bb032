//! What starts a project in Python: the module that makes an application, by its text alone. Nothing of it is run.

use std::fs;
use std::path::{Path, PathBuf};

use super::found::Found;

/// How deep, in how many files, and in how much of each it is looked.
const DEEPEST: usize = 4;
const MOST_FILES: usize = 2_000;
const MOST_BYTES: u64 = 256 << 10;
/// Folders without services of the project.
const PASSED_OVER: [&str; 9] = [
    "build",
    "dist",
    "docs",
    "env",
    "examples",
    "node_modules",
    "site-packages",
    "tests",
    "venv",
];
/// Classes of applications that speak ASGI.
const ASGI: [&str; 6] = [
    "FastAPI",
    "Starlette",
    "Litestar",
    "Quart",
    "Sanic",
    "BlackSheep",
];
/// Classes of applications that speak WSGI.
const WSGI: [&str; 3] = ["Flask", "Bottle", "falcon.App"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Asgi,
    Wsgi,
    Celery,
}

/// An application: what it is, the module and the name in it.
#[derive(Debug)]
struct App {
    kind: Kind,
    file: PathBuf,
    name: String,
}

/// What starts the application of a folder, if there is one.
pub(super) fn look(folder: &Path) -> Option<Found> {
    let mut files = Vec::new();
    walk(folder, Path::new(""), &mut files);
    if let Some(found) = django(folder, &files) {
        return Some(found);
    }
    let mut apps: Vec<App> = files.iter().filter_map(|file| app(folder, file)).collect();
    apps.sort_by_key(|app| (app.kind, rank(&app.file)));
    let mut apps = apps.into_iter();
    let first = apps.next()?;
    Some(Found {
        command: command(&first),
        place: Some(first.file.display().to_string()),
        others: apps.map(|app| command(&app)).collect(),
        is_worker: first.kind == Kind::Celery,
    })
}

/// The files of the project, by their path below its folder.
fn walk(folder: &Path, below: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder.join(below)) else {
        return;
    };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    for name in names {
        let Some(text) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        let path = below.join(text);
        // A link may lead out of the project, or in a circle.
        let Ok(found) = fs::symlink_metadata(folder.join(&path)) else {
            continue;
        };
        let is_deep = path.components().count() >= DEEPEST;
        if found.is_dir() && !is_deep && !PASSED_OVER.contains(&text) {
            walk(folder, &path, files);
        }
        let is_source = text.ends_with(".py") && !text.starts_with("test_");
        if found.is_file() && is_source && found.len() <= MOST_BYTES && files.len() < MOST_FILES {
            files.push(path);
        }
    }
}

/// A project of Django has its own way to say where it begins.
fn django(folder: &Path, files: &[PathBuf]) -> Option<Found> {
    if !folder.join("manage.py").is_file() {
        return None;
    }
    let wsgi = files.iter().find(|file| file.ends_with("wsgi.py"))?;
    Some(Found {
        command: vec!["gunicorn".to_owned(), module(wsgi)],
        place: Some(wsgi.display().to_string()),
        ..Found::default()
    })
}

/// The application that a file makes where everybody can import it.
fn app(folder: &Path, file: &Path) -> Option<App> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    text.lines().find_map(|line| {
        let (name, made) = line.split_once('=')?;
        // A type may stand behind the name.
        let name = name.split(':').next()?;
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let is_top = !name.starts_with(char::is_whitespace);
        let name = name.trim();
        let (class, _) = made.trim().split_once('(')?;
        let kind = match class {
            class if ASGI.contains(&class) => Kind::Asgi,
            class if WSGI.contains(&class) => Kind::Wsgi,
            "Celery" => Kind::Celery,
            _ => return None,
        };
        (is_top && !name.is_empty() && name.chars().all(is_name)).then(|| App {
            kind,
            file: file.to_owned(),
            name: name.to_owned(),
        })
    })
}

/// Those that are likely to be meant come first: near the top, under a usual name.
fn rank(file: &Path) -> (usize, bool, PathBuf) {
    let usual = ["main", "app", "asgi", "wsgi", "server", "api"];
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let is_odd = !usual.contains(&&*stem);
    (file.components().count(), is_odd, file.to_owned())
}

/// How a file is imported.
fn module(file: &Path) -> String {
    let path = file.with_extension("");
    let words = path.iter().map(|word| word.to_string_lossy().into_owned());
    let words: Vec<String> = words.filter(|word| word != "__init__").collect();
    words.join(".")
}

fn command(app: &App) -> Vec<String> {
    let inside = app.file.strip_prefix("src").ok();
    let target = format!("{}:{}", module(inside.unwrap_or(&app.file)), app.name);
    let words: &[&str] = match (app.kind, inside.is_some()) {
        (Kind::Asgi, false) => &["uvicorn", &target],
        (Kind::Asgi, true) => &["uvicorn", "--app-dir", "src", &target],
        (Kind::Wsgi, false) => &["gunicorn", &target],
        (Kind::Wsgi, true) => &["gunicorn", "--chdir", "src", &target],
        (Kind::Celery, false) => &["celery", "-A", &target, "worker"],
        (Kind::Celery, true) => &["celery", "--workdir", "src", "-A", &target, "worker"],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}
