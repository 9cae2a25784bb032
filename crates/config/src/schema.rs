//! The JSON Schema of a type, and the way through it.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Value as Json, json};

use crate::path::{Path, Segment};
use crate::suggest;

/// The keyword by which a list says that layers merge its items by a key instead of replacing the whole list.
///
/// Set it with `#[schemars(extend("x-merge" = "path"))]`.
pub(crate) const MERGE: &str = "x-merge";

/// The keyword by which a mapping lists keys that say the same in different ways: a layer that writes one of them takes back what
/// layers below wrote with any of them.
///
/// Set it with `#[schemars(extend("x-instead" = ["url", "env"]))]`.
pub(crate) const INSTEAD: &str = "x-instead";

/// The keyword by which a setting lists other names for itself. What is shown, merged and named in errors goes by its own.
///
/// Set it with `#[schemars(extend("x-aliases" = ["required"]))]`.
pub(crate) const ALIASES: &str = "x-aliases";

/// Gives the JSON Schema of a type. Structs are closed but for keys that begin with `x-`.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Json {
    let generator = SchemaSettings::draft2020_12()
        .for_deserialize()
        .with_transform(Closed)
        .into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

/// Whether a `T` has a setting at a path, set or not.
#[must_use]
pub fn is_known<T: JsonSchema>(path: &Path) -> bool {
    at(&schema_of::<T>(), path).is_some()
}

/// The setting that was probably meant by a path that is none: its first unknown key is replaced by the closest known one.
#[must_use]
pub fn closest_setting<T: JsonSchema>(path: &Path) -> Option<Path> {
    let root = schema_of::<T>();
    let (mut schema, mut meant) = (&root, Path::root());
    for segment in path.segments() {
        let Segment::Key(key) = segment else {
            return None;
        };
        let known = match child(&root, schema, key) {
            Some(_) => key.as_str(),
            None => {
                let properties = resolve(&root, schema).get("properties")?.as_object()?;
                suggest::closest(key, properties.keys().map(String::as_str))?
            }
        };
        schema = child(&root, schema, known)?;
        meant = meant.key(known);
    }
    Some(meant)
}

/// Closes every struct against unknown keys, so that no type can forget to.
#[derive(Debug, Clone)]
struct Closed;

impl Transform for Closed {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        let open = object
            .get("additionalProperties")
            .is_some_and(|rest| rest != &Json::Bool(false));
        if object.contains_key("properties") && !open {
            object.insert("additionalProperties".into(), Json::Bool(false));
            object.insert("patternProperties".into(), json!({ "^x-": {} }));
        }
    }
}

/// Follows references until there is none.
pub(crate) fn resolve<'a>(root: &'a Json, mut schema: &'a Json) -> &'a Json {
    // Longer chains are cycles, which mean nothing.
    for _ in 0..16 {
        let Some(target) = schema.get("$ref").and_then(Json::as_str) else {
            break;
        };
        let Some(found) = target
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer))
        else {
            break;
        };
        schema = found;
    }
    schema
}

/// The alternatives of a schema, when it has any.
pub(crate) fn branches(schema: &Json) -> Option<&Vec<Json>> {
    schema
        .get("anyOf")
        .or_else(|| schema.get("oneOf"))
        .and_then(Json::as_array)
}

/// The setting that `key` is another name of, as [`ALIASES`] in a resolved schema say.
pub(crate) fn alias<'a>(schema: &'a Json, key: &str) -> Option<&'a str> {
    let properties = schema.get("properties")?.as_object()?;
    if properties.contains_key(key) {
        return None;
    }
    let has = |schema: &Json| {
        let aliases = schema.get(ALIASES).and_then(Json::as_array);
        aliases.is_some_and(|aliases| aliases.iter().any(|alias| alias == key))
    };
    let mut named = properties.iter().filter(|(_, schema)| has(schema));
    named.next().map(|(name, _)| name.as_str())
}

/// The schema of a key, or nothing when the key is unknown.
pub(crate) fn child<'a>(root: &'a Json, schema: &'a Json, key: &str) -> Option<&'a Json> {
    let schema = resolve(root, schema);
    if let Some(found) = schema
        .get("properties")
        .and_then(|properties| properties.get(key))
    {
        return Some(found);
    }
    if let Some(found) = schema
        .get("additionalProperties")
        .filter(|rest| !rest.is_boolean())
    {
        return Some(found);
    }
    branches(schema)?
        .iter()
        .find_map(|branch| child(root, branch, key))
}

/// Whether any key may stand here.
fn is_free(root: &Json, schema: &Json) -> bool {
    let schema = resolve(root, schema);
    schema.get("properties").is_none()
        && schema
            .get("additionalProperties")
            .is_some_and(|rest| rest != &Json::Bool(false))
        || branches(schema)
            .is_some_and(|branches| branches.iter().any(|branch| is_free(root, branch)))
}

/// Turns `LISTEN__TLS__CERT` into a path: keys of structs are lower case, keys of free mappings stay as they are.
pub(crate) fn env_path(root: &Json, name: &str) -> Path {
    let mut schema = Some(root);
    name.split("__").fold(Path::root(), |path, part| {
        let free = schema.is_some_and(|schema| is_free(root, schema));
        let key = if free {
            part.to_owned()
        } else {
            part.to_lowercase()
        };
        schema = schema.and_then(|schema| child(root, schema, &key));
        path.key(key)
    })
}

/// Whether nothing but text may stand here.
pub(crate) fn is_text(root: &Json, schema: &Json) -> bool {
    let schema = resolve(root, schema);
    if let Some(branches) = branches(schema) {
        let mut branches = branches
            .iter()
            .filter(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
        return branches.all(|branch| is_text(root, branch));
    }
    match schema.get("type") {
        Some(Json::String(kind)) => kind == "string",
        Some(Json::Array(kinds)) => kinds.iter().all(|kind| kind == "string" || kind == "null"),
        _ => false,
    }
}

/// The schema at a path.
pub(crate) fn at<'a>(root: &'a Json, path: &Path) -> Option<&'a Json> {
    path.segments()
        .iter()
        .try_fold(root, |schema, segment| match segment {
            Segment::Key(key) => child(root, schema, key),
            Segment::Index(_) => resolve(root, schema).get("items"),
        })
}
