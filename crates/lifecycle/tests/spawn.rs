//! What a child gets, and why one could not be started.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::os::unix::fs::PermissionsExt;

use seaworthy_lifecycle::exit::Exit;
use seaworthy_lifecycle::reap::Reaper;
use seaworthy_lifecycle::spawn::{Error, Program};

fn shell(script: &str) -> Program {
    Program {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        ..Program::default()
    }
}

#[tokio::test]
async fn a_child_leads_a_group_ignores_hangups_and_has_an_empty_mask() {
    let reaper = Reaper::start(false).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let script = "grep -E 'SigBlk|SigIgn' /proc/self/status > status; ps -o pgid= -p $$ > group; echo $WHO > who; kill -HUP $$; exit 4";
    let program = Program {
        cwd: Some(dir.path().to_owned()),
        env: vec![("WHO".into(), Some("app".into())), ("HOME".into(), None)],
        ..shell(script)
    };
    let mut child = reaper.spawn(&program).unwrap();
    assert_eq!(child.wait().await, Exit::Code(4));
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let field = |name: &str| {
        let line = read("status")
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    assert_eq!(field("SigBlk"), 0);
    let ignored = |signal: i32| field("SigIgn") & (1 << (signal - 1)) != 0;
    assert!(ignored(libc::SIGHUP) && !ignored(libc::SIGPIPE) && !ignored(libc::SIGTERM));
    assert_eq!(read("group").trim(), child.pid().to_string());
    assert_eq!(read("who").trim(), "app");
}

#[tokio::test]
async fn every_reason_comes_with_a_remedy() {
    let reaper = Reaper::start(false).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let fails = |program: &std::path::Path| {
        let program = Program {
            program: program.into(),
            ..Program::default()
        };
        let error = reaper.spawn(&program).unwrap_err();
        assert!(error.is_final());
        error
    };
    assert!(matches!(
        fails("no-such-command".as_ref()),
        Error::NotInPath(_)
    ));
    assert!(matches!(
        fails(&dir.path().join("absent")),
        Error::NoSuchFile(_)
    ));
    assert!(matches!(
        fails(&file("plain", "#!/bin/sh\n", 0o644)),
        Error::NotExecutable(_)
    ));
    assert!(matches!(fails(dir.path()), Error::NotExecutable(_)));
    assert!(matches!(
        fails(&file("lost", "#!/no/such/interpreter\n", 0o755)),
        Error::NoInterpreter(_)
    ));
    let nowhere = Program {
        cwd: Some("/no/such/dir".into()),
        ..shell("true")
    };
    let error = reaper.spawn(&nowhere).unwrap_err();
    assert!(matches!(error, Error::NoDirectory(_)));
    assert!(error.to_string().contains("Create it or correct the path"));
}
