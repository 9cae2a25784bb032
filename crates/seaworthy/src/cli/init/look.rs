//! Looks for what there is to start in a folder.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::found::Found;
use super::python;

/// Looks in `folder`: for a Procfile, then for Python, then for Node.
pub(super) fn look(folder: &Path) -> Found {
    procfile(folder)
        .or_else(|| python::look(folder))
        .or_else(|| node(folder))
        .unwrap_or_default()
}

/// The line `web` of a Procfile, in words. What needs a shell is given to one.
fn procfile(folder: &Path) -> Option<Found> {
    let text = fs::read_to_string(folder.join("Procfile")).ok()?;
    let web = text
        .lines()
        .find_map(|line| line.strip_prefix("web:"))?
        .trim();
    let needs_shell = web.contains(['$', '&', '|', ';', '<', '>', '"', '\'', '`', '*', '\\']);
    let command = match needs_shell {
        true => ["sh", "-c", web].map(str::to_owned).to_vec(),
        false => web.split_whitespace().map(str::to_owned).collect(),
    };
    Some(Found {
        command,
        place: Some("Procfile".to_owned()),
        ..Found::default()
    })
}

/// The script `start` of a package.
fn node(folder: &Path) -> Option<Found> {
    let text = fs::read_to_string(folder.join("package.json")).ok()?;
    let package: Value = serde_json::from_str(&text).ok()?;
    package["scripts"]["start"].as_str()?;
    Some(Found {
        command: ["npm", "start"].map(str::to_owned).to_vec(),
        place: Some("package.json".to_owned()),
        ..Found::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Found {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        look(folder.path())
    }

    fn command(files: &[(&str, &str)]) -> String {
        of(files).command.join(" ")
    }

    #[test]
    fn each_kind_of_project_is_known_by_what_starts_it() {
        let fastapi = "from fastapi import FastAPI\n\napp = FastAPI(title='x')\n";
        assert_eq!(command(&[("main.py", fastapi)]), "uvicorn main:app");
        assert_eq!(
            command(&[("shop/api/__init__.py", fastapi)]),
            "uvicorn shop.api:app"
        );
        assert_eq!(
            command(&[("src/shop/main.py", fastapi)]),
            "uvicorn --app-dir src shop.main:app"
        );
        assert_eq!(
            command(&[("wsgi.py", "server: Flask = Flask(__name__)")]),
            "gunicorn wsgi:server"
        );
        let django = [
            ("manage.py", ""),
            ("shop/wsgi.py", ""),
            ("shop/settings.py", ""),
        ];
        assert_eq!(command(&django), "gunicorn shop.wsgi");
        let package = r#"{"scripts": {"start": "node server.js"}}"#;
        assert_eq!(command(&[("package.json", package)]), "npm start");
        assert_eq!(
            command(&[(
                "Procfile",
                "worker: x\nweb: gunicorn shop.wsgi --workers 2\n"
            )]),
            "gunicorn shop.wsgi --workers 2"
        );
        assert_eq!(
            command(&[("Procfile", "web: gunicorn -b :$PORT shop.wsgi\n")]),
            "sh -c gunicorn -b :$PORT shop.wsgi"
        );
        let worker = of(&[("tasks.py", "queue = Celery('x', broker=URL)\n")]);
        assert_eq!(worker.command.join(" "), "celery -A tasks:queue worker");
        assert!(worker.is_worker);
        assert_eq!(of(&[("readme.md", "")]), Found::default());
    }

    #[test]
    fn what_is_no_service_is_passed_over_and_the_rest_is_named() {
        let app = "app = FastAPI()\n";
        let found = of(&[
            ("tests/app.py", app),
            (".venv/lib/fastapi/app.py", app),
            ("tools/other.py", "other = FastAPI()\n"),
            ("main.py", app),
            ("inner.py", "def make():\n    app = FastAPI()\n"),
        ]);
        assert_eq!(found.command.join(" "), "uvicorn main:app");
        assert_eq!(found.others, [["uvicorn", "tools.other:other"]]);
    }
}
