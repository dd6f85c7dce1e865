//! PublishVersion.

use lambent_wire::{Response, json_response};

use super::body::{Body, Refusal};
use super::check::{ANY, Check};
use super::{Call, answer, rules, target};
use crate::Functions;
use crate::engine::versions::{self, Publish};
use crate::error::Error;

pub const REFUSED: &[Refusal] = &[Refusal { member: "PublishTo", is_default: serde_json::Value::is_null }];

pub async fn serve(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let request = Publish {
        code_sha256: body.text(&mut check, "CodeSha256", &ANY)?,
        description: body.text(&mut check, "Description", &rules::DESCRIPTION)?,
        revision: body.text(&mut check, "RevisionId", &ANY)?,
    };
    check.finish()?;
    body.refuse(REFUSED)?;

    let stamp = functions.stamp();
    let (answer, published) = functions
        .change(&target, |record| {
            let current = answer::code_sha256(&record.latest.code);
            let (changed, version) = versions::publish(record, &request, &current, &stamp)?;
            let answer = json_response(201, &answer::changed(record, &version));
            let published = changed.is_some().then(|| version.version.to_string());
            Ok((changed, (answer, published)))
        })
        .await?;
    if let Some(version) = published {
        functions.wants_snapshots(&target.key);
        functions.announce_update(&target.key, "PublishVersion", Some(&version)).await;
    }
    Ok(answer)
}
