//! The address of a setting: `listen.tls.cert`, `endpoints[2].path`.

use std::fmt;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// Into a mapping.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// The address of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Path(Vec<Segment>);

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Index(index) => index.fmt(f),
        }
    }
}

impl Path {
    /// The whole configuration.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The steps from the root.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The address of a key below this one.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Key(key.into()));
        path
    }

    /// The address of a list item below this one.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Index(index));
        path
    }

    /// The address of a segment below this one.
    #[must_use]
    pub(crate) fn join(&self, segment: &Segment) -> Self {
        let mut path = self.clone();
        path.0.push(segment.clone());
        path
    }

    /// Whether one of the two lies inside the other.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a == b)
    }

    /// The address one step up.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, parents) = self.0.split_last()?;
        Some(Self(parents.to_vec()))
    }
}

impl FromIterator<Segment> for Path {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        Self(segments.into_iter().collect())
    }
}

impl From<&str> for Path {
    /// Reads `a.b[0].c`. What is not an index in brackets is part of a key.
    fn from(text: &str) -> Self {
        let mut path = Self::root();
        for part in text.split('.').filter(|part| !part.is_empty()) {
            let (key, indices) = match part.find('[') {
                Some(at) => part.split_at(at),
                None => (part, ""),
            };
            let parsed: Option<Vec<usize>> = indices
                .split_terminator(']')
                .map(|index| index.strip_prefix('[').and_then(|index| index.parse().ok()))
                .collect();
            match parsed {
                Some(indices) => {
                    if !key.is_empty() {
                        path.0.push(Segment::Key(key.to_owned()));
                    }
                    path.0.extend(indices.into_iter().map(Segment::Index));
                }
                None => path.0.push(Segment::Key(part.to_owned())),
            }
        }
        path
    }
}

impl From<String> for Path {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&serde_path_to_error::Path> for Path {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment as Step;
        Self(
            path.iter()
                .filter_map(|step| match step {
                    Step::Seq { index } => Some(Segment::Index(*index)),
                    Step::Map { key } => Some(Segment::Key(key.clone())),
                    // A variant that is a key of the tree is reported as a map key by the JSON value below it.
                    Step::Enum { variant } => Some(Segment::Key(variant.clone())),
                    Step::Unknown => None,
                })
                .collect(),
        )
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_keys_and_indices() {
        let path = Path::from("endpoints[2].allow[0]");
        assert_eq!(
            path,
            Path::root().key("endpoints").index(2).key("allow").index(0)
        );
        assert_eq!(
            Path::from("a[x].b").segments()[0],
            Segment::Key("a[x]".into())
        );
    }

    #[test]
    fn knows_what_lies_inside() {
        assert!(Path::from("listen").overlaps(&Path::from("listen.tls.cert")));
        assert!(!Path::from("listen.tls").overlaps(&Path::from("listen.admin")));
    }

    proptest! {
        #[test]
        fn printing_round_trips(keys in proptest::collection::vec(("[a-z_]{1,8}", proptest::option::of(0_usize..99)), 0..5)) {
            let path = keys.into_iter().fold(Path::root(), |path, (key, index)| {
                let path = path.key(key);
                index.map_or(path.clone(), |index| path.index(index))
            });
            prop_assert_eq!(Path::from(path.to_string()), path);
        }
    }
}
