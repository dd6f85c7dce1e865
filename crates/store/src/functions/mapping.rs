//! Event source mappings: which queue's messages a function is called with, and how.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lambent_core::ids::{AccountId, Region};
use lambent_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::FunctionKey;

/// An event source mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingRecord {
    /// Its UUID: the same for no two mappings of the node.
    pub id: String,
    /// Rises by one with every change; see [`super::Command`].
    pub generation: u64,
    /// The function, which may not be there any more: a mapping outlives it.
    pub function: FunctionKey,
    /// A version or an alias, as the caller named it.
    pub qualifier: Option<String>,
    /// The ARN of the queue.
    pub source: String,
    pub batch_size: u32,
    /// MaximumBatchingWindowInSeconds.
    pub window_secs: u32,
    /// Event patterns of which a message is to match one; without any, all messages are wanted.
    #[serde(default)]
    pub filters: Vec<String>,
    /// ReportBatchItemFailures.
    #[serde(default)]
    pub reports_item_failures: bool,
    #[serde(default)]
    pub maximum_concurrency: Option<u32>,
    #[serde(default)]
    pub provisioned: Option<PollersRecord>,
    /// MetricsConfig as it was given.
    #[serde(default)]
    pub metrics: Vec<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    pub state: MappingState,
    pub last_modified: Timestamp,
}

/// ProvisionedPollerConfig as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollersRecord {
    pub minimum: Option<u32>,
    pub maximum: Option<u32>,
}

/// State, and for those on their way where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MappingState {
    Creating { enabled: bool },
    Enabling,
    Enabled,
    Disabling,
    Disabled,
    Updating { enabled: bool },
    Deleting,
}

impl MappingState {
    /// Whether the mapping reads its queue, or is about to.
    pub fn is_enabled(self) -> bool {
        match self {
            Self::Enabling | Self::Enabled => true,
            Self::Creating { enabled } | Self::Updating { enabled } => enabled,
            Self::Disabling | Self::Disabled | Self::Deleting => false,
        }
    }

    /// As the API names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating { .. } => "Creating",
            Self::Enabling => "Enabling",
            Self::Enabled => "Enabled",
            Self::Disabling => "Disabling",
            Self::Disabled => "Disabled",
            Self::Updating { .. } => "Updating",
            Self::Deleting => "Deleting",
        }
    }
}

impl MappingRecord {
    pub fn account(&self) -> &AccountId {
        &self.function.account
    }

    pub fn region(&self) -> &Region {
        &self.function.region
    }

    fn pair(&self) -> Pair {
        (self.source.clone(), self.function.clone(), self.qualifier.clone())
    }
}

/// A queue and a function: they have one mapping at the most.
type Pair = (String, FunctionKey, Option<String>);

/// All mappings of the node.
#[derive(Default, Clone)]
pub(super) struct Mappings {
    by_id: BTreeMap<String, Arc<MappingRecord>>,
    by_pair: HashMap<Pair, String>,
}

impl Mappings {
    pub fn get(&self, id: &str) -> Option<&Arc<MappingRecord>> {
        self.by_id.get(id)
    }

    /// The id of the mapping that the record's queue and function have.
    pub fn of_pair(&self, record: &MappingRecord) -> Option<&str> {
        self.by_pair.get(&record.pair()).map(String::as_str)
    }

    /// In the order of their ids.
    pub fn all(&self) -> impl Iterator<Item = &Arc<MappingRecord>> {
        self.by_id.values()
    }

    pub fn put(&mut self, record: Arc<MappingRecord>) {
        let pair = record.pair();
        if let Some(old) = self.by_id.insert(record.id.clone(), record.clone()) {
            self.by_pair.remove(&old.pair());
        }
        self.by_pair.insert(pair, record.id.clone());
    }

    pub fn delete(&mut self, id: &str) {
        if let Some(old) = self.by_id.remove(id) {
            self.by_pair.remove(&old.pair());
        }
    }
}
