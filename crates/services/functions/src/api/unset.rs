//! Reads of configurations that no function of this node can have: code signing.
//!
//! What would make them is refused by its name, so these answers are the truth and not a stand-in: deploy tools
//! read them of every function and must hear what the reference says of a function without one. An operation
//! whose answer would claim that something is done (recursion detection, runtime updates) does not belong here.

use lambent_wire::{Response, json_response};
use serde_json::json;

use super::check::Check;
use super::list_functions::answer_page;
use super::page::Page;
use super::{Call, target};
use crate::Functions;
use crate::error::Error;

/// API, MaxItems.
const MAX_ITEMS_MAX: i64 = 10_000;

/// GetFunctionCodeSigningConfig: a function without one shows its name alone.
pub async fn code_signing(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let target = target::read_unqualified(&call)?;
    functions.record(&target)?;
    Ok(json_response(200, &json!({ "FunctionName": target.key.name.as_str() })))
}

/// ListCodeSigningConfigs.
pub async fn code_signing_configs(_: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let mut check = Check::default();
    Page::read(&call, &mut check, MAX_ITEMS_MAX)?;
    check.finish()?;
    Ok(answer_page("CodeSigningConfigs", &[(); 0], None))
}
