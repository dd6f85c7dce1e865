//! The nouns. Everything here is serde-serialisable, because stores keep parts of it as JSON columns: a field
//! that is added later needs `#[serde(default)]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambent_core::function::{LogFormat, LogLevel};
use lambent_core::ids::{AccountId, CodeDigest, FunctionName, Region, RevisionId, Version};
use lambent_core::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FunctionKey {
    pub account: AccountId,
    pub region: Region,
    pub name: FunctionName,
}

/// A function with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionRecord {
    pub key: FunctionKey,
    /// Rises by one with every change; see [`super::Command`].
    pub generation: u64,
    pub latest: Arc<VersionRecord>,
    /// By version number. A version never changes, but for its state.
    pub versions: BTreeMap<u64, Arc<VersionRecord>>,
    /// The number that the next published version gets. Numbers are not used twice, even after a deletion.
    pub next_version: u64,
    pub aliases: BTreeMap<String, AliasRecord>,
    /// Resource policies by qualifier; the unqualified function's is under the empty text.
    pub policies: BTreeMap<String, PolicyRecord>,
    /// Function URLs by qualifier: an alias, or the empty text for the unqualified function.
    #[serde(default)]
    pub urls: BTreeMap<String, UrlRecord>,
    pub tags: BTreeMap<String, String>,
    pub reserved_concurrency: Option<u32>,
    /// Provisioned concurrency by qualifier: a version's number or an alias.
    #[serde(default)]
    pub provisioned: BTreeMap<String, ProvisionedRecord>,
    /// What becomes of asynchronous calls, by qualifier: `$LATEST`, a version's number or an alias.
    #[serde(default)]
    pub event_invokes: BTreeMap<String, EventInvokeRecord>,
    #[serde(default)]
    pub recursive_loop: RecursiveLoop,
}

/// Whether a call that came through the function too often is stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecursiveLoop {
    #[default]
    Terminate,
    Allow,
}

impl FunctionRecord {
    /// What the function takes of its account's concurrency for itself: its reservation, which its provisioned
    /// concurrency is a part of, or else that.
    pub fn claimed_concurrency(&self) -> u64 {
        self.reserved_concurrency.map_or_else(|| self.provisioned_concurrency(), u64::from)
    }

    /// The provisioned concurrency of all its versions and aliases.
    pub fn provisioned_concurrency(&self) -> u64 {
        self.provisioned.values().map(|provisioned| u64::from(provisioned.requested)).sum()
    }
}

/// How asynchronous calls are tried again, and who hears of their end. What is absent has the reference's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventInvokeRecord {
    pub max_retries: Option<u32>,
    pub max_age_secs: Option<u32>,
    /// The ARN of the destination.
    pub on_success: Option<String>,
    pub on_failure: Option<String>,
    pub last_modified: Timestamp,
}

/// How many environments of a version or an alias are kept initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionedRecord {
    pub requested: u32,
    pub last_modified: Timestamp,
}

/// One version's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionRecord {
    pub version: Version,
    pub revision: RevisionId,
    pub description: String,
    pub runtime: String,
    pub handler: String,
    pub role: String,
    pub code: CodeDigest,
    pub code_bytes: u64,
    pub unzipped_bytes: u64,
    pub architecture: String,
    pub layers: Vec<LayerUse>,
    pub memory_mb: u32,
    pub timeout_secs: u32,
    pub ephemeral_mb: u32,
    pub environment: BTreeMap<String, String>,
    pub logging: LoggingRecord,
    /// The ARN of the queue that gets asynchronous events that are given up.
    #[serde(default)]
    pub dead_letter: Option<String>,
    /// SnapStart's ApplyOn: whether it is PublishedVersions.
    #[serde(default)]
    pub snap_start: bool,
    pub last_modified: Timestamp,
    pub state: State,
    pub last_update: LastUpdate,
}

/// A layer version in a function: what it was when the function was configured, so that deleting the layer
/// version leaves the function as it is, as the reference promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerUse {
    pub arn: String,
    pub digest: CodeDigest,
    pub zipped_bytes: u64,
    pub unzipped_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggingRecord {
    pub group: String,
    pub format: LogFormat,
    /// Present only with JSON.
    pub application_level: Option<LogLevel>,
    pub system_level: Option<LogLevel>,
}

/// State, StateReason and StateReasonCode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    Pending { reason: String, code: String },
    Active,
    Failed { reason: String, code: String },
}

/// LastUpdateStatus and its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LastUpdate {
    InProgress { reason: String, code: String },
    Successful,
    Failed { reason: String, code: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AliasRecord {
    pub name: String,
    pub version: Version,
    pub description: String,
    /// AdditionalVersionWeights: at most one, with its share of the calls.
    pub routing: Option<(u64, f64)>,
    pub revision: RevisionId,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyRecord {
    pub revision: RevisionId,
    pub statements: Vec<StatementRecord>,
}

/// A statement as AddPermission made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatementRecord {
    pub id: String,
    pub action: String,
    pub principal: String,
    pub source_arn: Option<String>,
    pub source_account: Option<String>,
    pub event_source_token: Option<String>,
    pub principal_org_id: Option<String>,
    pub function_url_auth_type: Option<String>,
    pub invoked_via_function_url: Option<bool>,
}

/// A function URL: an address under which plain HTTP requests are calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlRecord {
    /// The first label of its host name; never changes.
    pub id: String,
    pub auth: UrlAuth,
    pub invoke_mode: UrlInvokeMode,
    pub cors: Option<CorsRecord>,
    pub created: Timestamp,
    pub last_modified: Timestamp,
}

/// AuthType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UrlAuth {
    #[serde(rename = "NONE")]
    None,
    #[serde(rename = "AWS_IAM")]
    AwsIam,
}

/// InvokeMode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UrlInvokeMode {
    #[serde(rename = "BUFFERED")]
    Buffered,
    #[serde(rename = "RESPONSE_STREAM")]
    ResponseStream,
}

/// Cors, member by member as it was given: what was not given is not shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsRecord {
    pub allow_credentials: Option<bool>,
    pub allow_headers: Option<Vec<String>>,
    pub allow_methods: Option<Vec<String>>,
    pub allow_origins: Option<Vec<String>>,
    pub expose_headers: Option<Vec<String>>,
    pub max_age_secs: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LayerKey {
    pub account: AccountId,
    pub region: Region,
    pub name: String,
}

/// A layer. It stays, without versions, when its last version is deleted, so that numbers are not used twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    pub key: LayerKey,
    pub generation: u64,
    pub next_version: u64,
    pub versions: BTreeMap<u64, Arc<LayerVersionRecord>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerVersionRecord {
    pub version: u64,
    pub description: String,
    pub license: Option<String>,
    pub compatible_runtimes: Vec<String>,
    pub compatible_architectures: Vec<String>,
    pub digest: CodeDigest,
    pub zipped_bytes: u64,
    pub unzipped_bytes: u64,
    pub created: Timestamp,
}
