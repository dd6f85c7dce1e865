//! UpdateFunctionCode.

use lambent_core::ports::PackageKind;
use lambent_store::functions::FunctionRecord;
use lambent_wire::{Response, json_response};

use super::body::{Body, Refusal};
use super::check::{ANY, Check};
use super::{Call, answer, code_input, target};
use crate::Functions;
use crate::engine::function::{self, UpdateCode};
use crate::error::Error;

pub const REFUSED: &[Refusal] = &[Refusal { member: "PublishTo", is_default: serde_json::Value::is_null }];

pub async fn serve(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let publish = body.flag("Publish")?.unwrap_or(false);
    let dry_run = body.flag("DryRun")?.unwrap_or(false);
    let revision = body.text(&mut check, "RevisionId", &ANY)?;
    let architecture = code_input::read_architecture(functions, &mut body, &mut check)?;
    check.finish()?;
    body.refuse(REFUSED)?;
    body.refuse(code_input::REFUSED)?;
    let zip = code_input::read(&mut body)?.ok_or(Error::NoCode)?;

    // Before the package is taken in: what can be refused without it.
    function::check_revision(&*functions.record(&target)?, revision.as_deref())?;
    let package = code_input::admit(functions, &call, zip, PackageKind::Function).await?;
    let update = UpdateCode { package, architecture, publish, revision };
    let stamp = functions.stamp();
    let decide = |record: &FunctionRecord| {
        let (changed, version) = function::update_code(record, &update, &stamp)?;
        Ok((changed.clone(), (changed, version)))
    };
    let (record, version) = match dry_run {
        true => {
            functions.settle_function(&target.key).await;
            decide(&*functions.record(&target)?)?.1
        }
        false => {
            let changed = functions.change_latest(&target, decide).await?;
            functions.announce_update(&target.key, "UpdateFunctionCode", None).await;
            changed
        }
    };
    Ok(json_response(200, &answer::changed(&record, &version)))
}
