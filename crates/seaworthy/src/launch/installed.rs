//! Which version of a Python package a program on `PATH` belongs to, read from the names in its `site-packages`.
//!
//! Asking the program itself would cost a start of Python. What cannot be told this way is `None`, and the launcher then
//! takes the road that every version knows.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Major and minor version of `package` in the environment that `program` runs in.
pub fn version(package: &str, program: &str, path: &str) -> Option<(u32, u32)> {
    let program = resolve(program, path)?;
    let interpreter = shebang(&program).unwrap_or(program);
    let prefix = interpreter.parent()?.parent()?;
    fs::read_dir(prefix.join("lib"))
        .ok()?
        .filter_map(Result::ok)
        .find_map(|python| {
            let packages = fs::read_dir(python.path().join("site-packages")).ok()?;
            packages
                .filter_map(Result::ok)
                .find_map(|entry| parse(entry.file_name().to_str()?, package))
        })
}

fn resolve(program: &str, path: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program));
    }
    path.split(':')
        .map(|folder| Path::new(folder).join(program))
        .find(|candidate| candidate.is_file())
}

fn shebang(program: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    fs::File::open(program)
        .ok()?
        .take(512)
        .read_to_end(&mut head)
        .ok()?;
    let line = head
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    Some(PathBuf::from(std::str::from_utf8(line).ok()?.trim()))
}

/// `granian-2.8.7.dist-info` is version 2.8 of granian.
fn parse(name: &str, package: &str) -> Option<(u32, u32)> {
    let version = name
        .strip_suffix(".dist-info")?
        .strip_prefix(package)?
        .strip_prefix('-')?;
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_through_a_console_script_and_through_its_interpreter() {
        let venv = tempfile::tempdir().unwrap();
        let bin = venv.path().join("bin");
        fs::create_dir_all(
            venv.path()
                .join("lib/python3.11/site-packages/granian-2.8.7.dist-info"),
        )
        .unwrap();
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("python"), "").unwrap();
        fs::write(
            bin.join("granian"),
            format!("#!{}\n", bin.join("python").display()),
        )
        .unwrap();
        let path = format!("/nowhere:{}", bin.display());
        assert_eq!(version("granian", "granian", &path), Some((2, 8)));
        assert_eq!(
            version("granian", &bin.join("python").display().to_string(), ""),
            Some((2, 8))
        );
        assert_eq!(version("uvicorn", "granian", &path), None);
        assert_eq!(version("granian", "absent", &path), None);
    }
}
