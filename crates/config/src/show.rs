//! A loaded configuration as text: canonical JSON, its hash, and where each value came from.

use serde::Serialize;
use serde_json::{Map as JsonMap, Value as Json};

use crate::loaded::Loaded;
use crate::path::{Path, Segment};
use crate::source::Place;

/// One value with its origin.
#[derive(Debug, Clone, Serialize)]
pub struct Setting {
    /// Its address.
    pub path: String,
    /// The value; secrets are masked.
    pub value: Json,
    /// Where it came from; absent for a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The same in words: `default`, `preset NAME:LINE`, `FILE:LINE`, `env NAME`, `flag NAME`.
    pub origin: String,
}

/// A hash of a configuration as JSON, equal for equal content.
#[must_use]
pub fn hash_of(canonical: &Json) -> String {
    format!("{:032x}", fnv1a(canonical.to_string().as_bytes()))
}

impl<T: Serialize> Loaded<T> {
    /// The whole configuration with its defaults as JSON, keys sorted, unset keys left out, secrets masked. Values that hold
    /// references are shown as they were written.
    ///
    /// # Panics
    /// When the type cannot be written as JSON, which is a fault of the type.
    #[must_use]
    pub fn canonical(&self) -> Json {
        let value = serde_json::to_value(&self.value).expect("a configuration is plain data");
        let mut value = sorted(value);
        for one in &self.written {
            overwrite(&mut value, &one.path, &one.shown);
        }
        value
    }

    /// A hash of the canonical JSON: equal for equal content, whatever the notation or the order of keys.
    ///
    /// Secrets count as masked: a hash that is printed must not help to guess them.
    #[must_use]
    pub fn hash(&self) -> String {
        hash_of(&self.canonical())
    }

    /// The canonical configuration as YAML.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        yaml(&self.canonical())
    }

    /// Every value with its origin, defaults included.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        self.collect(&Path::root(), &self.canonical(), &mut settings);
        settings
    }

    fn collect(&self, path: &Path, value: &Json, settings: &mut Vec<Setting>) {
        match value {
            Json::Object(object) if !object.is_empty() => {
                for (key, value) in object {
                    self.collect(&path.key(key.as_str()), value, settings);
                }
            }
            Json::Array(items) if items.iter().any(Json::is_object) => {
                for (index, value) in items.iter().enumerate() {
                    self.collect(&path.index(index), value, settings);
                }
            }
            value => {
                let place = self.place(path);
                settings.push(Setting {
                    path: path.to_string(),
                    value: value.clone(),
                    origin: place
                        .as_ref()
                        .map_or_else(|| "default".to_owned(), ToString::to_string),
                    place,
                });
            }
        }
    }
}

/// Writes any JSON as YAML.
///
/// # Panics
/// Never: JSON is always YAML.
#[must_use]
pub fn yaml(value: &Json) -> String {
    serde_saphyr::to_string(value).expect("JSON is always YAML")
}

/// Puts what was written in place of what it stands for. Where a type shows itself in another shape, the closest thing around
/// it goes: too little is shown rather than too much.
fn overwrite(value: &mut Json, path: &Path, written: &str) {
    let written = Json::String(written.to_owned());
    let mut at = value;
    for segment in path.segments() {
        let fits = match segment {
            Segment::Key(_) => at.is_object(),
            Segment::Index(index) => at.get(*index).is_some(),
        };
        if !fits {
            break;
        }
        // A key that is not there is made, empty.
        at = match segment {
            Segment::Key(key) => &mut at[key.as_str()],
            Segment::Index(index) => &mut at[*index],
        };
        if at.is_null() {
            break;
        }
    }
    *at = written;
}

fn sorted(value: Json) -> Json {
    match value {
        Json::Object(object) => {
            let mut entries: Vec<_> = object
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(
                entries
                    .into_iter()
                    .map(|(key, value)| (key, sorted(value)))
                    .collect::<JsonMap<_, _>>(),
            )
        }
        Json::Array(items) => Json::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// FNV-1a in its 128-bit form. It tells versions apart; it does not defend against someone who forges them.
pub(crate) fn fnv1a(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::fnv1a;

    #[test]
    fn hashes_as_the_published_vectors_do() {
        assert_eq!(fnv1a(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(fnv1a(b"foobar"), 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
    }
}
