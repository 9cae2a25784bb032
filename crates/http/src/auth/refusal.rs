//! Why somebody is not who he says, in words that help him and nobody else.

use http::{HeaderValue, header};
use seaworthy_core::catalogue;

use crate::error::Error;

/// See the [module documentation](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing vouches for anybody.
    Missing,
    /// There is a key that nobody knows.
    UnknownApiKey,
    /// A field that must stand alone comes twice.
    Twice,
    /// It cannot be read.
    Malformed,
    /// The algorithm is not allowed, or not the key's.
    Algorithm,
    /// The token says something is critical that is not understood.
    Critical,
    /// There is no such key.
    UnknownKey,
    /// The signature is wrong.
    Signature,
    /// It is over.
    Expired,
    /// It has not begun.
    Early,
    /// It has no end.
    Endless,
    /// Somebody else issued it.
    Issuer,
    /// It is meant for somebody else.
    Audience,
    /// It names nobody.
    Nobody,
    /// There are no keys to verify it with.
    Unavailable,
}

impl Refusal {
    /// What the caller is told.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "no credentials were sent",
            Self::UnknownApiKey => "the API key is not known",
            Self::Twice => "credentials were sent twice",
            Self::Malformed => "the credentials cannot be read",
            Self::Algorithm => "the token is signed in a way that is not allowed",
            Self::Critical => "the token has extensions that are not understood",
            Self::UnknownKey => "the token is signed with a key that is not known",
            Self::Signature => "the signature of the token is wrong",
            Self::Expired => "the token has expired",
            Self::Early => "the token is not valid yet",
            Self::Endless => "the token has no end",
            Self::Issuer => "the token is from another issuer",
            Self::Audience => "the token is for another audience",
            Self::Nobody => "the token names nobody",
            Self::Unavailable => "the keys for tokens cannot be had",
        }
    }

    /// The answer.
    pub fn error(self) -> Error {
        if self == Self::Unavailable {
            return Error::new(&catalogue::AUTH_UNAVAILABLE).with("reason", self.reason());
        }
        let challenge = match self {
            Self::Missing | Self::UnknownApiKey => "Bearer",
            _ => "Bearer error=\"invalid_token\"",
        };
        Error::new(&catalogue::UNAUTHORIZED)
            .with("reason", self.reason())
            .header(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            )
    }
}
