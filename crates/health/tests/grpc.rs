//! The check `grpc` against Python's gRPC server, and against what is none.

mod looking;

use looking::{NOBODY, faults, probe, said};
use seaworthy_health::probe::grpc::Grpc;
use seaworthy_testkit::address;
use seaworthy_testkit::origin::{Origin, Script, Step};
use serde_json::json;

fn grpc(address: impl std::fmt::Display, service: &str) -> Grpc {
    probe(json!({"url": format!("http://{address}"), "service": service}))
}

#[tokio::test]
async fn peers_that_misbehave_are_told_apart() {
    // The preface of a server, and frames that nobody has opened a stream for, without end.
    let garbage = vec![Step::Flood(1 << 20), Step::Hang];
    for (script, message) in [
        (
            Script::steps_of(vec![Step::Close]),
            "it ended the connection before its answer was complete",
        ),
        (Script::steps_of(garbage), "it does not speak HTTP/2"),
    ] {
        let origin = Origin::tcp(script).await.unwrap();
        assert_eq!(said(&grpc(origin.address(), "")).await.1, message);
    }
    let nobody = grpc(address::free().unwrap(), "");
    assert_eq!(said(&nobody).await.1, NOBODY);
    let wrong: Grpc = probe(json!({"url": "grpc://a/b"}));
    assert_eq!(faults(&wrong), ["url", "url"]);
}

mod real {
    use seaworthy_core::health::State;
    use seaworthy_health::probe::{Around, Probe as _};
    use seaworthy_testkit::server::GrpcHealth;
    use serde_json::json;

    use super::looking::{Watch, follows, once, probe, said};
    use super::{Grpc, grpc};

    #[tokio::test]
    async fn each_service_has_its_own_status() {
        let statuses = [
            ("", "SERVING"),
            ("shop.Orders", "NOT_SERVING"),
            ("shop.New", "UNKNOWN"),
        ];
        let server = GrpcHealth::start(&statuses).await.unwrap();
        let address = server.address();
        let outcome = once(&grpc(address, "")).await;
        assert_eq!(outcome.state, State::Ok);
        assert_eq!(outcome.metadata["serving_status"], "SERVING");
        let (state, message) = said(&grpc(address, "shop.Orders")).await;
        assert_eq!(
            (state, message.as_str()),
            (State::Fail, "it is not serving")
        );
        assert_eq!(said(&grpc(address, "shop.New")).await.0, State::Unknown);
        let (_, message) = said(&grpc(address, "no.Such")).await;
        assert_eq!(message, "it does not know the service");
    }

    #[tokio::test]
    async fn tls_is_spoken_and_verified() {
        let server = GrpcHealth::start_tls(&[("", "SERVING")]).await.unwrap();
        let url = format!("https://{}", server.address());
        let trusting: Grpc = probe(json!({"url": url, "ca": server.ca()}));
        assert_eq!(once(&trusting).await.state, State::Ok);
        let (_, message) = said(&probe::<Grpc>(json!({"url": url}))).await;
        assert!(
            message.starts_with("its certificate is signed by nobody known"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn a_server_without_the_protocol_says_so() {
        let server = GrpcHealth::start(&[]).await.unwrap();
        let (_, message) = said(&grpc(server.address(), "")).await;
        assert_eq!(message, "it does not offer grpc.health.v1");
    }

    #[tokio::test]
    async fn it_follows_the_server() {
        let mut server = GrpcHealth::start(&[("", "SERVING")]).await.unwrap();
        let probe = grpc(server.address(), "");
        let watch = Watch::new(&probe);
        watch.until(State::Ok).await;
        server.set(&[("", "NOT_SERVING")]).unwrap();
        watch.until(State::Fail).await;
        server.set(&[("", "SERVING")]).unwrap();
        watch.until(State::Ok).await;
        follows(&probe.check(&Around::default()), &mut server).await;
    }
}
