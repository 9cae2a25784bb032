//! Secrets of servers that keep them, on the real binary: OpenBao, and AWS as moto plays it.

mod real {
    use seaworthy_testkit::server::{Bao, Moto};
    use serde_json::json;

    use seaworthy_testkit::Result;
    use seaworthy_testkit::origin::{Origin, Script};
    use seaworthy_testkit::process::Seaworthy;

    use crate::secrets::{CANARY, Calls, refused, write};

    fn vault(bao: &Bao, login: &str, path: &str, extra: &str) -> String {
        format!(
            "{{vault: {{path: {path}, field: key}}, refresh: 100ms}}\n{extra}\nvault:\n  address: {}\n  {login}",
            bao.url()
        )
    }

    #[tokio::test]
    async fn a_secret_of_openbao_arrives_and_changes_and_outlives_the_server() -> Result<()> {
        let mut bao = Bao::start().await?;
        bao.put(
            "shop/openai",
            json!({"key": format!("{CANARY}-1"), "other": "x"}),
        )
        .await?;
        // The token itself is a secret, out of a file; it ends soon unless it is renewed.
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("token");
        write(&file, &bao.reader("4s").await?)?;
        let token = format!("  token: {{file: {}}}", file.display());
        let source = vault(&bao, "token: '${secret:token}'", "shop/openai", &token);
        let calls = Calls::start(Seaworthy::build(), &source).await?;
        assert_eq!(calls.seen().await?, format!("Bearer {CANARY}-1"));
        // Longer than the token would live.
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        bao.put("shop/openai", json!({"key": format!("{CANARY}-2")}))
            .await?;
        calls.comes(&format!("{CANARY}-2")).await?;
        bao.stop().await?;
        let stale = calls.seaworthy.wait_event("secret.stale").await?;
        assert!(
            stale.to_string().contains("cannot be connected to"),
            "{stale}"
        );
        assert_eq!(calls.seen().await?, format!("Bearer {CANARY}-2"));
        let token = std::fs::read_to_string(&file)?;
        let shown = calls.shown().await?;
        assert!(
            !shown.contains(CANARY) && !shown.contains(token.trim()),
            "{shown}"
        );
        Ok(())
    }

    /// The token of an account of a pod, as far as anybody looks at it who asks Kubernetes about it.
    fn account() -> String {
        use base64::Engine as _;
        let encode = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let head = json!({"alg": "RS256", "typ": "JWT"});
        let claims = json!({
            "iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:shop:api",
            "iat": 1, "nbf": 1, "exp": 4_102_444_800_u64,
            "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "api", "uid": "1"}},
        });
        let parts = [head.to_string(), claims.to_string(), "signature".to_owned()];
        parts.map(encode).join(".")
    }

    /// An API of Kubernetes that believes every token.
    async fn kubernetes() -> Result<Origin> {
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "status": {"authenticated": true, "user": {
                "username": "system:serviceaccount:shop:api", "uid": "1", "groups": ["system:serviceaccounts"],
            }},
        });
        let body = review.to_string();
        let answer = format!(
            "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Origin::tcp(Script::always(answer)).await
    }

    #[tokio::test]
    async fn a_pod_logs_in_with_its_account_and_again_when_its_token_was_taken_away() -> Result<()>
    {
        let (bao, api) = (Bao::start().await?, kubernetes().await?);
        bao.put("shop/openai", json!({"key": "one"})).await?;
        let rules = json!({"policy": "path \"secret/*\" { capabilities = [\"read\"] }"});
        bao.ask("PUT", "sys/policies/acl/reader", &rules).await?;
        let method = json!({"type": "kubernetes"});
        bao.ask("POST", "sys/auth/pods", &method).await?;
        let certificate = seaworthy_testkit::certificate::Certificate::new()?.certificate;
        let about = json!({
            "kubernetes_host": format!("http://{}", api.address()), "kubernetes_ca_cert": certificate,
            "disable_local_ca_jwt": true, "token_reviewer_jwt": "x",
        });
        bao.ask("POST", "auth/pods/config", &about).await?;
        let role = json!({
            "bound_service_account_names": "api", "bound_service_account_namespaces": "shop",
            "policies": "reader", "ttl": "1h",
        });
        bao.ask("POST", "auth/pods/role/shop", &role).await?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("token");
        write(&file, &account())?;
        let login = format!(
            "kubernetes: {{role: shop, mount: pods, jwt_file: {}}}",
            file.display()
        );
        let source = vault(&bao, &login, "shop/openai", "");
        let calls = Calls::start(Seaworthy::build(), &source).await?;
        assert_eq!(calls.seen().await?, "Bearer one");
        let revoke = "sys/leases/revoke-prefix/auth/pods";
        bao.ask("PUT", revoke, &json!({"sync": true})).await?;
        bao.put("shop/openai", json!({"key": "two"})).await?;
        calls.comes("two").await?;
        assert!(!calls.shown().await?.contains(&account()));
        Ok(())
    }

    #[tokio::test]
    async fn what_openbao_refuses_is_told_where_the_secret_is_named() -> Result<()> {
        let bao = Bao::start().await?;
        bao.put("shop/openai", json!({"other": CANARY})).await?;
        let reader = bao.reader("1h").await?;
        for (login, path, what) in [
            (
                format!("token: {reader}"),
                "shop/none",
                "there is nothing there",
            ),
            (format!("token: {reader}"), "shop/openai", "no field `key`"),
            ("token: nobody".to_owned(), "shop/openai", "answers 403"),
            (
                "token_file: /no/such/file".to_owned(),
                "shop/openai",
                "/no/such/file cannot be read",
            ),
            (
                "kubernetes: {role: x, jwt_file: /dev/null}".to_owned(),
                "shop/openai",
                "cannot be read",
            ),
        ] {
            let source = vault(&bao, &login, path, "");
            let yaml = format!(
                "headers: {{set: {{X-Key: '${{secret:openai}}'}}}}\nsecrets:\n  openai: {source}\n"
            );
            let told = refused(&yaml).await?.stderr;
            assert!(
                told.contains(what) && told.contains("seaworthy.yaml:1:"),
                "{what} is missing in\n{told}"
            );
            assert!(!told.contains(CANARY) && !told.contains(&reader), "{told}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn leases_of_secrets_that_are_made_for_us_are_renewed() -> Result<()> {
        let bao = Bao::start().await?;
        // Secrets of the KV engine without versions have a lease in name, and nothing to renew.
        bao.ask(
            "POST",
            "sys/mounts/old",
            &json!({"type": "kv", "options": {"version": "1"}}),
        )
        .await?;
        bao.ask("POST", "old/shop", &json!({"key": "one", "ttl": "1s"}))
            .await?;
        let source = format!(
            "{{vault: {{mount: old, path: shop, field: key, version: 1}}, refresh: 1h}}\nvault: {{address: '{}', token: {}}}",
            bao.url(),
            Bao::ROOT
        );
        let calls = Calls::start(Seaworthy::build(), &source).await?;
        assert_eq!(calls.seen().await?, "Bearer one");
        bao.ask("POST", "old/shop", &json!({"key": "two", "ttl": "1s"}))
            .await?;
        // Nobody waits for an hour: the server said that it is good for a second.
        calls.comes("two").await?;
        Ok(())
    }

    #[tokio::test]
    async fn a_secret_of_aws_arrives_signed_and_changes() -> Result<()> {
        let moto = Moto::start().await?;
        moto.put("shop", &json!({"key": format!("{CANARY}-1")}).to_string())
            .await?;
        let source = format!(
            "{{aws: {{id: shop, field: key}}, refresh: 100ms}}\naws: {{region: eu-west-1, endpoint: '{}'}}",
            moto.url()
        );
        let builder = Seaworthy::build()
            .env("AWS_ACCESS_KEY_ID", &moto.id)
            .env("AWS_SECRET_ACCESS_KEY", &moto.secret);
        let calls = Calls::start(builder, &source).await?;
        assert_eq!(calls.seen().await?, format!("Bearer {CANARY}-1"));
        moto.put("shop", &json!({"key": format!("{CANARY}-2")}).to_string())
            .await?;
        calls.comes(&format!("{CANARY}-2")).await?;
        let shown = calls.shown().await?;
        assert!(
            !shown.contains(CANARY) && !shown.contains(&moto.secret),
            "{shown}"
        );
        for (id, key, what) in [
            ("none", moto.secret.as_str(), "ResourceNotFoundException"),
            ("shop", "another-key", "answers 403"),
        ] {
            let yaml = format!(
                "headers: {{set: {{X-Key: '${{secret:openai}}'}}}}\nsecrets: {{openai: {{aws: {{id: {id}}}}}}}\naws: {{region: eu-west-1, endpoint: '{}', access_key_id: {}, secret_access_key: {key}}}\n",
                moto.url(),
                moto.id
            );
            let told = refused(&yaml).await?.stderr;
            assert!(
                told.contains(what) && told.contains("seaworthy.yaml:1:"),
                "{what} is missing in\n{told}"
            );
        }
        Ok(())
    }
}
