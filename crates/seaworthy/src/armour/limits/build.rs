//! What the sections `limits` and `routes` say, as policies and rules.

use std::sync::Arc;

use seaworthy_core::quota::Spec;
use seaworthy_http::limit::{
    self, Action, Fields, Identify, Keyed, Limits, Policy, PolicyConfig, Reset, Rules,
};

use crate::config::rates::{self, Refill, Shown, StoreKind};
use crate::config::{Config, Route};

/// Policies and rules, before they are shared.
#[derive(Default)]
pub(super) struct Built<'a> {
    /// Those that there were, whose buckets and counts go on.
    before: Vec<&'a Arc<Policy>>,
    pub(super) tiers: Vec<Arc<Policy>>,
    pub(super) policies: Vec<Arc<Policy>>,
    pub(super) rules: Vec<Rules>,
}

impl<'a> Built<'a> {
    pub(super) fn of(config: &Config, before: Option<&'a Limits>) -> Self {
        let mut built = Self {
            before: before.into_iter().flat_map(Limits::all).collect(),
            ..Self::default()
        };
        let tiers = &config.limits.tiers;
        // Whoever has no tier gets the first.
        let first = tiers.get_key_value(limit::ANONYMOUS);
        let others = tiers.iter().filter(|(name, _)| *name != limit::ANONYMOUS);
        for (name, spec) in first.into_iter().chain(others) {
            let tier = built.succeed(policy(config, name, spec, |_| ()));
            built.tiers.push(tier);
        }
        let mut everywhere = Vec::new();
        if let Some(users) = &config.limits.users {
            everywhere.push(
                built.add(policy(config, limit::USER, &users.spec(), |policy| {
                    policy.keyed = keyed(std::slice::from_ref(&users.key), true);
                    policy.max_keys = users.max_keys;
                    policy.idle = users.idle_ttl.get();
                })),
            );
        }
        let mut some: Vec<(&[String], usize)> = Vec::new();
        for further in &config.limits.policies {
            let place = built.add(policy(config, &further.name, &further.limit, |policy| {
                policy.keyed = keyed(&further.key, false);
                if let Some(action) = further.action {
                    policy.action = act(action, config);
                }
                if let Some(choice) = further.on_store_error {
                    policy.on_store_error = choice.into();
                }
                policy.max_keys = further.max_keys.unwrap_or(policy.max_keys);
            }));
            if further.routes.is_empty() {
                everywhere.push(place);
            } else {
                some.push((&further.routes, place));
            }
        }
        let routes = std::iter::once(None).chain(config.routes.iter().map(Some));
        for route in routes {
            let rules = built.rules(config, route, &everywhere, &some);
            built.rules.push(rules);
        }
        built
    }

    fn add(&mut self, policy: PolicyConfig) -> usize {
        let policy = self.succeed(policy);
        self.policies.push(policy);
        self.policies.len() - 1
    }

    /// The policy itself, in the place of the one that there was for these buckets.
    fn succeed(&self, policy: PolicyConfig) -> Arc<Policy> {
        let mut before = self.before.iter();
        let same = before.find(|old| {
            let old = old.config();
            (&old.name, &old.bucket) == (&policy.name, &policy.bucket)
        });
        match same {
            Some(old) => old.succeeded_by(policy),
            None => Arc::new(Policy::new(policy)),
        }
    }

    fn rules(
        &mut self,
        config: &Config,
        route: Option<&Route>,
        everywhere: &[usize],
        some: &[(&[String], usize)],
    ) -> Rules {
        let own = route.and_then(|route| route.limit.as_ref());
        if own == Some(&Spec::Unlimited) {
            return Rules::default();
        }
        let mut policies = everywhere.to_vec();
        if let Some(route) = route {
            let named = some
                .iter()
                .filter(|(routes, _)| routes.contains(&route.pattern));
            policies.extend(named.map(|(_, place)| *place));
            if let Some(spec) = own {
                let bucket = bucket(route);
                policies.push(self.add(policy(config, limit::ROUTE, spec, |policy| {
                    policy.bucket = bucket;
                })));
            }
        }
        Rules {
            tiers: !self.tiers.is_empty(),
            policies: policies.into(),
            cost: route.and_then(|route| route.cost).unwrap_or(1),
            settle: route
                .and_then(|route| route.cost_header.as_ref())
                .and_then(|name| name.parse().ok()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tiers.is_empty() && self.policies.is_empty()
    }
}

/// What the buckets of a route are called, so that those of another one are others. Braces would choose the node of a cluster.
fn bucket(route: &Route) -> Box<str> {
    let pattern = route.pattern.replace(['{', '}'], ":");
    format!("{}:{pattern}", limit::ROUTE).into()
}

fn policy(
    config: &Config,
    name: &str,
    spec: &Spec,
    change: impl FnOnce(&mut PolicyConfig),
) -> PolicyConfig {
    let limits = &config.limits;
    let at_once = limits.refill == Refill::Interval;
    // Checked when the configuration was.
    let quota = |spec: &Spec| spec.quota(at_once).unwrap_or_default();
    let mut policy = PolicyConfig::new(name, quota(spec));
    policy.action = act(limits.action, config);
    policy.on_store_error = limits.on_store_error.into();
    policy.max_keys = limits.max_keys;
    policy.candidate = limits.candidate.get(name).and_then(quota);
    if limits.store == StoreKind::Redis {
        policy.replicas = limits.replicas;
    }
    change(&mut policy);
    policy
}

fn act(action: rates::Action, config: &Config) -> Action {
    match action {
        rates::Action::Reject => Action::Reject,
        rates::Action::Observe => Action::Observe,
        rates::Action::Delay => Action::Delay(config.limits.max_delay.get()),
    }
}

fn keyed(keys: &[rates::Key], skips: bool) -> Keyed {
    Keyed {
        parts: keys.iter().map(|key| key.0.clone()).collect(),
        skips,
    }
}

pub(super) fn identify(config: &Config) -> Identify {
    let kinds = config.limits.identify.iter().map(|kind| (*kind).into());
    Identify(kinds.collect())
}

pub(super) fn fields(config: &Config) -> Fields {
    let shown = config.limits.headers;
    Fields {
        x: matches!(shown, Shown::Both | Shown::X),
        ietf: matches!(shown, Shown::Both | Shown::Ietf),
        reset: match config.limits.reset {
            rates::Reset::Epoch => Reset::Epoch,
            rates::Reset::Delta => Reset::Delta,
        },
    }
}
