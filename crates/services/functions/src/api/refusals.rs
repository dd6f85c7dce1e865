//! Which input members an operation refuses by name: the tables that the operations themselves refuse by, put
//! together for whoever writes or checks the list of what is compatible.

use super::body::Refusal;
use super::{
    code_input, configuration_input, create_function, event_source_mappings, invoke, publish_version,
    update_function_code,
};

/// The members that the operation refuses unless they hold their defaults, as the model spells them.
pub fn of(operation: &str) -> Vec<String> {
    let top = |tables: &[&[Refusal]]| names("", tables);
    match operation {
        "CreateEventSourceMapping" => {
            let mut found =
                top(&[event_source_mappings::REFUSED, event_source_mappings::REFUSED_AT_CREATION]);
            found.extend(names("ProvisionedPollerConfig.", &[event_source_mappings::REFUSED_OF_POLLERS]));
            found
        }
        "UpdateEventSourceMapping" => {
            let mut found = top(&[event_source_mappings::REFUSED]);
            found.extend(names("ProvisionedPollerConfig.", &[event_source_mappings::REFUSED_OF_POLLERS]));
            found
        }
        "CreateFunction" => {
            let mut found = top(&[create_function::REFUSED, configuration_input::REFUSED]);
            found.extend(names("Code.", &[code_input::REFUSED]));
            found
        }
        "Invoke" => invoke::REFUSED_HEADERS.iter().map(|(_, member)| (*member).to_owned()).collect(),
        "InvokeWithResponseStream" => vec![invoke::REFUSED_TENANT.1.to_owned()],
        "PublishLayerVersion" => names("Content.", &[code_input::REFUSED]),
        "PublishVersion" => top(&[publish_version::REFUSED]),
        "UpdateFunctionCode" => top(&[update_function_code::REFUSED, code_input::REFUSED]),
        "UpdateFunctionConfiguration" => top(&[configuration_input::REFUSED]),
        _ => Vec::new(),
    }
}

fn names(prefix: &str, tables: &[&[Refusal]]) -> Vec<String> {
    tables.iter().flat_map(|table| table.iter()).map(|r| format!("{prefix}{}", r.member)).collect()
}
