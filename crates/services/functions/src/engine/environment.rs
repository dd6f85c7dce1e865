//! A function's environment variables: which names and how many bytes.

use std::collections::BTreeMap;

use lambent_core::limits::ENVIRONMENT_BYTES_MAX;

use crate::error::Error;

/// Developer guide, *Working with Lambda environment variables*: reserved, "can't be set in your function
/// configuration". Variables that the guide lists as changeable (`LANG`, `PATH`, `TZ`, ...) are not here.
const RESERVED: &[&str] = &[
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
];

/// Refuses variables that the reference refuses. Their names' alphabet was checked with the request's form.
pub fn check(variables: &BTreeMap<String, String>) -> Result<(), Error> {
    let keys: Vec<String> = variables.keys().filter(|k| RESERVED.contains(&k.as_str())).cloned().collect();
    if !keys.is_empty() {
        return Err(Error::ReservedVariables { keys });
    }
    if let Some((key, _)) = variables.iter().find(|(_, value)| value.contains('\0')) {
        return Err(Error::VariableHoldsNul { key: key.clone() });
    }
    // The reference measures the variables in their compact JSON form.
    let measured = serde_json::to_string(variables).expect("a map of texts serialises");
    if measured.len() > ENVIRONMENT_BYTES_MAX {
        return Err(Error::EnvironmentTooLarge { measured });
    }
    Ok(())
}
