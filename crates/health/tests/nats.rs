//! The check `nats` against a real server, and against what is none.

mod looking;

use looking::{NOBODY, faults, probe, said};
use seaworthy_health::probe::nats::Nats;
use seaworthy_testkit::address;
use seaworthy_testkit::origin::{Origin, Script, Step};
use serde_json::json;

fn nats(url: impl std::fmt::Display) -> Nats {
    probe(json!({"url": url.to_string()}))
}

#[tokio::test]
async fn peers_that_misbehave_are_told_apart() {
    let send = |text: &str| Step::Send(text.as_bytes().to_vec());
    let info = "INFO {\"version\":\"2.9.10\"}\r\n";
    let not_nats = "it does not speak NATS";
    for (steps, message) in [
        (vec![Step::Close], "it ended the connection"),
        (vec![send("HTTP/1.1 400 Bad Request\r\n\r\n")], not_nats),
        (vec![send("INFO {]\r\n")], not_nats),
        (vec![send("\u{ff}\n")], not_nats),
        (vec![Step::Flood(1 << 20), Step::Hang], not_nats),
        (
            vec![send(info), send(&"PING\r\n".repeat(1000)), Step::Hang],
            not_nats,
        ),
        (
            vec![send(info), send("-ERR 'hunter2'\r\n"), Step::Hang],
            "it refuses us",
        ),
    ] {
        let origin = Origin::tcp(Script::steps_of(steps)).await.unwrap();
        assert_eq!(
            said(&nats(format!("nats://{}", origin.address()))).await.1,
            message
        );
    }
    let nobody = nats(format!("nats://{}", address::free().unwrap()));
    assert_eq!(said(&nobody).await.1, NOBODY);
    assert_eq!(faults(&nats("http://a")), ["url"]);
}

mod real {
    use seaworthy_core::health::State;
    use seaworthy_health::probe::{Around, Probe as _};
    use seaworthy_testkit::server;
    use serde_json::json;

    use super::looking::{follows, look, once, probe};
    use super::{Nats, nats, said};

    #[tokio::test]
    async fn it_follows_the_server() {
        let mut server = server::Nats::start(&[]).await.unwrap();
        let check = nats(format!("nats://{}", server.address())).check(&Around::default());
        let component = look(&check).await;
        let version = component.metadata["version"].as_str().unwrap();
        assert!(version.starts_with("2."), "{version}");
        follows(&check, &mut server).await;
    }

    #[tokio::test]
    async fn passwords_and_tokens_are_told() {
        let server = server::Nats::start(&["--user", "shop", "--pass", "p@ss"])
            .await
            .unwrap();
        let address = server.address();
        let right = nats(format!("nats://shop:p%40ss@{address}"));
        assert_eq!(once(&right).await.state, State::Ok);
        for user in ["", "shop:wrong@", "token@"] {
            let (state, message) = said(&nats(format!("nats://{user}{address}"))).await;
            assert_eq!(
                (state, message.as_str()),
                (State::Fail, "it refuses the user or the password"),
                "{user}"
            );
        }
        let server = server::Nats::start(&["--auth", "s3cret"]).await.unwrap();
        let right = nats(format!("nats://s3cret@{}", server.address()));
        assert_eq!(once(&right).await.state, State::Ok);
        assert!(!format!("{:?}", nats("nats://u:hunter2@a")).contains("hunter2"));
    }

    #[tokio::test]
    async fn tls_is_used_where_the_server_or_the_url_wants_it() {
        let server = server::Nats::start_tls().await.unwrap();
        let address = server.address();
        for scheme in ["nats", "tls"] {
            let url = format!("{scheme}://{address}");
            let trusting: Nats = probe(json!({"url": url, "ca": server.ca()}));
            assert_eq!(once(&trusting).await.state, State::Ok, "{scheme}");
            let (_, message) = said(&nats(url)).await;
            assert!(
                message.starts_with("its certificate is signed by nobody known"),
                "{message}"
            );
        }
        let plain = server::Nats::start(&[]).await.unwrap();
        let (_, message) = said(&nats(format!("tls://{}", plain.address()))).await;
        assert_eq!(message, "it does not offer TLS");
    }
}
