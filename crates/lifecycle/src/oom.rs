//! Was it the out-of-memory killer?
//!
//! A process that it kills ends like any other that gets SIGKILL; the difference shows in a counter of the memory cgroup.
//! The counter is read when the app starts and again when it has died. Both generations of cgroups are known, and where
//! neither is visible the kernel's own count for the whole machine serves.

use std::fs;
use std::path::{Path, PathBuf};

/// A counter of processes killed for want of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    file: PathBuf,
    key: Option<&'static str>,
}

impl Counter {
    /// Finds the counter that holds for this process, if there is one.
    pub fn find() -> Option<Counter> {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Counter::below(Path::new("/"), &groups)
    }

    /// The same, with the file system's root elsewhere.
    fn below(root: &Path, groups: &str) -> Option<Counter> {
        candidates(root, groups)
            .into_iter()
            .find(|counter| counter.read().is_some())
    }

    /// The count, if it can be read.
    pub fn read(&self) -> Option<u64> {
        let text = fs::read_to_string(&self.file).ok()?;
        match self.key {
            None => text.trim().parse().ok(),
            Some(key) => text.lines().find_map(|line| {
                let (name, value) = line.split_once(' ')?;
                (name == key).then(|| value.trim().parse().ok()).flatten()
            }),
        }
    }

    /// What to show as evidence.
    pub fn name(&self) -> String {
        let key = self.key.map(|key| format!(" ({key})")).unwrap_or_default();
        format!("{}{key}", self.file.display())
    }
}

/// Where the counter may be, best first.
fn candidates(root: &Path, groups: &str) -> Vec<Counter> {
    let mounted = root.join("sys/fs/cgroup");
    let mut found = Vec::new();
    let mut push = |file: PathBuf, key| found.push(Counter { file, key });
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            // Inside a container without a cgroup namespace the path is the host's, and the root is ours.
            for dir in [mounted.join(path), mounted.clone()] {
                push(dir.join("memory.events"), Some("oom_kill"));
            }
        } else if controllers.split(',').any(|name| name == "memory") {
            let memory = mounted.join("memory");
            for dir in [memory.join(path), memory] {
                push(dir.join("memory.oom_control"), Some("oom_kill"));
                // Kernels before 4.13 count only how often the limit was hit.
                push(dir.join("memory.failcnt"), None);
            }
        }
    }
    push(root.join("proc/vmstat"), Some("oom_kill"));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn count(root: &tempfile::TempDir, groups: &str) -> Option<(String, u64)> {
        let counter = Counter::below(root.path(), groups)?;
        let name = counter
            .name()
            .replace(&root.path().display().to_string(), "");
        counter.read().map(|count| (name, count))
    }

    #[test]
    fn reads_the_unified_hierarchy() {
        let events = "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n";
        let root = tree(&[("sys/fs/cgroup/pod/memory.events", events)]);
        assert_eq!(
            count(&root, "0::/pod\n"),
            Some(("/sys/fs/cgroup/pod/memory.events (oom_kill)".to_owned(), 2))
        );
        let root = tree(&[("sys/fs/cgroup/memory.events", events)]);
        assert_eq!(
            count(&root, "0::/kubepods/x\n"),
            Some(("/sys/fs/cgroup/memory.events (oom_kill)".to_owned(), 2))
        );
    }

    #[test]
    fn reads_the_first_generation() {
        let control = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n";
        let groups = "9:name=systemd:/\n4:memory:/docker/1\n0::/\n";
        let root = tree(&[("sys/fs/cgroup/memory/docker/1/memory.oom_control", control)]);
        assert_eq!(count(&root, groups).unwrap().1, 5);
        let root = tree(&[
            ("sys/fs/cgroup/memory/memory.oom_control", "under_oom 0\n"),
            ("sys/fs/cgroup/memory/memory.failcnt", "9\n"),
        ]);
        assert_eq!(count(&root, groups).unwrap().1, 9);
    }

    #[test]
    fn falls_back_to_the_machine() {
        let root = tree(&[("proc/vmstat", "nr_free_pages 1\noom_kill 4\n")]);
        assert_eq!(count(&root, "0::/\n").unwrap().1, 4);
        assert_eq!(count(&tree(&[]), "0::/\n"), None);
    }
}
