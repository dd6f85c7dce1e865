//! DeleteFunction: the whole function, or one published version.

use lambent_core::ids::Version;
use lambent_core::ports::ChangeKind;
use lambent_store::StoreError;
use lambent_store::functions::Command;
use lambent_wire::Response;

use super::target::Target;
use super::{Call, empty, target};
use crate::Functions;
use crate::engine::versions;
use crate::error::Error;

pub async fn serve(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read(&call)?;
    match &target.qualifier {
        Some(qualifier) => delete_version(functions, &target, qualifier).await?,
        None => delete_whole(functions, &target).await?,
    }
    Ok(empty(204))
}

async fn delete_version(functions: &Functions, target: &Target, qualifier: &str) -> Result<(), Error> {
    let whole = Target { qualifier: None, ..target.clone() };
    let is_deleted = functions
        .change(&whole, |record| {
            let changed = versions::delete(record, qualifier)?;
            let is_deleted = changed.is_some();
            Ok((changed, is_deleted))
        })
        .await?;
    if let Some(version) = Version::parse(qualifier) {
        functions.deps.invoke.version_deleted(&whole.arn(), version);
    }
    functions.provision(&target.key);
    if is_deleted {
        functions.announce_update(&target.key, "DeleteFunction", Some(qualifier)).await;
    }
    Ok(())
}

async fn delete_whole(functions: &Functions, target: &Target) -> Result<(), Error> {
    // The worker may change the function between the look and the deletion; another caller may too, and a
    // deletion is right whatever they did.
    loop {
        let record = functions.record(target)?;
        let command = Command::DeleteFunction { key: target.key.clone(), expected: record.generation };
        match functions.deps.store.apply(vec![command]).await {
            Ok(()) => break,
            Err(StoreError::Conflict) => {}
            Err(StoreError::Unavailable { detail }) => return Err(Error::StoreUnavailable { detail }),
        }
    }
    functions.specs.forget(&target.key);
    functions.deps.invoke.deleted(&target.arn());
    functions.provision(&target.key);
    functions.announce(&target.key, ChangeKind::FunctionDeleted, "DeleteFunction", None).await;
    Ok(())
}
