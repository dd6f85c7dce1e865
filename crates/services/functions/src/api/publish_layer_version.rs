//! PublishLayerVersion.

use std::sync::Arc;

use lambent_core::limits::UNZIPPED_BYTES_MAX;
use lambent_core::ports::PackageKind;
use lambent_core::runtime::RUNTIMES;
use lambent_store::StoreError;
use lambent_store::functions::Command;
use lambent_wire::{Response, json_response};

use super::body::Body;
use super::check::Check;
use super::{Call, code_input, layer_answer, rules};
use crate::engine::layer::{self, Publish};
use crate::error::Error;
use crate::{ATTEMPTS_MAX, Functions};

/// API, CompatibleRuntimes and CompatibleArchitectures.
const RUNTIMES_MAX: usize = 15;
const ARCHITECTURES_MAX: usize = 2;

pub async fn serve(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let key = layer_answer::read_key(&call, &mut check)?;
    let description = body.text(&mut check, "Description", &rules::DESCRIPTION)?.unwrap_or_default();
    let license = body.text(&mut check, "LicenseInfo", &rules::LICENSE_INFO)?;
    let compatible_runtimes = body.texts("CompatibleRuntimes")?.unwrap_or_default();
    let known: Vec<&str> = RUNTIMES.iter().map(|runtime| runtime.id).collect();
    check.choices("compatibleRuntimes", &compatible_runtimes, &known, RUNTIMES_MAX);
    let compatible_architectures = body.texts("CompatibleArchitectures")?.unwrap_or_default();
    let architectures = ["x86_64", "arm64"];
    check.choices("compatibleArchitectures", &compatible_architectures, &architectures, ARCHITECTURES_MAX);
    let mut content = body.object("Content")?;
    if content.is_none() {
        check.missing("content");
    }
    check.finish()?;
    let zip = match &mut content {
        Some(content) => {
            content.refuse(code_input::REFUSED)?;
            code_input::read(content)?
        }
        None => None,
    };

    let package = code_input::admit(functions, &call, zip.ok_or(Error::NoCode)?, PackageKind::Layer).await?;
    if package.unzipped_bytes > UNZIPPED_BYTES_MAX {
        return Err(Error::UnzippedTooLarge { max_bytes: UNZIPPED_BYTES_MAX });
    }
    let publish =
        Publish { key, description, license, compatible_runtimes, compatible_architectures, package };
    store(functions, &publish).await
}

/// Publishing takes the next number, whatever it is: two publishers at once get one each.
async fn store(functions: &Functions, publish: &Publish) -> Result<Response, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let current = functions.deps.store.layer(&publish.key);
        let (record, version) = layer::publish(current.as_deref(), publish, functions.deps.clock.now());
        let expected = record.generation - 1;
        match functions.deps.store.apply(vec![Command::PutLayer { record: Arc::new(record), expected }]).await
        {
            Ok(()) => {
                return Ok(json_response(201, &layer_answer::whole(functions, &publish.key, &version)));
            }
            Err(StoreError::Conflict) => {}
            Err(StoreError::Unavailable { detail }) => return Err(Error::StoreUnavailable { detail }),
        }
    }
    let key = &publish.key;
    Err(Error::UpdateInProgress { arn: lambent_core::arn::layer(&key.region, &key.account, &key.name) })
}
