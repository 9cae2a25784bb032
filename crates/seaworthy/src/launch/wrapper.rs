//! Sees through the words that stand before the server: `env`, `poetry run`, `uv run`, `python -m`, `tini --` and the like.
//!
//! The table lists only wrappers that end by running the rest of the words as a command of its own. What a shell string
//! holds is not looked into: rewriting it would mean parsing a shell.

use std::collections::BTreeMap;

/// What really runs, and where it stands among the words.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// Base name of the program or name of the Python module.
    pub(super) program: String,
    /// The index of the word that names it; its arguments follow.
    pub(super) at: usize,
    /// The index of the file that is executed: the same, or its Python interpreter.
    pub(super) executed: usize,
    /// It is run by a shell from a string.
    pub(super) shell: bool,
    /// Indices of `NAME=value` words given to `env`.
    pub(super) assignments: Vec<usize>,
    /// Where a variable must be written when `env -i` or `env -u` would drop ours.
    pub(super) cleaned_at: Option<usize>,
    /// `env -i` was among the wrappers: nothing is inherited.
    pub(super) emptied: bool,
}

impl Seen {
    /// The environment that the program will get: the given one, changed by `env` as it says.
    pub(super) fn environment(
        &self,
        argv: &[String],
        given: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut env = if self.emptied {
            BTreeMap::new()
        } else {
            given.clone()
        };
        for &at in &self.assignments {
            if let Some((name, value)) = argv[at].split_once('=') {
                env.insert(name.to_owned(), value.to_owned());
            }
        }
        env
    }
}

struct Wrapper {
    name: &'static str,
    /// The word that makes it a wrapper, as in `poetry run`; none for those that always are.
    verb: Option<&'static str>,
    /// Options that take the next word as their value.
    valued: &'static [&'static str],
    /// Words of its own before the command, as the user in `gosu USER COMMAND`.
    operands: usize,
}

const fn wrapper(
    name: &'static str,
    verb: Option<&'static str>,
    valued: &'static [&'static str],
) -> Wrapper {
    Wrapper {
        name,
        verb,
        valued,
        operands: 0,
    }
}

const UV: &[&str] = &[
    "-p",
    "--python",
    "-w",
    "--with",
    "--with-editable",
    "--with-requirements",
    "--from",
    "--extra",
    "--no-extra",
    "--group",
    "--no-group",
    "--only-group",
    "--env-file",
    "--package",
    "--directory",
    "--project",
    "--index",
    "--default-index",
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "-P",
    "--upgrade-package",
    "--reinstall-package",
    "-C",
    "--config-setting",
    "--config-file",
    "--cache-dir",
    "--color",
    "--link-mode",
    "--prerelease",
    "--resolution",
    "--index-strategy",
    "--keyring-provider",
    "--allow-insecure-host",
    "--exclude-newer",
    "--refresh-package",
];

const WRAPPERS: &[Wrapper] = &[
    wrapper(
        "poetry",
        Some("run"),
        &["-C", "--directory", "-P", "--project"],
    ),
    wrapper("uv", Some("run"), UV),
    wrapper("uvx", None, UV),
    wrapper("pipenv", Some("run"), &["--python"]),
    wrapper("pdm", Some("run"), &["-p", "--project", "--venv"]),
    wrapper("rye", Some("run"), &["--pyproject"]),
    wrapper(
        "opentelemetry-instrument",
        None,
        &[
            "--service_name",
            "--traces_exporter",
            "--metrics_exporter",
            "--logs_exporter",
        ],
    ),
    wrapper("ddtrace-run", None, &[]),
    wrapper("newrelic-admin", Some("run-program"), &[]),
    wrapper("tini", None, &["-p", "-e"]),
    wrapper("dumb-init", None, &["-r", "--rewrite"]),
    wrapper("catatonit", None, &[]),
    wrapper("nice", None, &["-n"]),
    wrapper("ionice", None, &["-c", "-n"]),
    wrapper("nohup", None, &[]),
    wrapper("setsid", None, &[]),
    wrapper("stdbuf", None, &["-i", "-o", "-e"]),
    Wrapper {
        name: "gosu",
        verb: None,
        valued: &[],
        operands: 1,
    },
    Wrapper {
        name: "su-exec",
        verb: None,
        valued: &[],
        operands: 1,
    },
];

/// Finds the program behind any number of wrappers.
pub(super) fn see(argv: &[String]) -> Seen {
    let mut seen = Seen::default();
    let mut at = 0;
    while let Some(word) = argv.get(at) {
        let name = base(word);
        seen.at = at;
        seen.executed = at;
        name.clone_into(&mut seen.program);
        let next = if name == "env" {
            through_env(argv, at, &mut seen)
        } else if is_python(name) {
            if let Some((module_at, module)) = python(argv, at) {
                seen.at = module_at;
                seen.program = module;
            }
            None
        } else {
            match through(argv, at, name) {
                Some(Next::Module(module_at)) => {
                    seen.at = module_at;
                    argv[module_at].clone_into(&mut seen.program);
                    None
                }
                Some(Next::Command(next)) => Some(next),
                None => None,
            }
        };
        match next {
            Some(next) if next < argv.len() => at = next,
            _ => break,
        }
    }
    seen.shell =
        is_shell(&seen.program) && argv[seen.at + 1..].iter().any(|arg| short_has(arg, 'c'));
    seen
}

enum Next {
    Command(usize),
    Module(usize),
}

fn through(argv: &[String], at: usize, name: &str) -> Option<Next> {
    let wrapper = WRAPPERS.iter().find(|wrapper| wrapper.name == name)?;
    let mut next = at + 1;
    let mut verb = wrapper.verb;
    let mut operands = wrapper.operands;
    while let Some(arg) = argv.get(next) {
        match (verb, arg.as_str()) {
            (None, "--") if operands == 0 => return Some(Next::Command(next + 1)),
            // `uv run -m uvicorn` means `uv run python -m uvicorn`.
            (None, "-m" | "--module") if name == "uv" => {
                return Some(Next::Module(next + 1)).filter(|_| next + 1 < argv.len());
            }
            (_, option) if option.starts_with('-') => {
                next += usize::from(wrapper.valued.contains(&option))
            }
            (Some(wanted), word) if word == wanted => verb = None,
            (Some(_), _) => return None,
            (None, _) if operands > 0 => operands -= 1,
            (None, _) => return Some(Next::Command(next)),
        }
        next += 1;
    }
    None
}

fn through_env(argv: &[String], at: usize, seen: &mut Seen) -> Option<usize> {
    let mut next = at + 1;
    let mut cleans = false;
    while let Some(arg) = argv.get(next) {
        match arg.as_str() {
            "-i" | "-" | "--ignore-environment" => {
                cleans = true;
                seen.emptied = true;
                seen.assignments.clear();
            }
            "-u" | "--unset" => {
                cleans = true;
                next += 1;
            }
            "-C" | "--chdir" => next += 1,
            option if option.starts_with("-S") || option.starts_with("--split-string") => {
                return None;
            }
            option if option.starts_with("--unset=") => cleans = true,
            option if option.starts_with('-') => {}
            word if word.contains('=') => seen.assignments.push(next),
            _ => break,
        }
        next += 1;
    }
    if cleans {
        seen.cleaned_at = Some(next);
    }
    Some(next)
}

/// The module or script that a Python interpreter is told to run, and the word that names it.
fn python(argv: &[String], at: usize) -> Option<(usize, String)> {
    let mut next = at + 1;
    while let Some(arg) = argv.get(next) {
        let Some(letters) = arg.strip_prefix('-') else {
            return Some((next, base(arg).to_owned()));
        };
        if arg.starts_with("--") {
            next += 1 + usize::from(arg == "--check-hash-based-pycs");
            continue;
        }
        match letters
            .find(['m', 'c', 'X', 'W'])
            .map(|found| letters.split_at(found))
        {
            Some((_, "m")) => return argv.get(next + 1).map(|module| (next + 1, module.clone())),
            Some((_, value)) if value.starts_with('m') => {
                return Some((next, value[1..].to_owned()));
            }
            Some((_, value)) if value.starts_with('c') => return None,
            Some((_, "X" | "W")) => next += 2,
            _ => next += 1,
        }
    }
    None
}

/// The last part of a path.
pub(super) fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn is_python(name: &str) -> bool {
    let versionless = name.trim_end_matches(|char: char| char.is_ascii_digit() || char == '.');
    matches!(versionless, "python" | "pypy")
}

fn is_shell(name: &str) -> bool {
    matches!(
        name,
        "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "busybox"
    )
}

fn short_has(arg: &str, letter: char) -> bool {
    arg.strip_prefix('-')
        .is_some_and(|letters| !letters.starts_with('-') && letters.contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_behind_its_wrappers() {
        let cases = [
            ("uvicorn app:app", "uvicorn", 0),
            ("/srv/.venv/bin/uvicorn app:app", "uvicorn", 0),
            ("python -m uvicorn app:app", "uvicorn", 2),
            ("python3.11 -u -X dev -m gunicorn app:app", "gunicorn", 5),
            ("python -um uvicorn app:app", "uvicorn", 2),
            ("python -muvicorn app:app", "uvicorn", 1),
            ("python /srv/.venv/bin/granian app:app", "granian", 1),
            ("poetry run uvicorn app:app", "uvicorn", 2),
            ("poetry -C /srv run uvicorn app:app", "uvicorn", 4),
            ("uv run --frozen --extra prod uvicorn app:app", "uvicorn", 5),
            (
                "uv run --with uvicorn -- python -m uvicorn app:app",
                "uvicorn",
                7,
            ),
            ("uv run -m uvicorn app:app", "uvicorn", 3),
            ("pipenv run env A=1 B=2 hypercorn app:app", "hypercorn", 5),
            (
                "tini -g -- opentelemetry-instrument uvicorn app:app",
                "uvicorn",
                4,
            ),
            ("gosu app:app uvicorn app:app", "uvicorn", 2),
            ("nice -n 5 node server.js", "node", 3),
            ("poetry install", "poetry", 0),
            ("python -c print(1)", "python", 0),
            ("python manage.py runserver", "manage.py", 1),
            ("env", "env", 0),
        ];
        for (text, program, at) in cases {
            let argv: Vec<String> = text.split(' ').map(str::to_owned).collect();
            let seen = see(&argv);
            assert_eq!((seen.program.as_str(), seen.at), (program, at), "{text}");
        }
    }

    #[test]
    fn a_shell_string_is_known_and_a_shell_script_is_a_program() {
        let words = |text: &[&str]| {
            text.iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        assert!(see(&words(&["sh", "-ec", "uvicorn app:app"])).shell);
        assert!(see(&words(&["env", "A=1", "/bin/bash", "-c", "exec node"])).shell);
        assert!(!see(&words(&["sh", "start.sh"])).shell);
    }

    #[test]
    fn env_changes_what_the_program_gets() {
        let argv: Vec<String> = "env -i A=2 B=3 node x"
            .split(' ')
            .map(str::to_owned)
            .collect();
        let given = BTreeMap::from([
            ("A".to_owned(), "1".to_owned()),
            ("C".to_owned(), "9".to_owned()),
        ]);
        let seen = see(&argv);
        let env = seen.environment(&argv, &given);
        assert_eq!(
            env.into_iter().collect::<Vec<_>>(),
            [("A".into(), "2".into()), ("B".into(), "3".into())]
        );
        assert_eq!(seen.cleaned_at, Some(4));
    }
}
