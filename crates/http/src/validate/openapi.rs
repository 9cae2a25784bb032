//! Schemas out of an app's own OpenAPI document (3.1, and 3.0 but for its `nullable`).

use serde_json::{Value, json};

use super::schema::{BadSchema, Schema};

/// Documents that are larger are not read.
pub const MOST: usize = 8 << 20;

/// The schema of what `method` takes at `template`, such as `/v1/predict` or `/users/{id}`; `None` if the document knows of
/// none. The names of parameters do not matter, and neither does a `*` at the end of the template.
///
/// # Errors
/// Why the schema cannot be used.
pub fn schema(document: &Value, method: &str, template: &str) -> Result<Option<Schema>, BadSchema> {
    let Some(paths) = document.get("paths").and_then(Value::as_object) else {
        return Err(BadSchema("this is no OpenAPI document".to_owned()));
    };
    let method = method.to_ascii_lowercase();
    let found = paths.iter().find_map(|(path, item)| {
        let content = item
            .get(&method)?
            .pointer("/requestBody/content")?
            .as_object()?;
        let kind = content.keys().find(|kind| is_json(kind))?;
        content[kind].get("schema")?;
        covers(template, path).then_some((path, kind))
    });
    let Some((path, kind)) = found else {
        return Ok(None);
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

fn is_json(kind: &str) -> bool {
    let plain = kind.split(';').next().unwrap_or_default().trim();
    plain.eq_ignore_ascii_case("application/json") || plain.ends_with("+json")
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
}
