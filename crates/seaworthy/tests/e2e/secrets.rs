//! Secrets that stand elsewhere, on the real binary: they arrive, they change, they are missed, and nobody sees them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use seaworthy_testkit::Result;
use seaworthy_testkit::client;
use seaworthy_testkit::origin::{Origin, Script};
use seaworthy_testkit::process::{Builder, Ended, Seaworthy};
use seaworthy_testkit::server::{App, Server};
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::Value;

use crate::breakers::admin;

/// No output may hold it in any layer.
pub(crate) const CANARY: &str = "canary-5b1d";

pub(crate) fn write(file: &Path, text: &str) -> Result<()> {
    // As Kubernetes does: never half a file.
    let new = file.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&new, file)?;
    Ok(())
}

/// A service whose calls to `origin` bear the secret `openai`, which `source` defines.
pub(crate) struct Calls {
    pub(crate) seaworthy: Seaworthy,
    pub(crate) origin: Origin,
    way: String,
    _mock: Server,
}

impl Calls {
    pub(crate) async fn start(builder: Builder, source: &str) -> Result<Self> {
        let mock = App::Mock.start().await?;
        let origin = Origin::tcp(Script::always(
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell",
        ))
        .await?;
        let yaml = format!(
            "secrets:\n  openai: {source}\negress:\n- name: llm\n  listen: 127.0.0.1:0\n  target: http://{}\n  headers: {{Authorization: 'Bearer ${{secret:openai}}', X-Plain: yes}}\n",
            origin.address()
        );
        let seaworthy = builder.config(&yaml).connect(mock.address).ready().await?;
        let opened = seaworthy.wait_event("egress.opened").await?;
        let way = opened["address"].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            seaworthy,
            origin,
            way,
            _mock: mock,
        })
    }

    /// What the target sees in `Authorization` of a call that has another.
    pub(crate) async fn seen(&self) -> Result<String> {
        let way: std::net::SocketAddr = self.way.parse()?;
        let fields = [("Host", "llm"), ("Authorization", "Bearer of-the-app")];
        let answer = client::send(way, "GET", "/v1/models", &fields, b"").await?;
        assert_eq!(answer.status, 200);
        let requests = self.origin.requests();
        let last = requests.last().expect("a request");
        let field = |name: &str| {
            let mut lines = last.lines().filter_map(|line| line.split_once(": "));
            let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map_or("", |(_, value)| value).to_owned()
        };
        assert_eq!(field("x-plain"), "yes");
        Ok(field("authorization"))
    }

    pub(crate) async fn comes(&self, value: &str) -> Result<()> {
        let what = format!("the secret {value} at the target");
        wait::until(&what, PATIENCE, || async {
            (self.seen().await.ok()? == format!("Bearer {value}")).then_some(())
        })
        .await
    }

    /// Everything that anybody could read of it.
    pub(crate) async fn shown(&self) -> Result<String> {
        let metrics = admin(&self.seaworthy, "/metrics").await?;
        let status = admin(&self.seaworthy, "/-/status").await?;
        let output = self.seaworthy.output();
        let parts = [
            output.stdout(),
            output.stderr(),
            String::from_utf8_lossy(&metrics.body).into_owned(),
            String::from_utf8_lossy(&status.body).into_owned(),
        ];
        Ok(parts.join("\n"))
    }
}

#[tokio::test]
async fn a_secret_reaches_the_target_and_its_rotation_too_without_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("openai");
    write(&file, &format!("{CANARY}-1\n"))?;
    let source = format!("{{file: {}, refresh: 50ms}}", file.display());
    let calls = Calls::start(Seaworthy::build(), &source).await?;
    assert_eq!(calls.seen().await?, format!("Bearer {CANARY}-1"));
    let pid = calls.seaworthy.pid();
    write(&file, &format!("{CANARY}-2\n"))?;
    calls.comes(&format!("{CANARY}-2")).await?;
    calls.seaworthy.wait_event("secret.rotated").await?;
    // Gone, it keeps its value and says so once.
    std::fs::remove_file(&file)?;
    let stale = calls.seaworthy.wait_event("secret.stale").await?;
    assert!(stale.to_string().contains("no such file"), "{stale}");
    assert_eq!(calls.seen().await?, format!("Bearer {CANARY}-2"));
    wait::until("a gauge", PATIENCE, || async {
        let shown = calls.shown().await.ok()?;
        shown
            .contains("seaworthy_secret_stale{secret=\"openai\"} 1")
            .then_some(())
    })
    .await?;
    write(&file, &format!("{CANARY}-2"))?;
    calls.seaworthy.wait_event("secret.recovered").await?;
    write(&file, &format!("{CANARY}-3"))?;
    calls.comes(&format!("{CANARY}-3")).await?;
    let shown = calls.shown().await?;
    assert!(
        shown.contains("seaworthy_secret_stale{secret=\"openai\"} 0"),
        "{shown}"
    );
    assert!(
        shown.contains("seaworthy_secret_refreshes_total{result=\"changed\",secret=\"openai\"} 2")
            || shown.contains(
                "seaworthy_secret_refreshes_total{secret=\"openai\",result=\"changed\"} 2"
            ),
        "{shown}"
    );
    let told = calls.seaworthy.output().events("secret.stale");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    assert_eq!(calls.seaworthy.pid(), pid);
    Ok(())
}

#[tokio::test]
async fn what_comes_from_elsewhere_is_not_old_and_what_is_odd_of_it_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, other) = (folder.path().join("one"), folder.path().join("other"));
    write(&file, CANARY)?;
    let yaml = |file: &Path| {
        let file = file.display();
        format!(
            "secrets: {{a: {{file: {file}, refresh: 50ms}}}}\nheaders: {{set: {{X-A: '${{secret:a}}'}}}}\n"
        )
    };
    let mock = App::Mock.start().await?;
    let builder = Seaworthy::build().config(&yaml(&file));
    let seaworthy = builder.connect(mock.address).ready().await?;
    std::fs::remove_file(&file)?;
    seaworthy.wait_event("secret.stale").await?;
    let stale = async || {
        let metrics = admin(&seaworthy, "/metrics").await.ok()?;
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        let mut lines = text.lines().map(str::to_owned);
        lines.find(|line| line.starts_with("seaworthy_secret_stale{"))
    };
    let is = async |wanted: &str| {
        let line = format!("seaworthy_secret_stale{{secret=\"a\"}} {wanted}");
        wait::until(&line, PATIENCE, || async {
            (stale().await? == line).then_some(())
        })
        .await
    };
    is("1").await?;
    write(&other, CANARY)?;
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o644))?;
    crate::reload::write(&seaworthy, &yaml(&other))?;
    let (status, report) = crate::reload::reload(&seaworthy).await?;
    assert_eq!(status, 200, "{report}");
    let odd = seaworthy.wait_event("config.warning").await?;
    assert!(odd.to_string().contains("has the mode 0644"), "{odd}");
    is("0").await?;
    // A file that others may read from now on is told of as well, and one that is not asked for any more is not shown.
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o666))?;
    let warned = seaworthy.wait_events("config.warning", 2, PATIENCE).await?;
    assert!(warned[1].to_string().contains("0666"), "{warned:?}");
    std::fs::remove_file(&other)?;
    is("1").await?;
    crate::reload::write(&seaworthy, "{}\n")?;
    assert_eq!(crate::reload::reload(&seaworthy).await?.0, 200);
    assert_eq!(stale().await, None);
    Ok(())
}

#[tokio::test]
async fn variables_files_of_variables_and_commands_give_secrets() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("key");
    write(&file, &format!("{CANARY}-file\n"))?;
    for (builder, source, value) in [
        (
            Seaworthy::build().env("OPENAI", format!("{CANARY}-env")),
            "{env: OPENAI}".to_owned(),
            "env",
        ),
        (
            Seaworthy::build().env("OPENAI_FILE", file.display()),
            "{env: OPENAI}".to_owned(),
            "file",
        ),
        (
            Seaworthy::build(),
            format!("{{exec: [cat, {}]}}", file.display()),
            "file",
        ),
    ] {
        let calls = Calls::start(builder, &source).await?;
        assert_eq!(calls.seen().await?, format!("Bearer {CANARY}-{value}"));
        assert!(!calls.shown().await?.contains(CANARY));
    }
    Ok(())
}

#[tokio::test]
async fn a_command_is_asked_again_beside_the_reaper() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("key");
    write(&file, "one")?;
    let source = format!("{{exec: [cat, {}], refresh: 50ms}}", file.display());
    let calls = Calls::start(Seaworthy::build(), &source).await?;
    calls.comes("one").await?;
    write(&file, "two")?;
    calls.comes("two").await?;
    Ok(())
}

#[tokio::test]
async fn the_app_gets_secrets_in_its_variables_and_answers_bear_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("db");
    write(&file, CANARY)?;
    let yaml = format!(
        "secrets: {{db: {{file: {}}}}}\napp: {{env: {{DATABASE_URL: 'postgres://u:${{secret:db}}@h/d', PLAIN: '$${{x}}'}}}}\nheaders: {{set: {{X-Key: 'k ${{secret:db}}'}}}}\nhealth: {{auto: false}}\n",
        file.display()
    );
    let script = "import os,http.server as h\nclass A(h.BaseHTTPRequestHandler):\n def do_GET(s):\n  b=(os.environ['DATABASE_URL']+' '+os.environ['PLAIN']).encode();s.send_response(200);s.send_header('Content-Length',str(len(b)));s.end_headers();s.wfile.write(b)\nh.HTTPServer(('127.0.0.1',int(os.environ['PORT'])),A).serve_forever()";
    let seaworthy = Seaworthy::run(["python3", "-c", script])
        .config(&yaml)
        .ready()
        .await?;
    let answer = client::get(seaworthy.public(), "/").await?;
    assert_eq!(
        answer.body,
        format!("postgres://u:{CANARY}@h/d ${{x}}").as_bytes()
    );
    assert_eq!(answer.header("x-key"), Some(format!("k {CANARY}").as_str()));
    let output = seaworthy.output();
    assert!(!(output.stdout() + &output.stderr()).contains(CANARY));
    Ok(())
}

#[tokio::test]
async fn a_setting_that_has_a_secret_is_taken_in_anew_when_it_changes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (key, other) = (folder.path().join("key"), folder.path().join("other"));
    write(&key, "a-key-of-thirty-two-bytes-or-more-1")?;
    write(&other, CANARY)?;
    let yaml = format!(
        "secrets:\n  key: {{file: {}, refresh: 50ms}}\n  other: {{file: {}, refresh: 50ms}}\nauth: {{jwt: {{secret: '${{secret:key}}', algorithms: [HS256]}}}}\nheaders: {{set: {{X-Other: '${{secret:other}}'}}}}\n",
        key.display(),
        other.display()
    );
    let mock = App::Mock.start().await?;
    let seaworthy = Seaworthy::build()
        .config(&yaml)
        .connect(mock.address)
        .ready()
        .await?;
    write(&key, &format!("a-key-of-thirty-two-bytes-{CANARY}"))?;
    let told = seaworthy.wait_event("config.reloaded").await?;
    assert_eq!(
        (&told["source"], &told["changes"]),
        (&"secret".into(), &1.into()),
        "{told}"
    );
    // A field has it by itself.
    write(&other, &format!("{CANARY}-2"))?;
    let public = seaworthy.public();
    wait::until("the new field", PATIENCE, || async move {
        let answer = client::get(public, "/").await.ok()?;
        (answer.header("x-other") == Some(&format!("{CANARY}-2"))).then_some(())
    })
    .await?;
    assert_eq!(seaworthy.output().events("config.reloaded").len(), 1);
    // A secret that comes with a new configuration and cannot be had refuses all of it.
    let file = seaworthy.home().join("seaworthy.yaml");
    std::fs::write(
        &file,
        yaml.replace(&format!("file: {}", other.display()), "file: /no/such/file"),
    )?;
    seaworthy.signal(seaworthy_testkit::process::Signal::HUP)?;
    let refused = seaworthy.wait_event("config.rejected").await?;
    assert!(
        refused
            .to_string()
            .contains("/no/such/file: there is no such file"),
        "{refused}"
    );
    let output = seaworthy.output().stdout() + &seaworthy.output().stderr();
    assert!(!output.contains(CANARY), "{output}");
    let mut state = Vec::new();
    for entry in std::fs::read_dir(seaworthy.state_dir())? {
        let path = entry?.path();
        if path.is_file() {
            state.extend(std::fs::read(path)?);
        }
    }
    let kept = String::from_utf8_lossy(&state);
    assert!(
        !kept.contains(CANARY) && !kept.contains("a-key-of-thirty"),
        "what is kept has no secret in it"
    );
    Ok(())
}

pub(crate) async fn refused(yaml: &str) -> Result<Ended> {
    let ended = Seaworthy::run(["true"]).config(yaml).end(PATIENCE).await?;
    assert_eq!(
        (ended.code(), ended.stdout.as_str()),
        (2, ""),
        "{}",
        ended.stderr
    );
    Ok(ended)
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_at_start_refuses_it_where_it_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status()?;
    assert!(made.success());
    let folder = folder.path().display();
    for (source, what) in [
        (format!("{{file: {folder}/none}}"), "there is no such file"),
        (format!("{{file: {folder}/pipe}}"), "this is a pipe"),
        (format!("{{file: {folder}}}"), "this is a folder"),
        ("{file: /dev/zero}".to_owned(), "a device"),
        (
            "{env: NO_SUCH_VARIABLE}".to_owned(),
            "`NO_SUCH_VARIABLE` is not set",
        ),
        (
            format!("{{exec: [sh, -c, 'echo {CANARY}; echo {CANARY} >&2; exit 7']}}"),
            "exit code 7",
        ),
        (
            "{exec: [sleep, '600'], timeout: 200ms}".to_owned(),
            "no answer within 200ms",
        ),
        (
            "{exec: [cat, /dev/zero]}".to_owned(),
            "prints more than 64 KiB",
        ),
        ("{exec: [printf, 'a\\nb']}".to_owned(), "no field can have"),
    ] {
        let yaml = format!(
            "secrets:\n  openai: {source}\nheaders:\n  set:\n    X-Key: k ${{secret:openai}}\n"
        );
        let told = refused(&yaml).await?.stderr;
        for part in [
            what,
            "seaworthy.yaml:5:14",
            "X-Key: k ${secret:openai}",
            "^^^^",
        ] {
            assert!(told.contains(part), "{part} is missing in\n{told}");
        }
        // The command itself is the author's, and stands in the file; what it said does not.
        assert!(!told.contains(CANARY), "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_references_and_definitions_is_told_at_once_with_its_place() -> Result<()>
{
    let yaml = "\
secrets:
  key: {file: /run/a, env: A}
  b: {}
  c: {file: ../../etc/shadow}
headers: {set: {X-A: '${secret:kay}', X-B: 'x ${secret:', X-C: '${HOME}'}}
limits: {idle: '${secret:key}'}
threads: ${env:SEAWORTHY_TEST_NONE}
shutdown: {hooks: [{name: x, exec: [sh, '${secret:key}', '${PORT}']}]}
";
    let told = refused(yaml).await?.stderr;
    for part in [
        "seaworthy.yaml:2:3",
        "more than one place",
        "nothing says where it comes from",
        "`..` may lead anywhere",
        "seaworthy.yaml:5:23",
        "did you mean `key`?",
        "has no end",
        "does not say what `HOME` is",
        "seaworthy.yaml:6:17",
        "cannot hold a secret",
        "`SEAWORTHY_TEST_NONE` is not set",
        "seen by everybody",
    ] {
        assert!(told.contains(part), "{part} is missing in\n{told}");
    }
    Ok(())
}

#[tokio::test]
async fn config_show_and_validate_ask_nobody_and_print_the_reference() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("seaworthy.yaml");
    let yaml = "\
secrets: {openai: {exec: [touch, asked]}, redis: {file: /no/such/file}}
headers: {set: {Authorization: 'Bearer ${secret:openai}'}}
redis: {url: '${secret:redis}', password: 'x${secret:redis}'}
health: {checks: [{kind: redis, name: cache}, {kind: postgres, name: db, url: 'postgres://${secret:redis}/d'}]}
service: {name: 'shop-${env:HOME:-x}'}
";
    std::fs::write(&file, yaml)?;
    let file = file.to_string_lossy().into_owned();
    for words in [&["show"][..], &["show", "--json"], &["show", "--origin"]] {
        let mut all = vec!["-c", &file, "config"];
        all.extend(words);
        let shown = Seaworthy::verb(all).await?;
        assert_eq!(shown.code(), 0, "{}", shown.stderr);
        for part in [
            "Bearer ${secret:openai}",
            "${secret:redis}",
            "shop-${env:HOME:-x}",
        ] {
            assert!(
                shown.stdout.contains(part),
                "{part} is missing in\n{}",
                shown.stdout
            );
        }
        assert!(!shown.stdout.contains("unresolved://"), "{}", shown.stdout);
    }
    let told = Seaworthy::verb(["-c", &file, "config", "validate"]).await?;
    assert_eq!(told.code(), 0, "{}", told.stderr);
    assert!(!folder.path().join("asked").exists() && !Path::new("asked").exists());
    Ok(())
}

#[tokio::test]
async fn the_linter_names_file_line_and_key_of_what_is_written_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.yaml");
    std::fs::write(
        &file,
        "a: 1\nopenai_key: sk-abc...\ndb: {url: 'postgres://u:hunter2@h/d'}\n",
    )?;
    let file = file.to_string_lossy().into_owned();
    let told = Seaworthy::verb(["config", "lint-secrets", &file]).await?;
    assert_eq!(told.code(), 1, "{}", told.stderr);
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].contains("app.yaml:2:13: openai_key:")
            && lines[1].contains("app.yaml:3:11: db.url:"),
        "{lines:?}"
    );
    let json = Seaworthy::verb(["--json", "config", "lint-secrets", &file]).await?;
    let report: Value = serde_json::from_str(&json.stdout)?;
    assert_eq!(
        (
            json.code(),
            &report["ok"],
            &report["findings"][0]["line"],
            &report["findings"][0]["key"]
        ),
        (1, &false.into(), &2.into(), &"openai_key".into())
    );
    for told in [told, json] {
        let all = told.stdout + &told.stderr;
        assert!(!all.contains("hunter2") && !all.contains("sk-abc"), "{all}");
    }
    std::fs::write(
        &file,
        "openai_key: ${secret:openai}\ndb: {url: 'postgres://u:${env:P}@h/d'}\n",
    )?;
    let told = Seaworthy::verb(["config", "lint-secrets", &file]).await?;
    assert_eq!(told.code(), 0, "{}{}", told.stdout, told.stderr);
    Ok(())
}

#[tokio::test]
async fn validate_warns_of_secrets_and_the_linter_of_modes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("openai");
    std::fs::write(&secret, "x")?;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644))?;
    let file = folder.path().join("seaworthy.yaml");
    let yaml = format!(
        "secrets: {{openai: {{file: {}}}}}\nredis: {{password: hunter2}}\nheaders: {{set: {{A: '${{secret:openai}}'}}}}\n",
        secret.display()
    );
    std::fs::write(&file, &yaml)?;
    std::fs::write(
        folder.path().join("seaworthy.prod.yaml"),
        "redis: {password: hunter3}\n",
    )?;
    let path = file.to_string_lossy().into_owned();
    let told = Seaworthy::verb(["-c", &path, "config", "validate"]).await?;
    assert_eq!(told.code(), 0, "{}", told.stderr);
    assert!(
        told.stderr
            .contains("redis.password: a secret seems to be written here")
            && told.stderr.contains("seaworthy.yaml:2:"),
        "{}",
        told.stderr
    );
    assert!(!told.stderr.contains("hunter"), "{}", told.stderr);
    let told = Seaworthy::verb(["-c", &path, "config", "lint-secrets"]).await?;
    assert_eq!(told.code(), 1, "{}", told.stderr);
    assert!(
        told.stdout.contains("seaworthy.yaml:2:") && told.stdout.contains("seaworthy.prod.yaml:1:"),
        "{}",
        told.stdout
    );
    assert!(told.stderr.contains("has the mode 0644"), "{}", told.stderr);
    // A running one says so as well.
    let mock = App::Mock.start().await?;
    let running = Seaworthy::build()
        .config(&yaml)
        .connect(mock.address)
        .ready()
        .await?;
    let warned = running.wait_event("config.warning").await?;
    let output = running.output().stderr() + &running.output().stdout();
    assert!(
        output.contains("has the mode 0644") && !output.contains("hunter"),
        "{warned} {output}"
    );
    Ok(())
}

#[tokio::test]
async fn every_preset_is_clean_of_secrets() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut words = vec!["config".to_owned(), "lint-secrets".to_owned()];
    for entry in std::fs::read_dir(root.join("presets"))? {
        words.push(entry?.path().to_string_lossy().into_owned());
    }
    let told = Seaworthy::verb(&words).await?;
    assert_eq!(told.code(), 0, "{}{}", told.stdout, told.stderr);
    Ok(())
}
