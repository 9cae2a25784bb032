//! Which limits hold on which route.

use std::sync::Arc;

use seaworthy_core::clock::Clock;

use super::fields::Fields;
use super::key::Keys;
use super::policy::Policy;

/// What holds on one route.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Whether the limit of the tier holds.
    pub tiers: bool,
    /// The others that hold, as places in [`Limits::policies`].
    pub policies: Box<[usize]>,
    /// Tokens that a request takes from each.
    pub cost: u64,
    /// The field of an answer that says how many tokens it was really worth: what was taken is then a reservation.
    pub settle: Option<http::HeaderName>,
}

impl Rules {
    /// Whether nothing holds.
    pub(super) fn is_empty(&self) -> bool {
        !self.tiers && self.policies.is_empty()
    }
}

/// All limits of a service.
#[derive(Debug)]
pub struct Limits {
    /// The tiers; the first is that of whoever has none.
    pub tiers: Box<[Arc<Policy>]>,
    /// The others.
    pub policies: Box<[Arc<Policy>]>,
    /// What holds on each route; the first is for requests without one, and for routes that are missing here.
    pub rules: Box<[Rules]>,
    /// How keys are made.
    pub keys: Keys,
    /// What answers say.
    pub fields: Fields,
    /// What the moments are of.
    pub clock: Clock,
}

impl Limits {
    pub(super) fn rules(&self, route: usize) -> Option<&Rules> {
        self.rules.get(route).or_else(|| self.rules.first())
    }

    /// The tier of this name, or that of whoever has none.
    pub(super) fn tier(&self, name: Option<&str>) -> Option<&Arc<Policy>> {
        let named = name.and_then(|name| self.tiers.iter().find(|tier| tier.name() == name));
        named.or_else(|| self.tiers.first())
    }

    /// Tiers and others.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.tiers.iter().chain(&self.policies)
    }
}
