//! Layers and their versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambent_core::time::Timestamp;
use lambent_store::functions::{LayerKey, LayerRecord, LayerVersionRecord};

use super::function::Package;

#[derive(Debug, Clone)]
pub struct Publish {
    pub key: LayerKey,
    pub description: String,
    pub license: Option<String>,
    pub compatible_runtimes: Vec<String>,
    pub compatible_architectures: Vec<String>,
    pub package: Package,
}

/// PublishLayerVersion: always a new version, of a layer that is there or not.
pub fn publish(
    current: Option<&LayerRecord>,
    request: &Publish,
    now: Timestamp,
) -> (LayerRecord, Arc<LayerVersionRecord>) {
    let number = current.map_or(1, |layer| layer.next_version);
    let version = Arc::new(LayerVersionRecord {
        version: number,
        description: request.description.clone(),
        license: request.license.clone(),
        compatible_runtimes: request.compatible_runtimes.clone(),
        compatible_architectures: request.compatible_architectures.clone(),
        digest: request.package.digest.clone(),
        zipped_bytes: request.package.zipped_bytes,
        unzipped_bytes: request.package.unzipped_bytes,
        created: now,
    });
    let mut versions = current.map_or_else(BTreeMap::new, |layer| layer.versions.clone());
    versions.insert(number, version.clone());
    let generation = current.map_or(0, |layer| layer.generation) + 1;
    let layer = LayerRecord { key: request.key.clone(), generation, next_version: number + 1, versions };
    (layer, version)
}

/// DeleteLayerVersion. `None` when there is no such version.
pub fn delete(current: &LayerRecord, number: u64) -> Option<LayerRecord> {
    current.versions.get(&number)?;
    let mut layer = LayerRecord { generation: current.generation + 1, ..current.clone() };
    layer.versions.remove(&number);
    Some(layer)
}

/// Which layer versions a listing shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub runtime: Option<String>,
    pub architecture: Option<String>,
}

impl Filter {
    /// A version that names no runtimes or no architectures is compatible with none of them by name.
    pub fn takes(&self, version: &LayerVersionRecord) -> bool {
        let takes = |wanted: &Option<String>, offered: &[String]| {
            wanted.as_ref().is_none_or(|wanted| offered.contains(wanted))
        };
        takes(&self.runtime, &version.compatible_runtimes)
            && takes(&self.architecture, &version.compatible_architectures)
    }
}
