//! What may stand in a head, which fields go through, and which are ours alone (G04, G05).

use seaworthy_testkit::origin::{Script, ok};

use crate::front::{Front, run};

fn get(fields: &[u8]) -> Vec<u8> {
    [b"GET /x HTTP/1.1\r\n", fields, b"\r\n\r\n"].concat()
}

#[test]
fn g04_malformed_fields_of_a_request_are_refused() {
    run(async {
        let front = Front::greeting().await;
        for fields in [
            &b"Host: x\r\nA: b\r\n c"[..],
            b"Host: x\r\nA: b\r\n\tc",
            b"Host: x\r\nA:\r\n b",
            b"Host : x",
            b"Host: x\r\nA : b",
            b"Host: x\r\nA\t: b",
            b"Host: x\r\nA: b\rc",
            b"Host: x\r\nA: b\r",
            b"Host: x\r\nA: \rb",
            b"Host: x\r\nA\r: b",
            b"Host: x\r\nA: b\nC: d",
            b"Host: x\nA: b",
            b"Host: x\r\nA: b\0c",
            b"Host: x\r\nA\0: b",
            b"Host: x\r\n\0",
            b" Host: x",
            b"\tHost: x",
            b" A: b\r\nHost: x",
            b"Host: x\r\nA b: c",
            b"Host: x\r\nA(: c",
            b"Host: x\r\nA,: c",
            b"Host: x\r\nA/: c",
            b"Host: x\r\nA;: c",
            b"Host: x\r\nA=: c",
            b"Host: x\r\nA@: c",
            b"Host: x\r\nA\": c",
            b"Host: x\r\nA[: c",
            b"Host: x\r\nA{: c",
            b"Host: x\r\n: c",
            b"Host: x\r\nA",
            b"Host: x\r\nA\x80: b",
            b"Host: x\r\n\xc3\xa9: b",
            b"Host: x\r\n\xff: b",
            b"Host: x\r\nA: b\x01",
            b"Host: x\r\nA: b\x7f",
            b"Host: x\r\nA: b\x0b",
            b"Host: x\r\nA: b\x0c",
            b"Host: x\r\nHost: x",
            b"Host: x\r\nHost: y",
            b"Host: x, y",
            b"Host: u@x",
            b"Host: x/y",
            b"Host: x y",
            b"Host: x?y",
            b"Host: x\\y",
            b"A: b",
        ] {
            front.refuses(get(fields)).await;
        }
    });
}

#[test]
fn g04_malformed_request_lines_are_refused() {
    run(async {
        let front = Front::greeting().await;
        for line in [
            &b"GET  /x HTTP/1.1"[..],
            b"GET /x  HTTP/1.1",
            b"GET /x HTTP/1.1 ",
            b" GET /x HTTP/1.1",
            b"GET\t/x HTTP/1.1",
            b"GET /x\tHTTP/1.1",
            b"GET /x y HTTP/1.1",
            b"GET /x",
            b"GET",
            b"GET x HTTP/1.1",
            b"GET  HTTP/1.1",
            b"GET * HTTP/1.1",
            b"GET /\0 HTTP/1.1",
            b"GET /\x01 HTTP/1.1",
            b"GET /\x7f HTTP/1.1",
            b"GET /x#y HTTP/1.1",
            b"GET ftp://x/ HTTP/1.1",
            b"GET http:// HTTP/1.1",
            b"GET http://u@x/ HTTP/1.1",
            b"GET http:///x HTTP/1.1",
            b"G(T /x HTTP/1.1",
            b"G\xc9T /x HTTP/1.1",
            b"G\0T /x HTTP/1.1",
            b"GET /x http/1.1",
            b"GET /x HTTP/11",
            b"GET /x HTTP/1.10",
            b"GET /x HTTP/1,1",
            b"GET /x ICY",
            b"GET /x HTTP/1.1\n",
            b"GET /x HTTP/1.1\r",
            b"GET /x HTTP/1.1\r\n ",
        ] {
            front.refuses([line, b"\r\nHost: x\r\n\r\n"].concat()).await;
        }
        for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.0"] {
            let request = format!("GET /x {version}\r\nHost: x\r\n\r\n");
            let refusal = front.refusal(&[request.as_bytes()]).await;
            assert!(matches!(refusal.status, 505), "{version}: {refusal:?}");
        }
        assert_eq!(front.origin.connections(), 0);
    });
}

#[test]
fn g04_a_head_that_is_too_large_is_refused_before_its_end() {
    run(async {
        let front = Front::greeting().await;
        for (bytes, status) in [
            (format!("GET /{} HTTP/1.1\r\n", "a".repeat(20_000)), 414),
            (format!("GET /{}", "a".repeat(20_000)), 414),
            (
                format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(70_000)),
                431,
            ),
            (
                format!("GET / HTTP/1.1\r\nHost: x\r\n{}", "A: b\r\n".repeat(101)),
                431,
            ),
        ] {
            let refusal = front.refusal(&[bytes.as_bytes()]).await;
            assert_eq!(refusal.status, status, "{}", &bytes[..40]);
        }
        assert_eq!(front.origin.connections(), 0);
    });
}

#[test]
fn g04_malformed_heads_of_an_answer_are_a_bad_gateway() {
    run(async {
        let heads = [
            &b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nA:\r\n\tb\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\0\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\nSet-Cookie: c\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n A: b\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA(: b\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA\xe9: b\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
            b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"<html>hello</html>\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ];
        for head in heads {
            let front = Front::of(Script::always(head)).await;
            let what = String::from_utf8_lossy(head);
            let mut client = front.open().await;
            let answer = client.ask("GET", "/", &[], b"").await.expect("an answer");
            assert_eq!(answer.status, 502, "{what:?}");
            assert!(answer.text().contains("BadUpstreamResponse"), "{what:?}");
            let again = client.ask("GET", "/", &[], b"").await.expect("kept open");
            assert_eq!(again.status, 502, "{what:?}");
            assert_eq!(front.origin.connections(), 2, "{what:?}: never used again");
        }
    });
}

#[test]
fn g04_an_answer_with_an_endless_head_is_a_bad_gateway() {
    run(async {
        for fields in [
            "A: b\r\n".repeat(200),
            format!("A: {}", "b".repeat(200_000)),
            "b".repeat(200_000),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{fields}");
            let front = Front::of(Script::always(head)).await;
            assert_eq!(front.answer("GET", get(b"Host: x")).await.status, 502);
        }
    });
}

#[test]
fn g04_malformed_chunks_of_an_answer_are_visibly_cut() {
    run(async {
        for body in [
            "0x5\r\nhello\r\n0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\r\n0\r\nA : b\r\n\r\n",
            "5\r\nhello\r\n0\r\n\n",
        ] {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let front = Front::of(Script::always(format!("{head}{body}"))).await;
            let mut client = front.open().await;
            let error = client.ask("GET", "/", &[], b"").await.expect_err(body);
            assert!(
                format!("{error:#}").contains("Reset"),
                "{body:?}: {error:#}"
            );
        }
    });
}

#[test]
fn g05_fields_that_connection_names_end_here_and_ours_are_set_again() {
    run(async {
        let front = Front::greeting().await;
        let request = "GET /p?q=1 HTTP/1.1\r\nHost: example.org\r\n\
            Connection: close, X-Forwarded-For, Authorization, X-Request-Id, Via, Host, traceparent\r\n\
            X-Forwarded-For: 6.6.6.6\r\nAuthorization: Bearer t\r\nX-Request-Id: mine\r\n\
            traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nAccept: */*\r\n\r\n";
        let answer = front.answer("GET", request).await;
        assert_eq!(answer.status, 200);
        let seen = front.origin.requests().remove(0);
        let mut lines: Vec<&str> = seen.trim_end().split("\r\n").collect();
        assert_eq!(lines.remove(0), "GET /p?q=1 HTTP/1.1");
        let value = |name: &str| {
            let mut found = lines
                .iter()
                .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let value = found
                .next()
                .unwrap_or_else(|| panic!("no {name} in {seen:?}"));
            assert_eq!(found.next(), None, "{name} twice");
            value
        };
        assert_eq!(value("host"), "example.org");
        assert_eq!(value("accept"), "*/*");
        assert_eq!(value("x-forwarded-for"), "127.0.0.1");
        assert_eq!(value("x-forwarded-proto"), "http");
        assert_eq!(value("x-forwarded-host"), "example.org");
        assert_eq!(value("via"), "1.1 seaworthy");
        assert_eq!(
            Some(value("x-request-id")),
            answer.head.header("x-request-id")
        );
        assert_ne!(value("x-request-id"), "mine");
        assert!(!value("traceparent").contains("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(lines.len(), 8, "{lines:?}");
    });
}

#[test]
fn g05_what_only_a_proxy_may_say_is_never_taken_from_a_client() {
    run(async {
        let front = Front::greeting().await;
        let mut request = "GET / HTTP/1.1\r\nHost: x\r\nVia: 1.0 far, 1.1 near\r\n".to_owned();
        for name in [
            "X-Forwarded-For",
            "x_forwarded_for",
            "X-Forwarded_For",
            "X-Forwarded-Host",
            "X_Forwarded_Host",
            "X-Forwarded-Proto",
            "X-Forwarded-Port",
            "X-Forwarded-Prefix",
            "X-Real-IP",
            "X_Real_IP",
            "Forwarded",
            "X_Request_Id",
            "Content_Length",
            "Transfer_Encoding",
            "Proxy",
        ] {
            request.push_str(&format!("{name}: evil\r\n"));
        }
        for name in ["Keep-Alive", "Proxy-Connection", "TE", "Upgrade"] {
            request.push_str(&format!("{name}: evil\r\n"));
        }
        assert_eq!(front.answer("GET", request + "\r\n").await.status, 200);
        let seen = front.origin.requests().remove(0);
        assert!(!seen.contains("evil"), "{seen:?}");
        assert!(
            seen.contains("\r\nvia: 1.0 far, 1.1 near, 1.1 seaworthy\r\n"),
            "{seen:?}"
        );
    });
}

#[test]
fn g05_fields_of_the_apps_connection_end_here_too() {
    run(async {
        let front = Front::of(Script::always(
            "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n\
             Proxy-Connection: x\r\nUpgrade: h2c\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n",
        ))
        .await;
        let answer = front.answer("GET", get(b"Host: x")).await;
        for hop in [
            "connection",
            "keep-alive",
            "x-hop",
            "proxy-connection",
            "upgrade",
        ] {
            assert_eq!(answer.head.header(hop), None, "{hop}");
        }
        assert_eq!(answer.head.header("x-end"), Some("2"));
    });
}

#[test]
fn targets_reach_the_app_as_the_client_wrote_them() {
    run(async {
        let front = Front::of(Script::always(ok(""))).await;
        for (nth, (target, seen)) in [
            ("/", "/"),
            ("//admin", "//admin"),
            ("/./a/../b", "/./a/../b"),
            ("/%2e%2E/%61?x=%00&y=/../", "/%2e%2E/%61?x=%00&y=/../"),
            ("/?", "/?"),
            ("/a;b=c:d@e", "/a;b=c:d@e"),
            ("http://other", "/"),
            ("http://other/a?b", "/a?b"),
            ("http://other?b", "/?b"),
        ]
        .into_iter()
        .enumerate()
        {
            let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(front.answer("GET", request).await.status, 200, "{target}");
            let request = front.origin.requests().remove(nth);
            let host = if target.starts_with("http") {
                "other"
            } else {
                "x"
            };
            assert!(
                request.starts_with(&format!("GET {seen} HTTP/1.1\r\n")),
                "{target}: {request:?}"
            );
            assert!(
                request.contains(&format!("\r\nhost: {host}\r\n")),
                "{target}: {request:?}"
            );
        }
        let request = "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(front.answer("OPTIONS", request).await.status, 200);
        assert!(front.origin.text().contains("OPTIONS * HTTP/1.1\r\n"));
    });
}
