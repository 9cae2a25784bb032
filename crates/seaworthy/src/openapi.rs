//! What both listeners answer under a configuration, as OpenAPI 3.1.
//!
//! The views come from what is mounted and the API from the list that its router is made of, so that the document says what is
//! served. The app's own paths are the app's to describe. A path that both listeners have is described once, with both servers.

use std::collections::BTreeMap;

use seaworthy_health::View;
use seaworthy_telemetry::metrics;
use serde_json::{Value, json};

use crate::admin::{ONLY, Operation, Parameter, operations};
use crate::config::Config;
use crate::config::endpoints::Listener;
use crate::config::listen::Admin;
use crate::schemas;
use crate::views::{Entry, Mode, mounted};

const DETAILED: Parameter = Parameter {
    name: "detailed",
    about: "With what the service depends on.",
    values: &["true", "false"],
};
const COMPONENT: Parameter = Parameter {
    name: "component",
    about: "Only the component of this name.",
    values: &[],
};

/// The document of `config`.
pub fn document(config: &Config) -> Value {
    let has_admin = config.listen.admin != Admin::Off;
    let mut views = BTreeMap::<String, Vec<(Listener, Entry)>>::new();
    for listener in [Listener::Public, Listener::Admin] {
        if listener == Listener::Public || has_admin {
            for entry in mounted(config, listener) {
                let here = views.entry(entry.path.clone()).or_default();
                here.push((listener, entry));
            }
        }
    }
    let mut paths: BTreeMap<String, Value> = views
        .into_iter()
        .map(|(path, entries)| (path, view(config, &entries)))
        .collect();
    for operation in operations().filter(|_| has_admin) {
        let path = paths
            .entry(operation.path.to_owned())
            .or_insert_with(|| json!({"servers": [server(config, Listener::Admin)]}));
        path[operation.method] = api(operation);
    }
    let documents = schemas::ALL.iter();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("{}: health and operation", config.service.name),
            "description": "What Seaworthy answers in front of the service. Other paths are the service's own.",
            "version": config.service.version.as_deref().unwrap_or("0"),
        },
        "servers": [server(config, Listener::Public)],
        "paths": paths,
        "components": {
            "schemas": documents.map(|one| (one.name.to_owned(), one.part())).collect::<Value>(),
            "securitySchemes": {"token": {
                "type": "http",
                "scheme": "bearer",
                "description": "The token in the file of the instance; `seaworthy` itself finds it.",
            }},
        },
    })
}

fn server(config: &Config, listener: Listener) -> Value {
    let (name, address, is_tls) = match listener {
        Listener::Public => {
            let public = config.listen.public.map(|public| public.to_string());
            let public = public.unwrap_or_else(|| "localhost:8000".to_owned());
            ("public", public, config.listen.tls.is_some())
        }
        Listener::Admin => ("admin", config.listen.admin.to_string(), false),
    };
    let scheme = if is_tls { "https" } else { "http" };
    // A variable, because a listener may move, and a socket in the file system has no URL.
    json!({
        "url": format!("{scheme}://{{{name}}}"),
        "description": name,
        "variables": {name: {"default": address}},
    })
}

/// A path that shows a view, which each listener may show in its own way.
fn view(config: &Config, entries: &[(Listener, Entry)]) -> Value {
    if let Some((listener, _)) = entries.iter().find(|one| one.1.ask.view == View::Reload) {
        return reload(config, *listener);
    }
    let mut contents = BTreeMap::<&str, Vec<&str>>::new();
    let (mut summary, mut query) = (Vec::new(), Vec::new());
    let (mut closes, mut hides) = (false, false);
    for (_, entry) in entries {
        let ask = &entry.ask;
        let said = told(entry);
        if !summary.contains(&said) {
            summary.push(said);
        }
        if ask.view == View::Metrics {
            contents.entry(media_type(metrics::TEXT)).or_default();
            contents
                .entry(media_type(metrics::OPENMETRICS))
                .or_default();
        } else if ask.view == View::Security {
            contents
                .entry("application/json")
                .or_default()
                .push("security");
        } else {
            let json = contents.entry("application/json").or_default();
            json.push(schemas::of(ask.format));
            let draft = contents.entry("application/health+json").or_default();
            draft.push("health-draft");
        }
        let asks = !ask.outside && ask.view.is_health();
        if asks {
            query = vec![DETAILED, ONLY, COMPONENT];
        }
        closes |= ask.view != View::Summary && ask.view.is_health();
        hides |= asks || entry.loopback_only;
    }
    let contents: Value = contents
        .into_iter()
        .map(|(media_type, names)| (media_type.to_owned(), json!({"schema": any(names)})))
        .collect();
    let mut responses = json!({"200": {"description": "It passes.", "content": contents}});
    if closes {
        responses["503"] = json!({"description": "It does not.", "content": contents});
    }
    if hides {
        responses["404"] = failure("There is nothing to see here, or no such component.");
    }
    let servers = entries
        .iter()
        .map(|(listener, _)| server(config, *listener));
    json!({
        "servers": servers.collect::<Value>(),
        "get": {
            "summary": summary.join(" "),
            "tags": ["views"],
            "parameters": query.into_iter().map(Parameter::document).collect::<Value>(),
            "responses": responses,
        },
    })
}

/// A path that takes the configuration in anew.
fn reload(config: &Config, listener: Listener) -> Value {
    let report = |description: &str| {
        json!({
            "description": description,
            "content": {"application/json": {"schema": reference("reload")}},
        })
    };
    json!({
        "servers": [server(config, listener)],
        "post": {
            "summary": "Takes the configuration in anew.",
            "tags": ["views"],
            "responses": {
                "200": report("It holds."),
                "422": report("It is wrong, and nothing was changed."),
                "401": failure("Neither from this machine nor with the token."),
            },
        },
    })
}

fn told(entry: &Entry) -> String {
    let what = match entry.ask.view {
        View::Live => "Whether Seaworthy answers.",
        View::Ready => "Whether requests reach the app.",
        View::Startup => "Whether the app has been ready once.",
        View::Detailed => "Everything that is known.",
        View::Summary => "State, counts and start-up facts.",
        View::Metrics => "Metrics.",
        View::Security => "Who is blocked and who is flagged.",
        View::Reload => "Takes the configuration in anew.",
    };
    let merged = if entry.answers == Mode::Merge {
        " With what the app itself answers here."
    } else {
        ""
    };
    format!("{what}{merged}")
}

fn media_type(whole: &'static str) -> &'static str {
    whole.split(';').next().unwrap_or(whole)
}

/// One of these documents; a text where there is none.
fn any(mut names: Vec<&str>) -> Value {
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => json!({"type": "string"}),
        [one] => reference(one),
        all => json!({"anyOf": all.iter().map(|name| reference(name)).collect::<Value>()}),
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn failure(description: &str) -> Value {
    json!({
        "description": description,
        "content": {"application/json": {"schema": reference("error")}},
    })
}

fn api(operation: &Operation) -> Value {
    let (code, document) = operation.answers;
    let mut success = json!({"description": "Done."});
    if let Some(name) = document {
        let schema =
            schemas::find(name).map_or_else(|| json!({"type": "object"}), |_| reference(name));
        success["content"] = json!({"application/json": {"schema": schema}});
    }
    let names = operation.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
    });
    let query = operation.query.iter().map(|one| one.document());
    let mut described = json!({
        "summary": operation.summary,
        "tags": ["api"],
        "parameters": names.chain(query).collect::<Value>(),
        "responses": {
            code.to_string(): success,
            "default": failure("It was refused."),
        },
    });
    if let Some(takes) = operation.takes {
        described["requestBody"] = json!({"content": {"application/json": {"schema": takes()}}});
    }
    if operation.method != "get" {
        described["security"] = json!([{"token": []}]);
    }
    described
}
