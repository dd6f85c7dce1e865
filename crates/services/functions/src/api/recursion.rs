//! GetFunctionRecursionConfig and PutFunctionRecursionConfig.

use lambent_store::functions::RecursiveLoop;
use lambent_wire::{Response, json_response};
use serde_json::json;

use super::body::Body;
use super::check::Check;
use super::{Call, target};
use crate::Functions;
use crate::engine::recursion;
use crate::error::Error;

const ALLOW: &str = "Allow";
const TERMINATE: &str = "Terminate";

pub async fn get(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    Ok(answer(functions.record(&target)?.recursive_loop))
}

pub async fn put(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    let mut body = Body::parse(&call.request.body)?;
    let mut check = Check::default();
    let setting = body.choice(&mut check, "RecursiveLoop", &[ALLOW, TERMINATE])?;
    if setting.is_none() {
        check.missing("recursiveLoop");
    }
    check.finish()?;
    let setting =
        if setting.as_deref() == Some(ALLOW) { RecursiveLoop::Allow } else { RecursiveLoop::Terminate };

    functions.change(&target, |record| Ok((Some(recursion::set(record, setting)), ()))).await?;
    Ok(answer(setting))
}

fn answer(setting: RecursiveLoop) -> Response {
    let setting = match setting {
        RecursiveLoop::Allow => ALLOW,
        RecursiveLoop::Terminate => TERMINATE,
    };
    json_response(200, &json!({ "RecursiveLoop": setting }))
}
