//! Contradictions are refused, and only they.

use super::yaml;

/// The problems of a text as `path: message`, errors and warnings alike.
fn problems(text: &str) -> Vec<String> {
    let problems = yaml(text).map_or_else(|problems| problems, |loaded| loaded.warnings);
    problems
        .items()
        .iter()
        .map(|problem| format!("{}: {}", problem.path, problem.message))
        .collect()
}

/// A text and how its only problem begins.
const REFUSED: &[(&str, &str)] = &[
    (
        "shutdown: {drain: 40s}",
        "shutdown.drain: the phases of the shutdown do not fit: ",
    ),
    (
        "shutdown: {grace: 10s, app: 8s, drain: 3s}",
        "shutdown.app: the phases of the shutdown do not fit: ",
    ),
    (
        "shutdown: {drain: 25s}",
        "shutdown.drain: in Kubernetes the phases of the shutdown do not fit: ",
    ),
    (
        "listen: {admin: '0.0.0.0:9900'}",
        "listen.admin: the admin listener may not be reached from outside",
    ),
    (
        "listen: {public: 9900}",
        "listen.admin: the public listener takes port 9900 already",
    ),
    (
        "listen: {admin: 'unix:admin.sock'}",
        "listen.admin: `unix:admin.sock` is no place for the admin listener",
    ),
    (
        "listen: {tls: {cert: /c.pem}}",
        "listen.tls.key: the key `key` is missing here",
    ),
    (
        "listen: {trusted_proxies: [lopback]}",
        "listen.trusted_proxies[0]: `lopback` is not a network",
    ),
    ("app: {command: []}", "app.command: the command is empty"),
    ("app: {command: ' '}", "app.command: the command is empty"),
    (
        "app: {connect: '127.0.0.1:1', instances: 2}",
        "app.instances: 2 copies cannot all listen",
    ),
    (
        "app: {instances: 0}",
        "app.instances: 0 is too small: at least 1",
    ),
    (
        "app: {env: {PORT: 1}}",
        "app.env.PORT: Seaworthy sets this variable",
    ),
    (
        "app: {port_env: ['A=B']}",
        "app.port_env[0]: `A=B` cannot be the name of a variable",
    ),
    (
        "app: {restart: {base: 1m}}",
        "app.restart.base: the first wait of 1m is longer than the longest of 30s",
    ),
    (
        "app: {restart: {policy: allways}}",
        "app.restart.policy: unknown word `allways`",
    ),
    (
        "app: {startup: {timeout: 0s}}",
        "app.startup.timeout: no time at all",
    ),
    (
        "app: {stop_signal: SIGTERM}",
        "app.stop_signal: unknown word `SIGTERM`",
    ),
    (
        "app: {connect: '0.0.0.0:8000'}\nlisten: {public: 8000}",
        "app.connect: 0.0.0.0:8000 is where Seaworthy itself listens",
    ),
    ("shutdown: {grace: 0s}", "shutdown.grace: no time at all"),
    (
        "shutdown: {termination_log: log.json}",
        "shutdown.termination_log: `log.json` is no place for the reason of the end",
    ),
    (
        "shutdown: {propagation: 1s, ramp: 2s}",
        "shutdown.ramp: a ramp of 2s does not fit into a propagation of 1s",
    ),
    (
        "shutdown: {hooks: [{name: a}]}",
        "shutdown.hooks[0]: the hook `a` does nothing",
    ),
    (
        "shutdown: {hooks: [{name: a, exec: [b], remove_tree: /a/b}]}",
        "shutdown.hooks[0]: the hook `a` does several things",
    ),
    (
        "shutdown: {hooks: [{name: a, exec: []}]}",
        "shutdown.hooks[0].exec: the command is empty",
    ),
    (
        "shutdown: {hooks: [{name: a, exec: [b]}, {name: a, exec: [b]}]}",
        "shutdown.hooks[1].name: another hook is called `a` too",
    ),
    (
        "shutdown: {hooks: [{name: a, http: {url: 'https://x'}}]}",
        "shutdown.hooks[0].http.url: `https://x` is no address to call",
    ),
    (
        "shutdown: {hooks: [{name: a, remove_tree: /}]}",
        "shutdown.hooks[0].remove_tree: `/` will not be removed",
    ),
    (
        "shutdown: {hooks: [{name: a, remove_tree: tmp/x}]}",
        "shutdown.hooks[0].remove_tree: `tmp/x` will not be removed",
    ),
    (
        "shutdown: {hooks: [{name: a, remove_tree: /tmp/../etc}]}",
        "shutdown.hooks[0].remove_tree: `/tmp/../etc` will not be removed",
    ),
    (
        "endpoints: [{path: live, view: live}]",
        "endpoints[0].path: `live` is not a path",
    ),
    (
        "endpoints: [{path: /a, view: live}, {path: /a, view: ready}]",
        "endpoints[1].path: `/a` is mapped already",
    ),
    (
        "endpoints: [{path: /m, view: metrics}]\nmetrics: {enabled: false}",
        "endpoints[0].view: metrics are switched off",
    ),
    (
        "endpoints: [{path: /m, view: ready, method: POST}]",
        "endpoints[0].method: this view only reads",
    ),
    (
        "endpoints: [{path: /m, view: metrisc}]",
        "endpoints[0].view: unknown word `metrisc`",
    ),
    ("routes: [{match: users}]", "routes[0].match: route `users`"),
    (
        "routes: [{match: /a}, {match: /a}]",
        "routes[1].match: `/a` is listed twice",
    ),
    (
        "routes: [{match: /a, timeout: 1s, response_timeout: 2s}]",
        "routes[0].response_timeout: the app may take 2s",
    ),
    (
        "limits: {total: 10s}",
        "limits.total: a request may take 10s in all, but 1m to the first byte",
    ),
    ("limits: {idle: 0s}", "limits.idle: no time at all"),
    ("limits: {max_uri: 10}", "limits.max_uri: 10 is not between"),
    (
        "limits: {max_uri: 1MiB}",
        "limits.max_uri: a target of 1MiB does not fit into a head of 64KiB",
    ),
    (
        "limits: {attempt_timeout: 2m}",
        "limits.attempt_timeout: one try may take 2m, but the whole request only 1m",
    ),
    (
        "routes: [{match: /a, attempt_timeout: 2m}]",
        "routes[0].attempt_timeout: one try may take 2m, but the whole request only 1m",
    ),
    (
        "egress: [{name: a, listen: '127.0.0.1:9911', target: 'http://a', timeout: 1s, attempt_timeout: 2s}]",
        "egress[0].attempt_timeout: one try may take 2s, but the whole request only 1s",
    ),
    (
        "egress: [{name: a, listen: '127.0.0.1:9911', target: 'http://a', attempt_timeout: 0s}]",
        "egress[0].attempt_timeout: no time at all",
    ),
    (
        "egress: [{name: a, listen: '127.0.0.1:9900', target: 'http://a'}]",
        "egress[0].listen: 127.0.0.1:9900 is taken already",
    ),
    (
        "breakers: {a: {egress: [b]}}",
        "breakers.a.egress: `egress` has nothing called `b`",
    ),
    (
        "breakers: {a: {egress: [x]}, b: {egress: [x]}}\negress: [{name: x, listen: '127.0.0.1:9911', target: 'http://a'}]",
        "breakers.b.egress: `x` belongs to `a` already",
    ),
    (
        "breakers: {a: {recovery: 1s, cooldown: 2s}}",
        "breakers.a.cooldown: this is `recovery` once more",
    ),
    (
        "breakers: {a: {cooldown: 0s}}",
        "breakers.a.recovery: no time at all",
    ),
    (
        "retry: {methods: [get]}",
        "retry.methods[0]: `get` is no method",
    ),
    (
        "fallbacks: {a: {default: B, routes: [/a], methods: [get]}}",
        "fallbacks.a.methods[0]: `get` is no method",
    ),
    (
        "fallbacks: {a: {default: B, routes: [/a], headers: {Content-Length: 1}}}",
        "fallbacks.a.headers.Content-Length: `content-length` says how the message is sent",
    ),
    (
        "auth: {jwt: {algorithms: [RS256], audience: [a], jwks: 'ftp://a/b'}}",
        "auth.jwt.jwks: `ftp` is not spoken here",
    ),
    (
        "auth: {jwt: {algorithms: [RS256], audience: [a], jwks: 'http://issuer.example/keys'}}",
        "auth.jwt.jwks: whoever sits between can put keys of his own in",
    ),
    (
        "features: {webhook: {url: 'ftp://a/b'}}",
        "features.webhook.url: `ftp` is not spoken here",
    ),
    (
        "documents: [{name: a, glob: 'a/*', render: out}, {name: b, glob: 'b/*', render: ./out/}]",
        "documents[1].render: another set is laid out there already",
    ),
    (
        "documents: [{name: a/b, glob: 'a/*'}]",
        "documents[0].name: `a/b` cannot be the name of a set",
    ),
    (
        "vault: {address: 'ftp://a', token: '${env:HOME}'}",
        "vault.address: `ftp` is not spoken here",
    ),
    ("threads: 0", "threads: 0 is too small"),
    ("log: {levle: info}", "log.levle: unknown key `levle`"),
    (
        "health: {checks: [{kind: tcp, name: a, addr: 'a:1', address: 'a:1'}]}",
        "health.checks[0].address: unknown key `address`",
    ),
    (
        "health: {checks: [{kind: tcp, name: a, addr: 'a:1', interval: 1ms}]}",
        "health.checks[0].interval: a check runs at most every 100ms",
    ),
];

#[test]
fn contradictions_are_refused() {
    for (text, expected) in REFUSED {
        let found = problems(text);
        assert!(
            found.iter().any(|problem| problem.starts_with(expected)),
            "{text}: {found:#?}"
        );
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
    }
}

#[test]
fn what_is_fine_is_not_complained_about() {
    for text in [
        "limits: {total: 10s, response_timeout: none}",
        "limits: {response_timeout: 5s, total: 5s, max_body: none}",
        "routes: [{match: 'POST /v1/predict*', timeout: 15s}]",
        "app: {connect: 'unix:/run/app.sock', command: [a]}",
        "shutdown: {hooks: [{name: cleanup_temp_files, remove_tree: /tmp/scry_cache, ignore_errors: true}]}",
        "shutdown: {hooks: [{name: a, exec: [sh, -c, 'echo'], timeout: 2s}, {name: b, http: {url: 'http://127.0.0.1:1/x'}}]}",
        "endpoints: [{path: /a, view: live}, {path: /a, view: live, listen: admin}]",
        "health: {checks: [{kind: tcp, name: a, addr: 'a:1', required: false}]}",
        "breakers: {a: {cooldown: 5s}}",
        "auth: {jwt: {algorithms: [RS256], audience: [a], jwks: 'http://127.0.0.1:8080/keys'}}",
        "x-anything: {a: 1}\nlisten: {x-b: 2}",
    ] {
        assert_eq!(problems(text), Vec::<String>::new(), "{text}");
    }
}
