//! CreateFunction.

use std::sync::Arc;

use lambent_core::ports::{ChangeKind, PackageKind};
use lambent_store::StoreError;
use lambent_store::functions::Command;
use lambent_wire::{Response, json_response};
use serde_json::Value;

use super::body::{Body, Refusal, says_nothing};
use super::check::{ANY, Check};
use super::{Call, answer, code_input, configuration_input, rules, target};
use crate::Functions;
use crate::engine::function::{self, Create};
use crate::error::Error;

pub const REFUSED: &[Refusal] = &[
    Refusal { member: "PackageType", is_default: |v| v == "Zip" },
    Refusal { member: "CodeSigningConfigArn", is_default: says_nothing },
    Refusal { member: "PublishTo", is_default: |v: &Value| v.is_null() },
    Refusal { member: "TenancyConfig", is_default: says_nothing },
];

pub async fn serve(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let name = body.required_text(&mut check, "FunctionName", &ANY)?;
    if !name.is_empty() {
        target::check_new_name(&mut check, &name);
    }
    let role = body.required_text(&mut check, "Role", &rules::ROLE)?;
    let mut read = configuration_input::read(&mut body, &mut check, Some(role))?;
    let tags = body.text_map("Tags")?.unwrap_or_default();
    let publish = body.flag("Publish")?.unwrap_or(false);
    let architecture = code_input::read_architecture(functions, &mut body, &mut check)?;
    let mut code = body.object("Code")?;
    if code.is_none() {
        check.missing("code");
    }
    check.finish()?;

    body.refuse(REFUSED)?;
    body.refuse(configuration_input::REFUSED)?;
    let zip = match &mut code {
        Some(code) => {
            code.refuse(code_input::REFUSED)?;
            code_input::read(code)?
        }
        None => None,
    };
    let key = target::read_new(&call, &name)?;
    if let Some(arns) = &read.layers {
        read.configuration.layers = Some(configuration_input::find_layers(functions, &call, arns)?);
    }
    function::check_creation(&read.configuration, &tags)?;
    configuration_input::check_snap_start(functions, &read.configuration)?;
    let exists = || Error::FunctionExists { name: key.name.to_string() };
    if functions.deps.store.function(&key).is_some() {
        return Err(exists());
    }
    let package =
        code_input::admit(functions, &call, zip.ok_or(Error::NoCode)?, PackageKind::Function).await?;

    let create = Create {
        first_version: functions.deps.store.next_version(&key),
        key: key.clone(),
        configuration: read.configuration,
        package,
        architecture: architecture.unwrap_or_else(|| functions.deps.settings.architecture.to_owned()),
        tags,
        publish,
    };
    let (record, version) = function::create(&create, &functions.stamp())?;
    let answer = json_response(201, &answer::changed(&record, &version));
    let command = Command::PutFunction { record: Arc::new(record), expected: 0 };
    match functions.deps.store.apply(vec![command]).await {
        Ok(()) => {
            functions.unsettled.notify_one();
            functions.wants_snapshots(&key);
            functions.announce(&key, ChangeKind::FunctionCreated, "CreateFunction", None).await;
            Ok(answer)
        }
        Err(StoreError::Conflict) => Err(exists()),
        Err(StoreError::Unavailable { detail }) => Err(Error::StoreUnavailable { detail }),
    }
}
