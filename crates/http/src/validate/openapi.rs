//! Schemas out of an app's own OpenAPI document (3.1, and 3.0 but for its `nullable`).

use serde_json::{Value, json};

use super::schema::{BadSchema, Schema};
use crate::media::is_json;

/// The schema of what `method` takes at `template`, such as `/v1/predict` or `/users/{id}`; `None` if the document knows of
/// none. The names of parameters do not matter. With a `*` at the end the template means the path without it, or else the only one
/// that begins so.
///
/// # Errors
/// Why the schema cannot be used, or that there are several.
pub fn schema(document: &Value, method: &str, template: &str) -> Result<Option<Schema>, BadSchema> {
    let Some(paths) = document.get("paths").and_then(Value::as_object) else {
        return Err(BadSchema("this is no OpenAPI document".to_owned()));
    };
    let method = method.to_ascii_lowercase();
    let found = paths.iter().filter_map(|(path, item)| {
        let content = item
            .get(&method)?
            .pointer("/requestBody/content")?
            .as_object()?;
        let kind = content.keys().find(|kind| is_json(kind))?;
        content[kind].get("schema")?;
        covers(template, path).then_some((path, kind))
    });
    let found: Vec<(&String, &String)> = found.collect();
    let exact = template.trim_end_matches('*');
    let chosen = found.iter().find(|(path, _)| covers(exact, path));
    let (path, kind) = match (chosen, found.as_slice()) {
        (Some(chosen), _) | (None, [chosen]) => *chosen,
        (None, []) => return Ok(None),
        (None, [(one, _), (other, _), ..]) => {
            let why = format!("it describes both {one} and {other}: write a route for each");
            return Err(BadSchema(why));
        }
    };
    let escape = |part: &str| part.replace('~', "~0").replace('/', "~1");
    let place = format!(
        "#/paths/{}/{method}/requestBody/content/{}/schema",
        escape(path),
        escape(kind)
    );
    // References of the schema lead through the document, so it comes along; beside `$ref` its members mean nothing.
    let mut whole = json!({"$ref": percent(&place), "paths": paths});
    if let Some(components) = document.get("components") {
        whole["components"] = components.clone();
    }
    Schema::new(&whole).map(Some)
}

/// Whether the app's path is one of the template's.
fn covers(template: &str, path: &str) -> bool {
    let is_parameter = |part: &str| part.starts_with([':', '{']);
    let mut theirs = path.split('/');
    for part in template.split('/') {
        if let Some(begin) = part.strip_suffix('*') {
            return theirs.next().is_some_and(|other| other.starts_with(begin));
        }
        match theirs.next() {
            Some(other) if other == part || is_parameter(part) && is_parameter(other) => {}
            _ => return false,
        }
    }
    theirs.next().is_none()
}

/// A fragment as it stands in a URL.
fn percent(place: &str) -> String {
    place
        .replace('%', "%25")
        .replace('{', "%7B")
        .replace('}', "%7D")
        .replace(' ', "%20")
        .replace('"', "%22")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_found_by_method_and_path_with_all_it_refers_to() {
        let document = json!({
            "openapi": "3.1.0",
            "paths": {
                "/v1/predict": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ask"}}}}}},
                "/users/{user_id}": {"put": {"requestBody": {"content": {"application/json; charset=utf-8": {"schema": {"type": "object"}}}}}},
            },
            "components": {"schemas": {
                "Ask": {"type": "object", "required": ["n"], "properties": {"n": {"$ref": "#/components/schemas/N"}}},
                "N": {"type": "integer"},
            }},
        });
        let found = schema(&document, "POST", "/v1/predict*").unwrap().unwrap();
        assert!(found.check(&json!({"n": 1})).is_ok());
        assert_eq!(found.check(&json!({"n": "x"})).unwrap_err().field, "n");
        assert_eq!(found.check(&json!({})).unwrap_err().field, "n");
        let user = schema(&document, "PUT", "/users/:id").unwrap().unwrap();
        assert!(user.check(&json!([])).is_err());
        assert!(schema(&document, "GET", "/v1/predict").unwrap().is_none());
        assert!(schema(&document, "POST", "/v1").unwrap().is_none());
        assert!(schema(&json!([]), "POST", "/").is_err());
    }

    #[test]
    fn of_several_paths_the_one_that_is_named_counts_and_none_by_chance() {
        let takes = |kind: &str| json!({"post": {"requestBody": {"content": {"application/json": {"schema": {"type": kind}}}}}});
        let document = json!({"paths": {
            "/v1/a/batch": takes("array"),
            "/v1/a/{id}": takes("array"),
            "/v1/a": takes("object"),
            "/v2/a": takes("object"),
        }});
        let found = |template: &str| schema(&document, "POST", template);
        for template in ["/v1/a*", "/v1/a", "/v2/*"] {
            let found = found(template).unwrap().unwrap();
            assert!(found.check(&json!({})).is_ok(), "{template}");
        }
        let batch = found("/v1/a/batch").unwrap().unwrap();
        assert!(batch.check(&json!([])).is_ok());
        for template in ["/v1/a/*", "/v1*", "/*"] {
            let BadSchema(why) = found(template).unwrap_err();
            assert!(why.contains("write a route for each"), "{template}: {why}");
        }
    }
}
