//! Rate limits by tier, and the fields that tell of them.

use seaworthy_testkit::Result;

use crate::front::Front;
use crate::rates::{ask, passed};

/// The keys `first`, `second`, `third` and `root`, as `printf %s first | sha256sum` gives them, and their tiers.
const KEYS: &str = "\
a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e api_key one
16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4 api_key two
b1e99324505bd32da0e1f85dcf5e19a09db0481e8a15f62c41eb320304a8e927 premium three
4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2 admin four
";

#[tokio::test]
async fn every_tier_has_its_limit_and_every_key_its_bucket() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("keys");
    std::fs::write(&file, KEYS)?;
    let tier = |capacity: u32| format!("{{capacity: {capacity}, refill_per_sec: 0}}");
    let yaml = format!(
        "limits: {{tiers: {{anonymous: {}, api_key: {}, premium: {}, admin: unlimited}}, keys_file: {}}}",
        tier(2),
        tier(3),
        tier(5),
        file.display()
    );
    let front = Front::configured(&yaml).await?;
    // All come from one address.
    for (key, pass, limit) in [
        (None, 2, Some("2")),
        (Some("first"), 3, Some("3")),
        (Some("second"), 3, Some("3")),
        (Some("third"), 5, Some("5")),
        (Some("root"), 9, None),
    ] {
        let field = key.map(|key| ("X-API-Key", key));
        let answers = ask(&front, field.as_slice(), 9).await?;
        assert_eq!(passed(&answers), pass, "{key:?}");
        assert_eq!(answers[0].header("x-ratelimit-limit"), limit, "{key:?}");
    }
    Ok(())
}

#[tokio::test]
async fn answers_have_the_fields_that_were_chosen() -> Result<()> {
    for (chosen, x, ietf) in [
        ("x", true, false),
        ("ietf", false, true),
        ("none", false, false),
    ] {
        let yaml = format!(
            "limits: {{tiers: {{anonymous: {{capacity: 3, refill_per_sec: 0.1}}}}, reset: delta, headers: {chosen}}}"
        );
        let front = Front::configured(&yaml).await?;
        let answers = ask(&front, &[], 4).await?;
        assert_eq!(passed(&answers), 3);
        for answer in &answers {
            let has = |name: &str| answer.header(name).is_some();
            assert_eq!(has("x-ratelimit-limit"), x, "{chosen}");
            assert_eq!(has("x-ratelimit-reset"), x, "{chosen}");
            assert_eq!(
                has("ratelimit") && has("ratelimit-policy"),
                ietf,
                "{chosen}"
            );
        }
        assert!(answers[3].header("retry-after").is_some(), "{chosen}");
        if x {
            let reset = answers[0].header("x-ratelimit-reset").unwrap_or_default();
            let seconds: u64 = reset.parse()?;
            assert!(
                (1..=30).contains(&seconds),
                "{seconds} s until three are back"
            );
        }
    }
    Ok(())
}
