//! Presets that ship in the binary: the numbers of five known systems.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A named set of settings that everything else overrides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// An ingestion service: short drain, aliases `/health` and `/ready`.
    Scry,
    /// A prediction service: long drain, `/v1/healthz` and `/v1/readyz`.
    Kronos,
    /// A bot with an API.
    House,
    /// A gateway: `/live`, `/ready`, 20 s to the end.
    Soma,
    /// A harvester of signals.
    Harvester,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Scry,
        Self::Kronos,
        Self::House,
        Self::Soma,
        Self::Harvester,
    ];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scry => "scry",
            Self::Kronos => "kronos",
            Self::House => "house",
            Self::Soma => "soma",
            Self::Harvester => "harvester",
        }
    }

    /// Finds the preset of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// What it says, as YAML.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Scry => include_str!("../../presets/scry.yaml"),
            Self::Kronos => include_str!("../../presets/kronos.yaml"),
            Self::House => include_str!("../../presets/house.yaml"),
            Self::Soma => include_str!("../../presets/soma.yaml"),
            Self::Harvester => include_str!("../../presets/harvester.yaml"),
        }
    }
}
