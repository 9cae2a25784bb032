//! Commands in, commands out.

use super::*;

struct Case {
    argv: &'static str,
    env: &'static [(&'static str, &'static str)],
    becomes: &'static str,
    set: &'static [(&'static str, &'static str)],
    public: Option<&'static str>,
    first_change: &'static str,
}

const CASE: Case = Case {
    argv: "",
    env: &[],
    becomes: "",
    set: &[],
    public: None,
    first_change: "",
};
const TRUST_ALL: &[(&str, &str)] = &[("FORWARDED_ALLOW_IPS", "*")];
const TRUST_LOOPBACK: &[(&str, &str)] = &[("FORWARDED_ALLOW_IPS", "127.0.0.1")];

fn words(text: &str) -> Vec<String> {
    words::split(text).unwrap()
}

fn map(env: &[(&str, &str)]) -> BTreeMap<String, String> {
    env.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn recognise(
    argv: &str,
    env: &[(&str, &str)],
    connect: Option<&Address>,
    version: (u32, u32),
) -> Result<Launcher, Refusal> {
    Launcher::recognise(Command {
        argv: &words(argv),
        env: &map(env),
        host: None,
        port_env: &["API_PORT".to_owned()],
        connect,
        trusted_proxies: &[],
        installed: &|_, _| Some(version),
    })
}

fn plan_in(launcher: &Launcher, sockets: Option<&str>) -> Plan {
    let endpoint = Endpoint {
        sockets: sockets.map(Path::new),
        name: "app-0-1",
        free_port: &mut || Ok(41000),
    };
    launcher.plan(endpoint).unwrap()
}

fn check(cases: &[Case]) {
    for case in cases {
        let launcher = recognise(case.argv, case.env, None, (2, 8)).unwrap();
        let plan = plan_in(&launcher, Some("/run/s"));
        assert_eq!(plan.argv.join(" "), case.becomes, "{}", case.argv);
        assert_eq!(
            map_of(&plan.env),
            map(case.set),
            "environment of {}",
            case.argv
        );
        assert_eq!(
            plan.public,
            case.public.map(|public| public.parse().unwrap()),
            "public address of {}",
            case.argv
        );
        let said = plan.changes.first().map_or("", Change::as_str);
        assert_eq!(said, case.first_change, "{}", case.argv);
    }
}

fn map_of(env: &[(String, String)]) -> BTreeMap<String, String> {
    env.iter().cloned().collect()
}

#[test]
fn uvicorn_goes_to_a_unix_socket() {
    check(&[
        Case {
            argv: "uvicorn app:app --port 8000",
            becomes: "uvicorn app:app --uds /run/s/app-0-1.sock",
            set: TRUST_ALL,
            public: Some("0.0.0.0:8000"),
            first_change: "uvicorn: --port 8000 -> --uds /run/s/app-0-1.sock (Seaworthy owns :8000)",
            ..CASE
        },
        Case {
            argv: "python3.11 -m uvicorn --host=127.0.0.1 --port=80 app:app --reload",
            becomes: "python3.11 -m uvicorn --uds /run/s/app-0-1.sock app:app --reload",
            set: TRUST_ALL,
            public: Some("127.0.0.1:80"),
            first_change: "uvicorn: --host=127.0.0.1 --port=80 -> --uds /run/s/app-0-1.sock (Seaworthy owns 127.0.0.1:80)",
            ..CASE
        },
        Case {
            argv: "poetry run /srv/bin/uvicorn app:app",
            env: &[("UVICORN_PORT", "9000"), ("WEB_CONCURRENCY", "4")],
            becomes: "poetry run /srv/bin/uvicorn app:app --uds /run/s/app-0-1.sock",
            set: TRUST_ALL,
            public: Some("0.0.0.0:9000"),
            first_change: "uvicorn: UVICORN_PORT=9000 -> --uds /run/s/app-0-1.sock (Seaworthy owns :9000)",
        },
        Case {
            argv: "uvicorn app:app --host 0.0.0.0",
            env: &[("API_PORT", "8080"), ("UVICORN_FD", "3")],
            becomes: "uvicorn app:app --uds /run/s/app-0-1.sock",
            set: &[("FORWARDED_ALLOW_IPS", "*"), ("UVICORN_FD", "")],
            public: Some("0.0.0.0:8080"),
            first_change: "uvicorn: --host 0.0.0.0 UVICORN_FD=3 -> --uds /run/s/app-0-1.sock (Seaworthy owns :8080)",
        },
    ]);
}

#[test]
fn gunicorn_leaves_every_bind_for_one_socket() {
    check(&[
        Case {
            argv: "gunicorn -w 4 -b 0.0.0.0:80 --bind=[::]:81 app:app",
            becomes: "gunicorn -w 4 --bind unix:/run/s/app-0-1.sock app:app --forwarded-allow-ips=*",
            public: Some("0.0.0.0:80"),
            first_change: "gunicorn: -b 0.0.0.0:80 --bind=[::]:81 -> --bind unix:/run/s/app-0-1.sock (Seaworthy owns :80)",
            ..CASE
        },
        Case {
            argv: "env A=1 gunicorn app:app",
            env: &[(
                "GUNICORN_CMD_ARGS",
                "--bind '127.0.0.1:7000' --keep-alive 9",
            )],
            becomes: "env A=1 gunicorn app:app --bind unix:/run/s/app-0-1.sock --forwarded-allow-ips=*",
            public: Some("127.0.0.1:7000"),
            first_change: "gunicorn: --bind 127.0.0.1:7000 -> --bind unix:/run/s/app-0-1.sock (Seaworthy owns 127.0.0.1:7000)",
            ..CASE
        },
    ]);
}

#[test]
fn hypercorn_and_granian_go_to_a_unix_socket() {
    check(&[
        Case {
            argv: "uv run hypercorn app:app -b 0.0.0.0:80",
            becomes: "uv run hypercorn app:app --bind unix:/run/s/app-0-1.sock",
            public: Some("0.0.0.0:80"),
            first_change: "hypercorn: -b 0.0.0.0:80 -> --bind unix:/run/s/app-0-1.sock (Seaworthy owns :80)",
            ..CASE
        },
        Case {
            argv: "granian --interface asgi app:app --port 80",
            becomes: "granian --interface asgi app:app --uds /run/s/app-0-1.sock",
            public: Some("0.0.0.0:80"),
            first_change: "granian: --port 80 -> --uds /run/s/app-0-1.sock (Seaworthy owns :80)",
            ..CASE
        },
    ]);
}

#[test]
fn servers_without_unix_sockets_go_to_a_loopback_port() {
    check(&[
        Case {
            argv: "fastapi run main.py --port 80",
            becomes: "fastapi run main.py --host 127.0.0.1 --port 41000",
            set: TRUST_LOOPBACK,
            public: Some("0.0.0.0:80"),
            first_change: "fastapi: --port 80 -> --host 127.0.0.1 --port 41000 (Seaworthy owns :80)",
            ..CASE
        },
        Case {
            argv: "flask --app x run -h 0.0.0.0",
            becomes: "flask --app x run --host 127.0.0.1 --port 41000",
            public: Some("0.0.0.0:5000"),
            first_change: "flask: -h 0.0.0.0 -> --host 127.0.0.1 --port 41000 (Seaworthy owns :5000)",
            ..CASE
        },
        Case {
            argv: "python3 -m http.server",
            becomes: "python3 -m http.server 41000 --bind 127.0.0.1",
            first_change: "http.server: 41000 --bind 127.0.0.1 added (Seaworthy owns the public port)",
            ..CASE
        },
        Case {
            argv: "python3 -m http.server -d www 9000 --bind=::",
            becomes: "python3 -m http.server -d www 41000 --bind 127.0.0.1",
            public: Some("[::]:9000"),
            first_change: "http.server: 9000 --bind=:: -> 41000 --bind 127.0.0.1 (Seaworthy owns :9000)",
            ..CASE
        },
    ]);
}

#[test]
fn everything_else_is_told_by_its_variables() {
    check(&[
        Case {
            argv: "node server.js",
            becomes: "node server.js",
            set: &[("PORT", "41000")],
            first_change: "node: PORT=41000 added for the app only (Seaworthy owns the public port)",
            ..CASE
        },
        Case {
            argv: "./app",
            env: &[("API_PORT", "8000"), ("PORT", "8000")],
            becomes: "./app",
            set: &[("PORT", "41000"), ("API_PORT", "41000")],
            public: Some("0.0.0.0:8000"),
            first_change: "app: PORT=8000 -> PORT=41000 for the app only (Seaworthy owns :8000)",
        },
        Case {
            argv: "env -i PORT=8080 node x.js",
            becomes: "env -i PORT=41000 node x.js",
            set: &[("PORT", "41000")],
            public: Some("0.0.0.0:8080"),
            first_change: "node: PORT=8080 -> PORT=41000 for the app only (Seaworthy owns :8080)",
            ..CASE
        },
        Case {
            argv: "env -u PORT ./app",
            becomes: "env -u PORT PORT=41000 ./app",
            set: &[("PORT", "41000")],
            first_change: "app: PORT=41000 added for the app only (Seaworthy owns the public port)",
            ..CASE
        },
        Case {
            argv: "sh -c 'uvicorn app:app --port 80'",
            becomes: "sh -c uvicorn app:app --port 80",
            set: &[("PORT", "41000")],
            first_change: "app: the text given to the shell is not rewritten, only PORT is set; let it use $PORT, or give the command as a list of words",
            ..CASE
        },
    ]);
}

#[test]
fn granian_that_may_not_know_unix_sockets_stays_on_tcp() {
    let launcher = recognise("granian app:app", &[("GRANIAN_UDS", "/x")], None, (2, 4)).unwrap();
    let plan = plan_in(&launcher, Some("/run/s"));
    assert_eq!(
        plan.argv.join(" "),
        "granian app:app --host 127.0.0.1 --port 41000"
    );
    assert_eq!(map_of(&plan.env), map(&[("GRANIAN_UDS", "")]));
}

#[test]
fn a_socket_path_that_is_too_long_falls_back_to_tcp_and_says_so() {
    let launcher = recognise("uvicorn app:app", &[], None, (0, 0)).unwrap();
    let plan = plan_in(&launcher, Some(&format!("/{}", "d".repeat(100))));
    assert_eq!(
        plan.address,
        Address::Tcp("127.0.0.1:41000".parse().unwrap())
    );
    assert!(
        plan.changes[0]
            .as_str()
            .contains("too long for a unix socket")
    );
}

#[test]
fn each_start_has_its_own_address() {
    let launcher = recognise("uvicorn app:app", &[], None, (0, 0)).unwrap();
    let mut ports = 41000..;
    let mut plan = |name| {
        let free_port = &mut || Ok(ports.next().unwrap());
        launcher
            .plan(Endpoint {
                sockets: None,
                name,
                free_port,
            })
            .unwrap()
            .address
    };
    assert_ne!(plan("a"), plan("b"));
}

#[test]
fn what_the_user_trusts_is_widened_aloud_and_a_refusal_to_trust_is_kept() {
    let argv = "uvicorn app:app --forwarded-allow-ips 10.0.0.1 --no-proxy-headers";
    let launcher = recognise(argv, &[], None, (0, 0)).unwrap();
    let unix = plan_in(&launcher, Some("/run/s"));
    assert!(
        unix.argv.contains(&"--forwarded-allow-ips=*".to_owned()),
        "{:?}",
        unix.argv
    );
    assert!(
        unix.changes[1]
            .as_str()
            .contains("--forwarded-allow-ips 10.0.0.1 -> --forwarded-allow-ips=*"),
        "{:?}",
        unix.changes
    );
    assert!(
        unix.changes[2].as_str().contains("--no-proxy-headers kept"),
        "{:?}",
        unix.changes
    );
    let tcp = plan_in(&launcher, None);
    assert!(
        tcp.argv
            .contains(&"--forwarded-allow-ips=10.0.0.1,127.0.0.1".to_owned()),
        "{:?}",
        tcp.argv
    );
}

#[test]
fn gunicorn_trust_in_its_variable_is_widened_too() {
    let env = [("GUNICORN_CMD_ARGS", "--forwarded-allow-ips 10.0.0.1")];
    let plan = plan_in(
        &recognise("gunicorn app:app", &env, None, (0, 0)).unwrap(),
        None,
    );
    assert!(
        plan.argv
            .contains(&"--forwarded-allow-ips=10.0.0.1,127.0.0.1".to_owned()),
        "{:?}",
        plan.argv
    );
}

#[test]
fn proxies_in_front_are_trusted_on_tcp_so_that_the_client_is_found_behind_them() {
    let launcher = Launcher::recognise(Command {
        argv: &words("fastapi run"),
        env: &BTreeMap::new(),
        host: None,
        port_env: &[],
        connect: None,
        trusted_proxies: &["10.0.0.0/8".to_owned()],
        installed: &|_, _| None,
    });
    assert_eq!(
        plan_in(&launcher.unwrap(), None).env,
        [(
            "FORWARDED_ALLOW_IPS".to_owned(),
            "127.0.0.1,10.0.0.0/8".to_owned()
        )]
    );
}

#[test]
fn keep_alive_and_connection_limits_are_read() {
    let cases = [
        ("uvicorn app:app", 5_000, None),
        (
            "uvicorn app:app --timeout-keep-alive 30 --limit-concurrency 100",
            30_000,
            Some(99),
        ),
        ("gunicorn app:app", 2_000, None),
        ("gunicorn app:app --keep-alive=75", 75_000, None),
        ("hypercorn app:app --keep-alive 7", 7_000, None),
        ("granian app:app", 30_000, None),
        ("node x.js", 5_000, None),
    ];
    for (argv, millis, connections) in cases {
        let plan = plan_in(&recognise(argv, &[], None, (2, 8)).unwrap(), None);
        assert_eq!(
            (plan.keep_alive, plan.max_connections),
            (Duration::from_millis(millis), connections),
            "{argv}"
        );
    }
}

#[test]
fn with_connect_only_the_port_variables_change() {
    let address = Address::Tcp("127.0.0.1:9000".parse().unwrap());
    let argv = "uvicorn app:app --port 9000 --ssl-keyfile k";
    let launcher = recognise(argv, &[("API_PORT", "8000")], Some(&address), (0, 0)).unwrap();
    let plan = plan_in(&launcher, Some("/run/s"));
    assert_eq!(
        (plan.argv.join(" ").as_str(), &plan.address),
        (argv, &address)
    );
    assert_eq!(map_of(&plan.env), map(&[("API_PORT", "9000")]));
}

#[test]
fn what_cannot_work_is_refused_with_a_way_out() {
    let cases = [
        (
            "uvicorn app:app --port $PORT",
            "`--port $PORT` names no port; no shell replaces variables",
        ),
        (
            "flask run -p eighty",
            "`-p eighty` names no port; write a number",
        ),
        (
            "uvicorn app:app --ssl-keyfile=k.pem",
            "move certificate and key to listen.tls",
        ),
        ("gunicorn app:app -D", "sends the app to the background"),
        (
            "gunicorn app:app --certfile c.pem",
            "move certificate and key to listen.tls",
        ),
    ];
    for (argv, part) in cases {
        let refusal = recognise(&argv.replace('$', "\\$"), &[], None, (0, 0))
            .unwrap_err()
            .to_string();
        assert!(refusal.contains(part), "{argv}: {refusal}");
    }
    assert_eq!(
        recognise("", &[], None, (0, 0)).unwrap_err(),
        Refusal::Empty
    );
}
