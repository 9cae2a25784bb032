use seaworthy_core::health::State;

use super::*;

/// A folder with these files.
fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn look(files: &[(&str, &str)]) -> Outcome {
    let folder = system(files);
    Memory::default().judge(Usage::of(folder.path()).expect("a usage"))
}

const HOST: (&str, &str) = (
    "proc/meminfo",
    "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n",
);

#[test]
fn a_limit_of_version_2_is_read() {
    for more in [None, Some(HOST)] {
        let mut files = vec![
            ("sys/fs/cgroup/memory.current", "2147483648\n"),
            ("sys/fs/cgroup/memory.max", "4294967296\n"),
        ];
        files.extend(more);
        let outcome = look(&files);
        assert_eq!(outcome.state, State::Ok);
        let shown = serde_json::to_string(&outcome.metadata).unwrap();
        assert_eq!(
            shown,
            r#"{"usage_mb":2048,"limit_mb":4096,"usage_percent":50}"#
        );
        assert_eq!(outcome.message, "50 % of 4096 MiB in use");
    }
}

#[test]
fn a_limit_of_version_1_is_read_at_the_path_of_the_process() {
    let outcome = look(&[
        HOST,
        (
            "proc/self/cgroup",
            "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n",
        ),
        (
            "sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        ),
        ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1048576\n"),
        (
            "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
            "104857600\n",
        ),
        (
            "sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes",
            "104857600\n",
        ),
        (
            "sys/fs/cgroup/memory/docker/abc/memory.stat",
            "inactive_file 1\ntotal_inactive_file 10485760\n",
        ),
    ]);
    assert_eq!(outcome.metadata["limit_mb"], 100);
    assert_eq!(outcome.metadata["usage_mb"], 90);
    assert_eq!(outcome.state, State::Warn);
}

#[test]
fn the_tightest_group_counts_even_above() {
    let outcome = look(&[
        HOST,
        ("proc/self/cgroup", "0::/pod/app\n"),
        ("sys/fs/cgroup/pod/memory.max", "1000\n"),
        ("sys/fs/cgroup/pod/memory.current", "960\n"),
        ("sys/fs/cgroup/pod/app/memory.max", "900\n"),
        ("sys/fs/cgroup/pod/app/memory.current", "10\n"),
    ]);
    assert_eq!(outcome.metadata["usage_percent"], 96);
    assert_eq!(outcome.state, State::Fail);
}

#[test]
fn without_a_limit_it_is_the_machine() {
    for limit in ["max\n", "99999999999999\n"] {
        let outcome = look(&[
            HOST,
            ("proc/self/cgroup", "0::/../../elsewhere\n"),
            ("sys/fs/cgroup/memory.max", limit),
            ("sys/fs/cgroup/memory.current", "1\n"),
        ]);
        assert_eq!(outcome.metadata["limit_mb"], 16384);
        assert_eq!(outcome.metadata["usage_percent"], 50);
    }
}

#[test]
fn a_limit_itself_is_not_above_it() {
    let memory = Memory::default();
    for (used, state) in [
        (85.0, State::Ok),
        (85.1, State::Warn),
        (90.0, State::Warn),
        (95.0, State::Warn),
        (96.0, State::Fail),
    ] {
        let usage = Usage { used, limit: 100.0 };
        assert_eq!(memory.judge(usage).state, state, "{used} %");
    }
}

#[test]
fn an_unreadable_system_is_unknown() {
    let folder = system(&[
        ("proc/meminfo", "nonsense"),
        ("sys/fs/cgroup/memory.max", "x"),
    ]);
    assert_eq!(Usage::of(folder.path()), None);
}
