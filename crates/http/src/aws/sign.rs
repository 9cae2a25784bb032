//! Signature Version 4 of AWS.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign as hmac};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;

use super::Credentials;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// What a signature is good for.
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) now: Timestamp,
}

/// Adds the fields that sign a request without a query. Nothing when the credentials cannot be sent.
pub(super) fn sign(
    method: &str,
    path: &str,
    fields: &mut HeaderMap,
    body: &[u8],
    credentials: &Credentials,
    scope: &Scope<'_>,
) -> Option<()> {
    let moment = scope.now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = moment.get(..8)?;
    fields.insert(DATE, HeaderValue::try_from(&moment).ok()?);
    if let Some(token) = &credentials.token {
        fields.insert(TOKEN, secret(token)?);
    }
    let mut signed: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.trim())))
        .collect::<Option<_>>()?;
    signed.sort_unstable();
    let lines: String = signed
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let names = signed
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(";");
    let request = format!(
        "{method}\n{path}\n\n{lines}\n{names}\n{}",
        hex(digest(&SHA256, body).as_ref())
    );
    let Scope {
        region, service, ..
    } = scope;
    let area = format!("{day}/{region}/{service}/aws4_request");
    let text = format!(
        "AWS4-HMAC-SHA256\n{moment}\n{area}\n{}",
        hex(digest(&SHA256, request.as_bytes()).as_ref())
    );
    let mut key = format!("AWS4{}", credentials.secret).into_bytes();
    for part in [day, region, service, "aws4_request"] {
        key = keyed(&key, part);
    }
    let signature = hex(&keyed(&key, &text));
    let id = &credentials.id;
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={id}/{area}, SignedHeaders={names}, Signature={signature}"
    );
    fields.insert(header::AUTHORIZATION, secret(&value)?);
    Some(())
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac(&Key::new(HMAC_SHA256, key), text.as_bytes())
        .as_ref()
        .to_vec()
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The credentials of AWS's own examples.
    fn example() -> Credentials {
        Credentials {
            id: "AKIDEXAMPLE".to_owned(),
            secret: concat!("wJalrXUtnFEMI/K7MDENG+", "bPxRfiCYEXAMPLEKEY").to_owned(),
            token: None,
        }
    }

    fn signed(method: &str) -> String {
        let mut fields = HeaderMap::new();
        fields.insert(
            header::HOST,
            HeaderValue::from_static("example.amazonaws.com"),
        );
        let scope = Scope {
            region: "us-east-1",
            service: "service",
            now: "2015-08-30T12:36:00Z".parse().unwrap(),
        };
        sign(method, "/", &mut fields, b"", &example(), &scope).unwrap();
        let value = &fields[header::AUTHORIZATION];
        assert!(value.is_sensitive());
        value.to_str().unwrap().to_owned()
    }

    #[test]
    fn signs_as_the_published_examples_do() {
        let begin = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=";
        assert_eq!(
            signed("GET"),
            format!("{begin}5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
        );
        assert_eq!(
            signed("POST"),
            format!("{begin}5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")
        );
    }

    #[test]
    fn credentials_that_cannot_be_sent_sign_nothing() {
        let mut fields = HeaderMap::new();
        let credentials = Credentials {
            token: Some("a\nb".to_owned()),
            ..example()
        };
        let scope = Scope {
            region: "x",
            service: "y",
            now: Timestamp::UNIX_EPOCH,
        };
        assert!(sign("GET", "/", &mut fields, b"", &credentials, &scope).is_none());
        assert!(!format!("{credentials:?}").contains("wJalr"));
    }
}
