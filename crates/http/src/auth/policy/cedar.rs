//! Cedar policies, decided in this process.
//!
//! A request is `principal, action, resource, context`: `User::"alice"` (of a token or a header), `ApiKey::"the shop"` or
//! `Anonymous::"anonymous"`; `Action::"GET"`; `Route::"/orders/:id"` (`Route::"unmatched"` without a route); and a context of
//! `path`, `method`, `tier` and, where they are known, `client` (an `ipaddr`) and `host`. What no policy permits is denied. Where
//! a policy cannot be evaluated nothing is decided and nobody passes: Cedar itself passes over it, even if it is one that forbids.
//!
//! Policies and entities are checked against a schema when they are loaded, [`SCHEMA`] unless another is named.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Decision as Answer, Entities, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression as Expression, Schema, ValidationMode, Validator,
};
use miette::Diagnostic;
use seaworthy_core::names;
use seaworthy_core::principal::Kind;

use super::{Decision, Question};

/// The schema that policies are checked against unless another is named.
pub const SCHEMA: &str = r"
entity Group;
entity User, ApiKey in [Group];
entity Anonymous, Route;
type Asked = { path: String, method: String, tier?: String, client?: ipaddr, host?: String };
action GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, CONNECT, TRACE, OTHER
  appliesTo { principal: [User, ApiKey, Anonymous], resource: Route, context: Asked };
";

/// With more policies than this a decision is made on a thread for such things: a worker is held up by none longer than a
/// millisecond.
const QUICK: usize = 200;
/// Something that is wrong with a text of policies, entities or a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// How to mend it, where Cedar knows.
    pub help: Option<String>,
    /// Where, as a stretch of bytes.
    pub at: Option<(usize, usize)>,
    /// In which of the texts.
    pub text: Text,
}

/// The texts that Cedar goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// The policies.
    Policies,
    /// The entities, as JSON.
    Entities,
    /// The schema.
    Schema,
}

/// See the [module documentation](self). Clones share everything.
#[derive(Clone)]
pub struct Cedar(Arc<Inner>);

struct Inner {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    quick: bool,
}

impl fmt::Debug for Cedar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cedar({} policies)", self.0.policies.num_of_policies())
    }
}

impl Cedar {
    /// Reads policies, and entities and a schema where they are given.
    ///
    /// # Errors
    /// Everything that is wrong with the first text that is not right.
    pub fn new(
        policies: &str,
        entities: Option<&str>,
        schema: Option<&str>,
    ) -> Result<Self, Vec<Fault>> {
        let schema = Schema::from_cedarschema_str(schema.unwrap_or(SCHEMA))
            .map_err(|error| faults(&error, Text::Schema))?
            .0;
        let policies =
            PolicySet::from_str(policies).map_err(|error| faults(&error, Text::Policies))?;
        let checked = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        let found: Vec<Fault> = checked
            .validation_errors()
            .flat_map(|error| faults(error, Text::Policies))
            .collect();
        if !found.is_empty() {
            return Err(found);
        }
        let entities = match entities {
            None => Entities::empty(),
            Some(text) => Entities::from_json_str(text, Some(&schema))
                .map_err(|error| faults(&error, Text::Entities))?,
        };
        Ok(Self(Arc::new(Inner {
            authorizer: Authorizer::new(),
            quick: policies.num_of_policies() <= QUICK,
            policies,
            entities,
        })))
    }

    /// Whether a decision takes so little time that it is made at once.
    pub(super) fn is_quick(&self) -> bool {
        self.0.quick
    }

    /// Decides.
    pub(super) fn decide(&self, question: &Question) -> Decision {
        let Some(request) = request(question) else {
            return Decision::Failed { open: false };
        };
        let inner = &*self.0;
        let said = inner
            .authorizer
            .is_authorized(&request, &inner.policies, &inner.entities);
        if said.diagnostics().errors().next().is_some() {
            return Decision::Failed { open: false };
        }
        match said.decision() {
            Answer::Allow => Decision::Allow,
            Answer::Deny => Decision::Deny(None),
        }
    }

    /// Decides on a thread where it holds nobody up.
    pub(super) async fn decide_apart(&self, question: &Question) -> Decision {
        let (cedar, question) = (self.clone(), question.clone());
        let decided = tokio::task::spawn_blocking(move || cedar.decide(&question));
        decided.await.unwrap_or(Decision::Failed { open: false })
    }
}

fn request(question: &Question) -> Option<Request> {
    let (kind, id) = match &question.principal {
        None => ("Anonymous", "anonymous"),
        Some(principal) if principal.kind == Kind::ApiKey => ("ApiKey", &*principal.id),
        Some(principal) => ("User", &*principal.id),
    };
    let method = &*question.method;
    let action = if names::METHODS.contains(&method) {
        method
    } else {
        "OTHER"
    };
    let text = |text: &str| Expression::new_string(text.to_owned());
    let mut context = vec![
        ("path".to_owned(), text(&question.path)),
        ("method".to_owned(), text(method)),
    ];
    let principal = question.principal.as_ref();
    if let Some(tier) = principal.and_then(|principal| principal.tier.as_deref()) {
        context.push(("tier".to_owned(), text(tier)));
    }
    if let Some(client) = question.client {
        context.push(("client".to_owned(), Expression::new_ip(client.to_string())));
    }
    if let Some(host) = &question.host {
        context.push(("host".to_owned(), text(host)));
    }
    let context = Context::from_pairs(context).ok()?;
    Request::new(
        entity(kind, id)?,
        entity("Action", action)?,
        entity("Route", &question.route)?,
        context,
        None,
    )
    .ok()
}

fn entity(kind: &str, id: &str) -> Option<EntityUid> {
    let kind = EntityTypeName::from_str(kind).ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// What an error says, and where; one that gathers others says all of theirs.
fn faults(error: &dyn Diagnostic, text: Text) -> Vec<Fault> {
    let label = error.labels().and_then(|mut labels| labels.next());
    let own = Fault {
        message: error.to_string(),
        help: error.help().map(|help| help.to_string()),
        at: label.map(|label| (label.offset(), label.offset() + label.len().max(1))),
        text,
    };
    let related = error.related().into_iter().flatten();
    std::iter::once(own)
        .chain(related.flat_map(|error| faults(error, text)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use seaworthy_core::principal::Principal;

    use super::*;

    fn asked(path: &str, who: Option<(Kind, &str, Option<&str>)>) -> Question {
        Question {
            method: "GET".to_owned(),
            path: path.to_owned(),
            route: "/orders/:id".to_owned(),
            host: Some("test".to_owned()),
            client: Some([10, 0, 0, 1].into()),
            principal: who.map(|(kind, id, tier)| {
                Arc::new(Principal {
                    kind,
                    id: id.into(),
                    tier: tier.map(Box::from),
                })
            }),
        }
    }

    #[test]
    fn what_is_permitted_is_allowed_and_nothing_else() {
        let policies = r#"
            permit(principal in Group::"staff", action == Action::"GET", resource == Route::"/orders/:id");
            permit(principal is ApiKey, action, resource) when { context has tier && context.tier == "admin" };
            forbid(principal, action, resource) when { context.path like "/orders/secret*" };
            permit(principal is Anonymous, action, resource) when { context has client && context.client.isInRange(ip("10.0.0.0/8")) && context.path == "/orders/free" };
        "#;
        let entities = r#"[{"uid": {"type": "User", "id": "alice"}, "attrs": {}, "parents": [{"type": "Group", "id": "staff"}]},
            {"uid": {"type": "Group", "id": "staff"}, "attrs": {}, "parents": []}]"#;
        let cedar = Cedar::new(policies, Some(entities), None).unwrap();
        let alice = Some((Kind::Token, "alice", None));
        let deny = Decision::Deny(None);
        for (path, who, decision) in [
            ("/orders/1", alice, Decision::Allow),
            ("/orders/secret1", alice, deny.clone()),
            (
                "/orders/1",
                Some((Kind::Token, "mallory\"", None)),
                deny.clone(),
            ),
            (
                "/orders/1",
                Some((Kind::ApiKey, "alice", None)),
                deny.clone(),
            ),
            (
                "/orders/1",
                Some((Kind::ApiKey, "k", Some("admin"))),
                Decision::Allow,
            ),
            ("/orders/1", None, deny),
            ("/orders/free", None, Decision::Allow),
        ] {
            assert_eq!(cedar.decide(&asked(path, who)), decision, "{path} {who:?}");
        }
    }

    #[test]
    fn faults_say_where_they_are() {
        let text = "permit(principal, action, resource);\npermit(principal, action, resource) when { context.pathh == \"/\" };";
        let faults = Cedar::new(text, None, None).unwrap_err();
        let (start, end) = faults[0].at.unwrap();
        assert!(text[start..end].contains("pathh"), "{faults:?}");
        let broken = Cedar::new("permit(principal, action", None, None).unwrap_err();
        assert!(
            broken[0].at.is_some() && broken[0].text == Text::Policies,
            "{broken:?}"
        );
        let entities = Cedar::new("", Some("[{}]"), None).unwrap_err();
        assert_eq!(entities[0].text, Text::Entities);
        assert_eq!(
            Cedar::new("", None, Some("nonsense")).unwrap_err()[0].text,
            Text::Schema
        );
    }

    /// Not a bound on the clock, which a busy machine would break; the figure stands in the documentation.
    #[test]
    fn what_a_decision_costs() {
        let one = |at: usize| {
            format!(
                "permit(principal == User::\"u{at}\", action, resource) when {{ context.path like \"/a{at}/*\" }};\n"
            )
        };
        for count in [10, QUICK, 2000] {
            let policies: String = (0..count).map(one).collect();
            let cedar = Cedar::new(&policies, None, None).unwrap();
            let question = asked("/orders/1", Some((Kind::Token, "u1", None)));
            let began = Instant::now();
            for _ in 0..100 {
                assert_eq!(cedar.decide(&question), Decision::Deny(None));
            }
            let each: Duration = began.elapsed() / 100;
            println!("{count} policies: {each:?} for one decision");
            assert_eq!(cedar.is_quick(), count <= QUICK);
        }
    }
}
