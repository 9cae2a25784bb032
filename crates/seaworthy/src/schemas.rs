//! The documents that Seaworthy answers, each with the JSON Schema of its type.
//!
//! `seaworthy schema` prints and uses them, the OpenAPI document refers to them, and `schemas/` keeps them for whoever has
//! no binary at hand. A schema is written without references, so that it can be put wherever one is needed. It is open: a later
//! version may add keys, and takes none away before it is called `v2`.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use seaworthy_config::history::{Entry, Version};
use seaworthy_config::registry::{Ack, Record};
use seaworthy_health::{ComponentDocument, FeatureDocument, Format, ReportDocument, draft_schema};
use seaworthy_http::rescue;
use serde_json::{Map, Value, json};

use crate::armour::{
    BanDocument, BansDocument, BreakerDocument, ErrorsDocument, FlagDocument, FlagsDocument,
    LimitsDocument, PoolsDocument, ResetDocument, SecurityDocument,
};
use crate::documents::DocumentsDocument;
use crate::flags::FeatureFlagsDocument;
use crate::instance::{Phase, Status};
use crate::reload::ConfigDocument;
use seaworthy_config::Report;

/// One kind of document.
#[derive(Clone, Copy, Debug)]
pub struct Document {
    /// What it is called.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

/// All of them.
pub const ALL: [Document; 35] = [
    Document {
        name: "health",
        about: "health, in Seaworthy's own shape",
        schema: |generator| Format::Full.schema(generator),
    },
    Document {
        name: "health-scry",
        about: "health, in the shape of the preset scry",
        schema: |generator| Format::Scry.schema(generator),
    },
    Document {
        name: "health-kronos",
        about: "health, in the shape of the preset kronos",
        schema: |generator| Format::Kronos.schema(generator),
    },
    Document {
        name: "health-house",
        about: "health, in the shape of the preset house",
        schema: |generator| Format::House.schema(generator),
    },
    Document {
        name: "health-soma",
        about: "health, in the shape of the preset soma",
        schema: |generator| Format::Soma.schema(generator),
    },
    Document {
        name: "health-harvester",
        about: "health, in the shape of the preset harvester",
        schema: |generator| Format::Harvester.schema(generator),
    },
    Document {
        name: "health-draft",
        about: "health, as application/health+json",
        schema: draft_schema,
    },
    Document {
        name: "checks",
        about: "all checks, as /-/checks answers",
        schema: ReportDocument::json_schema,
    },
    Document {
        name: "check",
        about: "one check, as /-/checks/NAME answers",
        schema: ComponentDocument::json_schema,
    },
    Document {
        name: "config",
        about: "the configuration that holds, as /-/config answers",
        schema: ConfigDocument::json_schema,
    },
    Document {
        name: "versions",
        about: "the configurations that held, as /-/config/history answers",
        schema: Vec::<Entry>::json_schema,
    },
    Document {
        name: "version",
        about: "one configuration that held, as /-/config/history/NUMBER answers",
        schema: Version::json_schema,
    },
    Document {
        name: "reload",
        about: "what became of a wish to reload, as /-/config/reload answers",
        schema: Report::json_schema,
    },
    Document {
        name: "features",
        about: "all features, as /-/features answers",
        schema: Vec::<FeatureDocument>::json_schema,
    },
    Document {
        name: "feature",
        about: "one feature, as /-/features/NAME answers",
        schema: FeatureDocument::json_schema,
    },
    Document {
        name: "flags",
        about: "the feature flags, as /-/flags answers",
        schema: FeatureFlagsDocument::json_schema,
    },
    Document {
        name: "documents",
        about: "the application's own settings, as /-/config/documents answers",
        schema: DocumentsDocument::json_schema,
    },
    Document {
        name: "document",
        about: "what one of the application's own settings says, whatever that is",
        schema: |_| json_schema!({}),
    },
    Document {
        name: "bans",
        about: "who is blocked, as /-/bans answers",
        schema: BansDocument::json_schema,
    },
    Document {
        name: "ban",
        about: "one who is blocked",
        schema: BanDocument::json_schema,
    },
    Document {
        name: "limits",
        about: "the rate limits, as /-/limits answers",
        schema: LimitsDocument::json_schema,
    },
    Document {
        name: "limits-reset",
        about: "which rate limits of a caller begin anew",
        schema: ResetDocument::json_schema,
    },
    Document {
        name: "abuse",
        about: "who is flagged, as /-/abuse answers",
        schema: FlagsDocument::json_schema,
    },
    Document {
        name: "flag",
        about: "one who is flagged",
        schema: FlagDocument::json_schema,
    },
    Document {
        name: "concurrency",
        about: "how busy the app is, as /-/concurrency answers",
        schema: PoolsDocument::json_schema,
    },
    Document {
        name: "security",
        about: "who is blocked and who is flagged, as the view security answers",
        schema: SecurityDocument::json_schema,
    },
    Document {
        name: "breakers",
        about: "all breakers, as /-/breakers answers",
        schema: Vec::<BreakerDocument>::json_schema,
    },
    Document {
        name: "breaker",
        about: "one breaker, as /-/breakers/NAME/ACTION answers",
        schema: BreakerDocument::json_schema,
    },
    Document {
        name: "errors",
        about: "the errors of each service, as /-/errors answers",
        schema: ErrorsDocument::json_schema,
    },
    Document {
        name: "status",
        about: "the state of an instance, as /-/status answers",
        schema: Status::json_schema,
    },
    Document {
        name: "phase",
        about: "where an instance is in its life, as /-/prestop and /-/stop answer",
        schema: Phase::json_schema,
    },
    Document {
        name: "error",
        about: "an error of Seaworthy's own",
        schema: rescue::Envelope::json_schema,
    },
    Document {
        name: "problem",
        about: "the same, with errors.format: problem",
        schema: rescue::Problem::json_schema,
    },
    Document {
        name: "registry",
        about: "a record of a registry, without its envelope",
        schema: Record::json_schema,
    },
    Document {
        name: "registry-ack",
        about: "what an instance says of a record of a registry",
        schema: Ack::json_schema,
    },
];

/// The name of the documents of a format.
pub const fn of(format: Format) -> &'static str {
    match format {
        Format::Full => "health",
        Format::Scry => "health-scry",
        Format::Kronos => "health-kronos",
        Format::House => "health-house",
        Format::Soma => "health-soma",
        Format::Harvester => "health-harvester",
    }
}

/// The document of a name.
pub fn find(name: &str) -> Option<Document> {
    ALL.into_iter().find(|document| document.name == name)
}

impl Document {
    /// Where the repository keeps its schema.
    pub fn file(self) -> String {
        let folder = match self.name {
            "registry" | "registry-ack" => "config",
            _ => "http",
        };
        format!("schemas/{folder}/{}.v1.schema.json", self.name)
    }

    /// Its schema, on its own.
    pub fn schema(self) -> Value {
        let head = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": format!("urn:seaworthy:schema:{}:v1", self.name),
            "title": self.about,
        });
        let members = [head, self.part()].into_iter().filter_map(into_object);
        members.flatten().collect::<Map<_, _>>().into()
    }

    /// Its schema, as a part of another document.
    pub fn part(self) -> Value {
        let written = SchemaSettings::draft2020_12().for_serialize();
        let mut schema = (self.schema)(&mut inlined(written));
        NeverNull.transform(&mut schema);
        schema.to_value()
    }
}

/// The schema of something that is sent to Seaworthy, as a part of another document.
pub fn input<T: JsonSchema>() -> Value {
    let read = SchemaSettings::draft2020_12().for_deserialize();
    T::json_schema(&mut inlined(read)).to_value()
}

fn inlined(settings: SchemaSettings) -> SchemaGenerator {
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    settings.into_generator()
}

/// What may be left out is left out when there is none, and never written as `null`.
#[derive(Clone, Debug)]
struct NeverNull;

impl Transform for NeverNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let required = schema.get("required").cloned().unwrap_or_default();
        let is_required = |key: &str| {
            required
                .as_array()
                .is_some_and(|keys| keys.iter().any(|known| known == key))
        };
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        for (key, property) in properties.into_iter().flatten() {
            if is_required(key) {
                continue;
            }
            if let Some([kind, Value::String(null)]) =
                property["type"].as_array().map(Vec::as_slice)
                && null == "null"
            {
                property["type"] = kind.clone();
            }
        }
    }
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_left_out_is_never_null() {
        let properties = &find("health").unwrap().schema()["properties"];
        assert_eq!(properties["message"]["type"], "string");
        assert_eq!(
            properties["startup"]["properties"]["duration_ms"]["type"],
            json!(["integer", "null"])
        );
    }

    #[test]
    fn each_is_a_schema_on_its_own() {
        for document in ALL {
            let schema = document.schema();
            jsonschema::draft202012::new(&schema).unwrap();
            assert!(!schema.to_string().contains("\"$ref\""), "{schema}");
        }
        for format in Format::ALL {
            assert!(find(of(format)).is_some(), "{format:?}");
        }
    }
}
