//! The members that CreateFunction and UpdateFunctionConfiguration share.

use lambent_core::arn::Arn;
use lambent_core::function::{LogFormat, LogLevel};
use lambent_core::ids::AccountId;
use lambent_core::limits::{EPHEMERAL_MB_MAX, EPHEMERAL_MB_MIN, MEMORY_MB_MIN, TIMEOUT_SECS_MAX};
use lambent_store::functions::{LayerKey, LayerUse};

use super::Call;
use super::body::{Body, Refusal, is_only, says_nothing};
use super::check::{ANY, Check};
use super::rules;
use crate::Functions;
use crate::engine::configuration::{Configuration, LoggingChange, check_layer_arns};
use crate::error::{Error, ShownValue};

/// API, MemorySize: what the model allows. What a function may have is less, and is judged by the engine.
const MODEL_MEMORY_MB_MAX: i64 = 32_768;

/// Members of both operations that are not served.
pub const REFUSED: &[Refusal] = &[
    Refusal { member: "VpcConfig", is_default: says_nothing },
    Refusal { member: "KMSKeyArn", is_default: says_nothing },
    Refusal { member: "TracingConfig", is_default: |v| is_only(v, "Mode", "PassThrough") },
    Refusal { member: "FileSystemConfigs", is_default: says_nothing },
    Refusal { member: "ImageConfig", is_default: says_nothing },
    Refusal { member: "CapacityProviderConfig", is_default: says_nothing },
    Refusal { member: "DurableConfig", is_default: says_nothing },
];

/// The settings, and the layers' ARNs, which are still to be looked up.
pub struct Read {
    pub configuration: Configuration,
    pub layers: Option<Vec<String>>,
}

/// Takes the shared members out of the body. `role` is the one member that the operations treat differently.
pub fn read(body: &mut Body, check: &mut Check, role: Option<String>) -> Result<Read, Error> {
    let runtime = body.text(check, "Runtime", &ANY)?;
    let handler = body.text(check, "Handler", &rules::HANDLER)?;
    let description = body.text(check, "Description", &rules::DESCRIPTION)?;
    let timeout_secs = body.number(check, "Timeout", 1, i64::from(TIMEOUT_SECS_MAX))?;
    let memory_mb = body.number(check, "MemorySize", i64::from(MEMORY_MB_MIN), MODEL_MEMORY_MB_MAX)?;
    let environment = environment(body, check)?;
    let layers = body.texts("Layers")?;
    for layer in layers.iter().flatten() {
        check.text("layers", layer, &rules::LAYER_VERSION_ARN);
    }
    let ephemeral_mb = ephemeral(body, check)?;
    let logging = logging(body, check)?;
    let snap_start = match body.object("SnapStart")? {
        Some(mut snap_start) => {
            let apply_on = snap_start.choice(check, "ApplyOn", &["PublishedVersions", "None"])?;
            apply_on.map(|apply_on| apply_on == "PublishedVersions")
        }
        None => None,
    };
    let dead_letter = match body.object("DeadLetterConfig")? {
        Some(mut config) => Some(config.text(check, "TargetArn", &ANY)?.unwrap_or_default()),
        None => None,
    };
    // Numbers out of range are in the check by now, so what is lost here is refused before it is used.
    let small = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(Read {
        configuration: Configuration {
            description,
            runtime,
            handler,
            role,
            memory_mb: memory_mb.map(small),
            timeout_secs: timeout_secs.map(small),
            ephemeral_mb: ephemeral_mb.map(small),
            environment,
            layers: None,
            logging,
            dead_letter,
            snap_start,
        },
        layers,
    })
}

fn environment(
    body: &mut Body,
    check: &mut Check,
) -> Result<Option<std::collections::BTreeMap<String, String>>, Error> {
    let Some(mut environment) = body.object("Environment")? else { return Ok(None) };
    let variables = environment.text_map("Variables")?;
    if variables.iter().flatten().any(|(key, _)| !rules::is_environment_key(key)) {
        let pattern = super::check::pattern_constraint(rules::ENVIRONMENT_KEY_PATTERN);
        let constraint = format!("Map keys must satisfy constraint: [{pattern}, Member must not be null]");
        check.violate("environment.variables", ShownValue::Hidden, constraint);
    }
    // An Environment without Variables takes the variables away, as an empty map does.
    Ok(Some(variables.unwrap_or_default()))
}

fn ephemeral(body: &mut Body, check: &mut Check) -> Result<Option<i64>, Error> {
    let Some(mut storage) = body.object("EphemeralStorage")? else { return Ok(None) };
    let (min, max) = (i64::from(EPHEMERAL_MB_MIN), i64::from(EPHEMERAL_MB_MAX));
    let size = storage.number(check, "Size", min, max)?;
    if size.is_none() {
        check.missing("ephemeralStorage.size");
    }
    Ok(size)
}

fn logging(body: &mut Body, check: &mut Check) -> Result<Option<LoggingChange>, Error> {
    let Some(mut logging) = body.object("LoggingConfig")? else { return Ok(None) };
    let format = logging.choice(check, "LogFormat", &["JSON", "Text"])?;
    let application = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let application_level = logging.choice(check, "ApplicationLogLevel", &application)?;
    let system_level = logging.choice(check, "SystemLogLevel", &["DEBUG", "INFO", "WARN"])?;
    let group = logging.text(check, "LogGroup", &rules::LOG_GROUP)?;
    Ok(Some(LoggingChange {
        format: format.map(|f| if f == "JSON" { LogFormat::Json } else { LogFormat::Text }),
        application_level: application_level.and_then(|l| LogLevel::parse(&l)),
        system_level: system_level.and_then(|l| LogLevel::parse(&l)),
        group,
    }))
}

/// Refuses SnapStart where this node makes no snapshots.
pub fn check_snap_start(functions: &Functions, configuration: &Configuration) -> Result<(), Error> {
    match functions.deps.snapshots.missing() {
        Some(reason) if configuration.snap_start == Some(true) => Err(Error::SnapStartMissing { reason }),
        _ => Ok(()),
    }
}

/// Looks the layers up. Their order stays: a later one hides an earlier one.
pub fn find_layers(functions: &Functions, call: &Call<'_>, arns: &[String]) -> Result<Vec<LayerUse>, Error> {
    check_layer_arns(arns)?;
    arns.iter().map(|arn| find_layer(functions, call, arn)).collect()
}

fn find_layer(functions: &Functions, call: &Call<'_>, text: &str) -> Result<LayerUse, Error> {
    let caller = &call.request.caller;
    let missing = || Error::LayerVersionMissing { arn: text.to_owned() };
    let arn = Arn::parse(text).ok_or_else(missing)?;
    if arn.region != caller.region.as_str() {
        return Err(Error::LayerInOtherRegion { region: caller.region.to_string() });
    }
    if arn.account != caller.account.as_str() {
        return Err(Error::AccessDenied {
            caller: caller.principal_arn.clone(),
            action: "GetLayerVersion".to_owned(),
            arn: text.to_owned(),
        });
    }
    let (name, number) =
        arn.resource.strip_prefix("layer:").and_then(|r| r.split_once(':')).ok_or_else(missing)?;
    let key = LayerKey {
        account: AccountId::new(&arn.account).map_err(|_| missing())?,
        region: caller.region.clone(),
        name: name.to_owned(),
    };
    let number: u64 = number.parse().map_err(|_| missing())?;
    let layer = functions.deps.store.layer(&key).ok_or_else(missing)?;
    let version = layer.versions.get(&number).ok_or_else(missing)?;
    Ok(LayerUse {
        arn: text.to_owned(),
        digest: version.digest.clone(),
        zipped_bytes: version.zipped_bytes,
        unzipped_bytes: version.unzipped_bytes,
    })
}
