//! The mock over real sockets.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

struct Mock {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<anyhow::Result<()>>,
}

async fn start(profile: Option<Profile>) -> Mock {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options {
        listen: Address::Tcp(address),
        profile,
        quiet: true,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        serve_on(
            listener,
            &options,
            async move { stopped.await.unwrap_or(()) },
        )
        .await
    });
    Mock {
        address,
        stop,
        served,
    }
}

impl Mock {
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = self
            .send(&format!(
                "GET {path} HTTP/1.1\r\nHost: mock\r\nConnection: close\r\n\r\n"
            ))
            .await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[tokio::test]
async fn each_path_answers_as_its_name_says() {
    let mock = start(Some(Profile::Kronos)).await;
    let cases = [
        ("/", "200", "seaworthy mock"),
        ("/sleep/1", "200", "slept 1ms"),
        ("/status/418", "418", "I'm a teapot"),
        ("/status/204", "204", "HTTP/1.1 204 No Content"),
        ("/status/100", "400", "from 200 to 999"),
        ("/fail/1", "500", "failed as asked"),
        ("/fail/1", "200", "recovered"),
        ("/stream/2?ms=1", "200", "chunk 1"),
        ("/stream/2?sse&ms=1", "200", "text/event-stream"),
        ("/stream/2?sse&ms=1", "200", "data: event 1\n\n"),
        ("/bytes/100000", "200", "content-length: 100000"),
        ("/bytes/3?chunked", "200", "transfer-encoding: chunked"),
        ("/internal/ready", "503", "loading"),
        ("/ws", "426", "speaks WebSocket"),
        ("/nowhere", "404", ""),
    ];
    for (path, status, part) in cases {
        let answer = mock.get(path).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {answer}"
        );
        assert!(answer.contains(part), "{path}: {answer}");
    }
}

#[tokio::test]
async fn bytes_follow_one_pattern_across_blocks() {
    let mock = start(None).await;
    let answer = mock.get("/bytes/200000").await;
    assert!(answer.contains("content-length: 200000"));
    let mut stream = mock
        .send("GET /bytes/200000 HTTP/1.1\r\nHost: mock\r\nConnection: close\r\n\r\n")
        .await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let body = &answer[answer.len() - 200_000..];
    assert!(
        body.iter()
            .zip((0..251u8).cycle())
            .all(|(byte, expected)| *byte == expected)
    );
}

#[tokio::test]
async fn echo_gives_the_body_back_or_reports_what_arrived() {
    let mock = start(None).await;
    let mut answer = String::new();
    let request =
        "POST /echo HTTP/1.1\r\nHost: mock\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    mock.send(request)
        .await
        .read_to_string(&mut answer)
        .await
        .unwrap();
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    let mut answer = String::new();
    let chunked = "PUT /echo?headers=1 HTTP/1.1\r\nHost: mock\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n";
    mock.send(chunked)
        .await
        .read_to_string(&mut answer)
        .await
        .unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let report: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&report["method"], &report["bytes"]),
        (&"PUT".into(), &3.into())
    );
    let doubled: Vec<_> = report["headers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|pair| pair[0] == "x-a")
        .map(|pair| pair[1].clone())
        .collect();
    assert_eq!(doubled, ["1", "2"]);
    assert_eq!(report["trailers"], serde_json::json!([["x-sum", "9"]]));
}

#[tokio::test]
async fn stopping_lets_the_open_request_end() {
    let mock = start(None).await;
    let mut stream = mock
        .send("GET /stream/3?ms=20 HTTP/1.1\r\nHost: mock\r\n\r\n")
        .await;
    // Its first byte shows that the request is being answered.
    let mut answer = vec![stream.read_u8().await.unwrap()];
    mock.stop.send(()).unwrap();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).ends_with("chunk 2\n\r\n0\r\n\r\n"));
    mock.served.await.unwrap().unwrap();
}
