//! The vectors of the Wycheproof project, which are not part of this repository.

use super::*;

/// Vectors that are called invalid, and are the same text byte for byte as number 357, which is called valid: the padding that
/// they are about was lost on the way into the file.
const SAME_AS_VALID: [u64; 2] = [367, 370];

/// Vectors that are called valid and that no allowed key and algorithm can accept, with the reason.
fn is_out_of_reach(vector: u64) -> Option<&'static str> {
    match vector {
        346 | 350 => Some("the key is for PS256, the token is signed with PS384"),
        347 | 351 => Some("ES512 is not offered"),
        372 | 373 => Some("`?` stands in it, which is no letter of base64url (RFC 7515, 2)"),
        _ => None,
    }
}

fn vectors(file: &str) -> Option<Value> {
    let folder = std::env::var_os("WYCHEPROOF").map_or_else(
        || {
            concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/data/wycheproof"
            )
            .into()
        },
        std::path::PathBuf::from,
    );
    let Ok(text) = std::fs::read(folder.join(file)) else {
        println!(
            "wycheproof: NOT RUN, there is no {file} in {}; set WYCHEPROOF to the folder `testvectors` of a clone of https://github.com/C2SP/wycheproof",
            folder.display()
        );
        return None;
    };
    Some(serde_json::from_slice(&text).unwrap())
}

fn accepts(key: &Value, token: &str) -> bool {
    let set = match key.get("keys") {
        Some(_) => key.clone(),
        None => json!({"keys": [key]}),
    };
    let Ok(keys) = KeySet::from_jwks(set.to_string().as_bytes(), &ALL) else {
        return false;
    };
    let source = Source::Fixed(KeySet::default());
    let verifier = Verifier::new(ALL.to_vec(), source, Rules::default(), 1).unwrap();
    verifier.signed(&keys, token).is_ok()
}

/// Counts vectors, and names those that were judged wrongly.
fn judge(file: &str) {
    let Some(all) = vectors(file) else { return };
    let (mut refused, mut accepted, mut beyond, mut contradictory) = (0, 0, 0, 0);
    let mut wrong = Vec::new();
    for group in all["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        for test in group["tests"].as_array().unwrap() {
            let (id, token) = (test["tcId"].as_u64().unwrap(), &test["jws"]);
            let token = token
                .as_str()
                .map_or_else(|| token.to_string(), str::to_owned);
            let is_valid = test["result"] == "valid";
            match (accepts(key, &token), is_valid) {
                (true, true) => accepted += 1,
                (false, false) => refused += 1,
                (true, false) if file.contains("signature") && SAME_AS_VALID.contains(&id) => {
                    contradictory += 1
                }
                (false, true) if file.contains("signature") && is_out_of_reach(id).is_some() => {
                    beyond += 1
                }
                _ => wrong.push((id, test["comment"].clone(), is_valid)),
            }
        }
    }
    println!(
        "{file}: {refused} invalid refused, {accepted} valid accepted, {beyond} valid out of reach, {contradictory} contradict another"
    );
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(refused > 0 && accepted > 0);
}

#[test]
fn every_signature_is_judged_rightly() {
    judge("json_web_signature_test.json");
}

#[test]
fn every_key_set_is_judged_rightly() {
    judge("json_web_key_test.json");
}
