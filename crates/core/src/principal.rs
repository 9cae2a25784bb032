//! Who a request is made for, once somebody has vouched for it.
//!
//! Limits, abuse detection and policies go by a principal and never by a raw header: whoever may choose a header freely
//! has as many buckets as he likes.

/// What vouches for a principal, strongest first: the order in which they are preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A known API key.
    ApiKey,
    /// A valid JSON Web Token.
    Token,
    /// A header that a trusted proxy has set.
    Header,
}

impl Kind {
    /// The word for it in logs and in the admin API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Token => "jwt",
            Self::Header => "header",
        }
    }
}

/// One who makes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What vouches for it.
    pub kind: Kind,
    /// What it is known by: the `sub` of a token, the value of a header, the hash of a key. Never the key itself. It is
    /// personal, so what stores or shows it hashes or masks it first.
    pub id: Box<str>,
    /// The tier it was given, if any; limits say what the tier is worth.
    pub tier: Option<Box<str>>,
}
