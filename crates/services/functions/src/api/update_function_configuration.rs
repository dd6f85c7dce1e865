//! UpdateFunctionConfiguration.

use lambent_wire::{Response, json_response};

use super::body::Body;
use super::check::{ANY, Check};
use super::{Call, answer, configuration_input, rules, target};
use crate::Functions;
use crate::engine::function;
use crate::error::Error;

pub async fn serve(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let role = body.text(&mut check, "Role", &rules::ROLE)?;
    let mut read = configuration_input::read(&mut body, &mut check, role)?;
    let revision = body.text(&mut check, "RevisionId", &ANY)?;
    check.finish()?;
    body.refuse(configuration_input::REFUSED)?;
    configuration_input::check_snap_start(functions, &read.configuration)?;
    if let Some(arns) = &read.layers {
        read.configuration.layers = Some(configuration_input::find_layers(functions, &call, arns)?);
    }

    let stamp = functions.stamp();
    let record = functions
        .change_latest(&target, |record| {
            let changed =
                function::update_configuration(record, &read.configuration, revision.as_deref(), &stamp)?;
            Ok((changed.clone(), changed))
        })
        .await?;
    functions.announce_update(&target.key, "UpdateFunctionConfiguration", None).await;
    Ok(json_response(200, &answer::changed(&record, &record.latest)))
}
