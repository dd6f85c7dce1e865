//! What a version is configured to be, and how a request changes it.

use std::collections::BTreeMap;

use lambent_core::arn::Arn;
use lambent_core::function::{LogFormat, LogLevel};
use lambent_core::ids::{AccountId, QueueName, Region};
use lambent_core::limits::{LAYERS_MAX, MEMORY_MB_MAX, TOPIC_NAME_CHARS_MAX, UNZIPPED_BYTES_MAX};
use lambent_core::runtime::{RUNTIMES, Runtime, Standing};
use lambent_store::functions::{LayerUse, LoggingRecord, VersionRecord};

use super::{environment, snap_start};
use crate::error::Error;

/// What a request sets; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configuration {
    pub description: Option<String>,
    pub runtime: Option<String>,
    pub handler: Option<String>,
    pub role: Option<String>,
    pub memory_mb: Option<u32>,
    pub timeout_secs: Option<u32>,
    pub ephemeral_mb: Option<u32>,
    pub environment: Option<BTreeMap<String, String>>,
    pub layers: Option<Vec<LayerUse>>,
    pub logging: Option<LoggingChange>,
    /// The empty text takes it away.
    pub dead_letter: Option<String>,
    /// SnapStart's ApplyOn: whether it is PublishedVersions.
    pub snap_start: Option<bool>,
}

/// What a request sets of LoggingConfig; what it leaves out stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoggingChange {
    pub format: Option<LogFormat>,
    pub application_level: Option<LogLevel>,
    pub system_level: Option<LogLevel>,
    pub group: Option<String>,
}

impl Configuration {
    /// Refuses what no record can make right. Everything here depends on the request alone.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(runtime) = &self.runtime {
            usable_runtime(runtime)?;
        }
        if let Some(memory_mb) = self.memory_mb
            && memory_mb > MEMORY_MB_MAX
        {
            return Err(Error::MemoryTooLarge { max_mb: MEMORY_MB_MAX });
        }
        if let Some(variables) = &self.environment {
            environment::check(variables)?;
        }
        if let Some(arn) = self.dead_letter.as_deref().filter(|arn| !arn.is_empty()) {
            check_dead_letter(arn)?;
        }
        Ok(())
    }

    /// Puts the settings into a version; its code, state and revision are not touched.
    pub fn apply(&self, version: &mut VersionRecord) -> Result<(), Error> {
        fn set<T: Clone>(to: &mut T, from: &Option<T>) {
            if let Some(value) = from {
                *to = value.clone();
            }
        }
        self.check()?;
        set(&mut version.description, &self.description);
        set(&mut version.runtime, &self.runtime);
        set(&mut version.handler, &self.handler);
        set(&mut version.role, &self.role);
        set(&mut version.memory_mb, &self.memory_mb);
        set(&mut version.timeout_secs, &self.timeout_secs);
        set(&mut version.ephemeral_mb, &self.ephemeral_mb);
        set(&mut version.environment, &self.environment);
        set(&mut version.layers, &self.layers);
        set(&mut version.snap_start, &self.snap_start);
        if let Some(arn) = &self.dead_letter {
            version.dead_letter = (!arn.is_empty()).then(|| arn.clone());
        }
        if let Some(change) = &self.logging {
            version.logging = changed_logging(&version.logging, change)?;
        }
        snap_start::check(version)?;
        check_size(version)
    }
}

/// The runtime of this identifier, if functions may be created with it.
pub fn usable_runtime(id: &str) -> Result<&'static Runtime, Error> {
    let Some(runtime) = lambent_core::runtime::find(id) else {
        let live = RUNTIMES.iter().filter(|r| r.standing == Standing::Live).map(|r| r.id);
        let known = live.collect::<Vec<_>>().join(", ");
        return Err(Error::UnknownRuntime { runtime: id.to_owned(), known });
    };
    match runtime.standing {
        Standing::Live => Ok(runtime),
        Standing::Blocked { recommended } => Err(Error::BlockedRuntime { runtime: runtime.id, recommended }),
    }
}

/// What events that are given up can go to.
const LETTERS: [&str; 2] = ["sqs", "sns"];

/// What can be told of the end of a call, beside functions.
pub const TOLD: [&str; 3] = ["sqs", "sns", "events"];

/// Service model: a bus's name.
const BUS_NAME_CHARS_MAX: usize = 256;

/// Whether it is a standard queue, a standard topic, or a bus.
pub fn can_be_told(arn: &Arn) -> bool {
    let is_somewhere = AccountId::new(&arn.account).is_ok() && Region::new(&arn.region).is_ok();
    let is_standard = match arn.service.as_str() {
        "sqs" => QueueName::new(&arn.resource).is_ok_and(|name| !name.is_fifo()),
        "events" => arn.resource.strip_prefix("event-bus/").is_some_and(|name| {
            let letters = |b: u8| b.is_ascii_alphanumeric() || b"/.-_".contains(&b);
            (1..=BUS_NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(letters)
        }),
        _ => {
            let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            (1..=TOPIC_NAME_CHARS_MAX).contains(&arn.resource.len()) && arn.resource.bytes().all(letters)
        }
    };
    is_somewhere && is_standard
}

/// A dead-letter target must be one that can be reached: a standard queue or topic.
fn check_dead_letter(text: &str) -> Result<(), Error> {
    let invalid = || Error::InvalidDeadLetter { arn: text.to_owned() };
    let arn = Arn::parse(text).ok_or_else(invalid)?;
    if !LETTERS.contains(&arn.service.as_str()) {
        return Err(Error::UnsupportedDeadLetter { service: arn.service });
    }
    if can_be_told(&arn) { Ok(()) } else { Err(invalid()) }
}

/// Refuses layer ARNs that can't stand together: too many, or two versions of one layer.
pub fn check_layer_arns(arns: &[String]) -> Result<(), Error> {
    if arns.len() > LAYERS_MAX {
        return Err(Error::TooManyLayers { max: LAYERS_MAX });
    }
    for (i, second) in arns.iter().enumerate() {
        let layer = |arn: &str| arn.rsplit_once(':').map(|(layer, _)| layer.to_owned());
        if let Some(first) = arns[..i].iter().find(|first| layer(first) == layer(second)) {
            return Err(Error::LayerTwice { first: first.clone(), second: second.clone() });
        }
    }
    Ok(())
}

/// Function and layers together may not unpack to more than the limit. A package used twice counts twice:
/// it is laid out twice.
pub fn check_size(version: &VersionRecord) -> Result<(), Error> {
    let layers: u64 = version.layers.iter().map(|l| l.unzipped_bytes).sum();
    let bytes = version.unzipped_bytes.saturating_add(layers);
    if bytes <= UNZIPPED_BYTES_MAX {
        return Ok(());
    }
    Err(match version.layers.is_empty() {
        true => Error::UnzippedTooLarge { max_bytes: UNZIPPED_BYTES_MAX },
        false => Error::UnzippedWithLayersTooLarge { bytes, max_bytes: UNZIPPED_BYTES_MAX },
    })
}

fn changed_logging(current: &LoggingRecord, change: &LoggingChange) -> Result<LoggingRecord, Error> {
    let format = change.format.unwrap_or(current.format);
    let group = change.group.clone().unwrap_or_else(|| current.group.clone());
    if format == LogFormat::Text {
        if change.application_level.is_some() || change.system_level.is_some() {
            return Err(Error::LogLevelWithText);
        }
        return Ok(LoggingRecord { group, format, application_level: None, system_level: None });
    }
    // With JSON, a level that nobody set is INFO, as the reference has it.
    let level = |new: Option<LogLevel>, old: Option<LogLevel>| Some(new.or(old).unwrap_or(LogLevel::Info));
    Ok(LoggingRecord {
        group,
        format,
        application_level: level(change.application_level, current.application_level),
        system_level: level(change.system_level, current.system_level),
    })
}

/// Whether two versions would behave the same: everything but number, revision, moments and states.
pub fn behaves_as(a: &VersionRecord, b: &VersionRecord) -> bool {
    a.runtime == b.runtime
        && a.handler == b.handler
        && a.role == b.role
        && a.code == b.code
        && a.architecture == b.architecture
        && a.layers == b.layers
        && a.memory_mb == b.memory_mb
        && a.timeout_secs == b.timeout_secs
        && a.ephemeral_mb == b.ephemeral_mb
        && a.logging == b.logging
        && a.environment == b.environment
        && a.snap_start == b.snap_start
}
