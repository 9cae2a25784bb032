//! What draws attention.

/// One kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// A request like any other; counts only where every request does.
    Request,
    /// A rate limit or a ban refused it.
    Denied,
    /// No valid key, token or permission.
    AuthFailed,
    /// A body that is not what was agreed.
    ValidationFailed,
    /// A path that only scanners ask for.
    Scanned,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Request,
        Self::Denied,
        Self::AuthFailed,
        Self::ValidationFailed,
        Self::Scanned,
    ];

    /// The word for it in the configuration and in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Denied => "denied",
            Self::AuthFailed => "auth_failed",
            Self::ValidationFailed => "validation_failed",
            Self::Scanned => "scanned",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Several kinds of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Events(u8);

impl Events {
    /// None.
    pub const NONE: Self = Self(0);

    /// Every kind, ordinary requests among them.
    pub const ALL: Self = Self(0b1_1111);

    /// Everything that honest clients seldom cause.
    pub const SUSPICIOUS: Self = Self(Self::ALL.0 & !Event::Request.bit());

    /// These and `event`.
    #[must_use]
    pub const fn with(self, event: Event) -> Self {
        Self(self.0 | event.bit())
    }

    /// These and those of `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `event` is among them.
    pub const fn has(self, event: Event) -> bool {
        self.0 & event.bit() != 0
    }
}

impl FromIterator<Event> for Events {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        events.into_iter().fold(Self::NONE, Self::with)
    }
}
