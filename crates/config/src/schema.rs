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

/// The keyword by which a setting says that a running service cannot take a change of it in: `#[schemars(extend("x-restart" = true))]`.
/// It holds for everything below, too.
pub const RESTART: &str = "x-restart";

/// The keyword by which a setting says that only those who can write the files may say it, and no registry:
/// `#[schemars(extend("x-local" = true))]`. It holds for everything below, too.
pub const LOCAL: &str = "x-local";

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

/// Whether a `T` takes a change at this path in only when it is started.
#[must_use]
pub fn needs_restart<T: JsonSchema>(path: &Path) -> bool {
    let restarts = restarts(&schema_of::<T>());
    restarts.iter().any(|one| one.overlaps(path))
}

/// The address of a setting by its own names, wherever `path` has others of it.
#[must_use]
pub fn own_names(root: &Json, path: &Path) -> Path {
    let mut schema = Some(root);
    path.segments().iter().fold(Path::root(), |place, segment| {
        let found = schema.and_then(|schema| step(root, schema, &place, segment));
        schema = found.as_ref().map(|(schema, _)| *schema);
        found.map_or_else(|| place.join(segment), |(_, place)| place)
    })
}

/// The first setting with `keyword` among those that `value` says something of when it stands at `path`, by the schema `root`.
#[must_use]
pub fn marked(root: &Json, keyword: &str, path: &Path, value: &Json) -> Option<Path> {
    let is_marked = |schema: &Json| schema.get(keyword) == Some(&Json::Bool(true));
    let (mut schema, mut place) = (root, Path::root());
    for segment in path.segments() {
        (schema, place) = step(root, schema, &place, segment)?;
        if is_marked(schema) {
            return Some(place);
        }
    }
    let mut open = vec![(schema, place, value)];
    while let Some((schema, place, value)) = open.pop() {
        if is_marked(schema) {
            return Some(place);
        }
        match value {
            Json::Object(entries) => {
                for (key, value) in entries {
                    if let Some((schema, place)) = named(root, schema, &place, key) {
                        open.push((schema, place, value));
                    }
                }
            }
            Json::Array(values) => {
                if let Some(items) = single(root, schema).get("items") {
                    let values = values.iter().enumerate();
                    open.extend(values.map(|(index, value)| (items, place.index(index), value)));
                }
            }
            _ => {}
        }
    }
    None
}

/// The schema one segment further down, and its place by its own name.
fn step<'a>(
    root: &'a Json,
    schema: &'a Json,
    place: &Path,
    segment: &Segment,
) -> Option<(&'a Json, Path)> {
    match segment {
        Segment::Key(key) => named(root, schema, place, key),
        Segment::Index(index) => {
            let items = single(root, schema).get("items")?;
            Some((items, place.index(*index)))
        }
    }
}

/// The schema of a key by any of its names, and its place by its own.
fn named<'a>(
    root: &'a Json,
    schema: &'a Json,
    place: &Path,
    key: &str,
) -> Option<(&'a Json, Path)> {
    let key = alias(root, schema, key).unwrap_or(key);
    Some((child(root, schema, key)?, place.key(key)))
}

/// What the schema of a `T` says of the setting at a path: its description, its type and its bounds.
#[must_use]
pub fn about_setting<T: JsonSchema>(path: &Path) -> Option<Json> {
    let root = schema_of::<T>();
    let schema = at(&root, path)?;
    let mut about = schema.clone();
    let general = resolve(&root, schema);
    // What is said of the setting itself counts more than what is said of its type.
    if let (Some(own), Some(general)) = (about.as_object_mut(), general.as_object()) {
        for (key, value) in general {
            own.entry(key.clone()).or_insert_with(|| value.clone());
        }
        own.shift_remove("$ref");
    }
    Some(about)
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

/// The setting that `key` is another name of, as [`ALIASES`] say, here or in one of the alternatives. What is listed there counts even
/// where the schema knows the key as well, as it does for editors.
pub(crate) fn alias<'a>(root: &'a Json, schema: &'a Json, key: &str) -> Option<&'a str> {
    let has = |schema: &Json| {
        let aliases = schema.get(ALIASES).and_then(Json::as_array);
        aliases.is_some_and(|aliases| aliases.iter().any(|alias| alias == key))
    };
    let schema = resolve(root, schema);
    let properties = schema.get("properties").and_then(Json::as_object);
    let mut named = properties.into_iter().flatten();
    let own = named.find(|(_, schema)| has(schema));
    own.map(|(name, _)| name.as_str()).or_else(|| {
        let mut branches = branches(schema)?.iter();
        branches.find_map(|branch| alias(root, branch, key))
    })
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

/// All settings that say so themselves that they need a restart. Inside of lists and free mappings nothing does.
pub(crate) fn restarts(root: &Json) -> Vec<Path> {
    let mut found = Vec::new();
    let mut open = vec![(Path::root(), root)];
    while let Some((path, schema)) = open.pop() {
        let Some(properties) = single(root, schema)
            .get("properties")
            .and_then(Json::as_object)
        else {
            continue;
        };
        for (key, schema) in properties {
            let path = path.key(key.as_str());
            if schema.get(RESTART) == Some(&Json::Bool(true)) {
                found.push(path);
            } else if path.segments().len() < DEEPEST {
                open.push((path, schema));
            }
        }
    }
    found.sort();
    found
}

/// Sections lie in sections, and not deeper than this; a type that holds itself ends here.
const DEEPEST: usize = 8;

/// The schema itself, or the only alternative to nothing.
pub(crate) fn single<'a>(root: &'a Json, schema: &'a Json) -> &'a Json {
    let schema = resolve(root, schema);
    let Some(branches) = branches(schema) else {
        return schema;
    };
    let mut some = branches
        .iter()
        .filter(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
    match (some.next(), some.next()) {
        (Some(only), None) => resolve(root, only),
        _ => schema,
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
