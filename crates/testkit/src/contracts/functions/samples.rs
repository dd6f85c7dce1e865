//! Records to test with: valid, small, and different where a number says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambent_core::function::LogFormat;
use lambent_core::ids::{AccountId, CodeDigest, FunctionName, Region, RevisionId, Version};
use lambent_core::time::Timestamp;
use lambent_store::functions::*;

pub fn account(n: u64) -> AccountId {
    AccountId::new(format!("{n:012}")).expect("twelve digits")
}

pub fn region(n: u64) -> Region {
    Region::new(format!("eu-west-{n}")).expect("a region's form")
}

pub fn digest(n: u64) -> CodeDigest {
    CodeDigest::new(format!("{n:064x}")).expect("64 hex digits")
}

pub fn revision(n: u64) -> RevisionId {
    RevisionId::new(format!("00000000-0000-4000-8000-{n:012x}")).expect("a UUID's form")
}

/// A key of account 1 in region 1.
pub fn function_key(name: &str) -> FunctionKey {
    FunctionKey {
        account: account(1),
        region: region(1),
        name: FunctionName::new(name).expect("a function name"),
    }
}

/// A key of account 1 in region 1.
pub fn layer_key(name: &str) -> LayerKey {
    LayerKey { account: account(1), region: region(1), name: name.into() }
}

/// A version that is at rest and whose package is [`digest`] `code` of `code` bytes.
pub fn version(version: Version, code: u64) -> VersionRecord {
    VersionRecord {
        version,
        revision: revision(code),
        description: String::new(),
        runtime: "python3.12".into(),
        handler: "app.handler".into(),
        role: "arn:aws:iam::000000000001:role/r".into(),
        code: digest(code),
        code_bytes: code,
        unzipped_bytes: code * 3,
        architecture: "x86_64".into(),
        layers: Vec::new(),
        memory_mb: 128,
        timeout_secs: 3,
        ephemeral_mb: 512,
        environment: BTreeMap::from([("ΚΛΕΙΔΙ".into(), "a \"quoted\"\nvalue".into())]),
        dead_letter: None,
        snap_start: false,
        logging: LoggingRecord {
            group: "/aws/lambda/f".into(),
            format: LogFormat::Text,
            application_level: None,
            system_level: None,
        },
        last_modified: Timestamp::from_millis(1_700_000_000_000 + code),
        state: State::Active,
        last_update: LastUpdate::Successful,
    }
}

/// A new function, as the first put of it carries it.
pub fn function(key: FunctionKey, code: u64) -> FunctionRecord {
    FunctionRecord {
        key,
        generation: 1,
        latest: Arc::new(version(Version::Latest, code)),
        versions: BTreeMap::new(),
        next_version: 1,
        aliases: BTreeMap::new(),
        policies: BTreeMap::new(),
        urls: BTreeMap::new(),
        tags: BTreeMap::new(),
        reserved_concurrency: None,
        provisioned: BTreeMap::new(),
        event_invokes: BTreeMap::new(),
        recursive_loop: RecursiveLoop::default(),
    }
}

/// A new layer without versions.
pub fn layer(key: LayerKey) -> LayerRecord {
    LayerRecord { key, generation: 1, next_version: 1, versions: BTreeMap::new() }
}

pub fn layer_version(version: u64, code: u64) -> LayerVersionRecord {
    LayerVersionRecord {
        version,
        description: "d".into(),
        license: code.is_multiple_of(2).then(|| "MIT".into()),
        compatible_runtimes: vec!["python3.12".into()],
        compatible_architectures: Vec::new(),
        digest: digest(code),
        zipped_bytes: code,
        unzipped_bytes: code * 2,
        created: Timestamp::from_millis(1_700_000_000_000),
    }
}

pub fn alias(name: &str, version: u64) -> AliasRecord {
    AliasRecord {
        name: name.into(),
        version: Version::Published(version),
        description: "an alias".into(),
        routing: Some((version + 1, 0.1)),
        revision: revision(version),
    }
}

pub fn event_invoke(retries: u32) -> EventInvokeRecord {
    EventInvokeRecord {
        max_retries: Some(retries),
        max_age_secs: None,
        on_success: None,
        on_failure: Some("arn:aws:lambda:us-east-1:000000000001:function:g".into()),
        last_modified: Timestamp::from_millis(1_700_000_000_000),
    }
}

pub fn provisioned(requested: u32) -> ProvisionedRecord {
    ProvisionedRecord { requested, last_modified: Timestamp::from_millis(1_700_000_000_000) }
}

pub fn policy(sid: &str) -> PolicyRecord {
    PolicyRecord {
        revision: revision(9),
        statements: vec![StatementRecord {
            id: sid.into(),
            action: "lambda:InvokeFunction".into(),
            principal: "s3.amazonaws.com".into(),
            source_arn: Some("arn:aws:s3:::b".into()),
            source_account: None,
            event_source_token: None,
            principal_org_id: None,
            function_url_auth_type: None,
            invoked_via_function_url: Some(true),
        }],
    }
}

/// A URL with every setting.
pub fn url(id: &str) -> UrlRecord {
    UrlRecord {
        id: id.into(),
        auth: UrlAuth::AwsIam,
        invoke_mode: UrlInvokeMode::ResponseStream,
        cors: Some(CorsRecord {
            allow_credentials: Some(true),
            allow_headers: Some(vec!["x-a".into()]),
            allow_methods: Some(Vec::new()),
            allow_origins: Some(vec!["https://a.example".into(), "*".into()]),
            expose_headers: None,
            max_age_secs: Some(86_400),
        }),
        created: Timestamp::from_millis(1_700_000_000_000),
        last_modified: Timestamp::from_millis(1_700_000_000_001),
    }
}

/// The record with its next `$LATEST` published, as PublishVersion does it.
pub fn published(mut record: FunctionRecord) -> FunctionRecord {
    let number = record.next_version;
    let mut copy = (*record.latest).clone();
    copy.version = Version::Published(number);
    record.versions.insert(number, Arc::new(copy));
    record.next_version += 1;
    record
}

/// The put that follows the record's own generation: `expected` is one less than it.
pub fn put(record: FunctionRecord) -> Command {
    let expected = record.generation - 1;
    Command::PutFunction { record: Arc::new(record), expected }
}

/// As [`put`], for a layer.
pub fn put_layer(record: LayerRecord) -> Command {
    let expected = record.generation - 1;
    Command::PutLayer { record: Arc::new(record), expected }
}

pub fn mapping(id: &str, queue: &str) -> MappingRecord {
    MappingRecord {
        id: id.into(),
        generation: 1,
        function: function_key("f"),
        qualifier: None,
        source: format!("arn:aws:sqs:eu-west-1:000000000001:{queue}"),
        batch_size: 10,
        window_secs: 0,
        filters: vec!["{\"body\":[\"a\"]}".into()],
        reports_item_failures: true,
        maximum_concurrency: Some(2),
        provisioned: Some(PollersRecord { minimum: Some(2), maximum: None }),
        metrics: vec!["EventCount".into()],
        tags: BTreeMap::from([("team".into(), "a".into())]),
        state: MappingState::Creating { enabled: true },
        last_modified: Timestamp::from_millis(1),
    }
}
