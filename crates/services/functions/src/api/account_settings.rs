//! GetAccountSettings.

use lambent_core::limits::{UNZIPPED_BYTES_MAX, ZIP_BYTES_MAX};
use lambent_wire::{Response, json_response};
use serde_json::json;

use super::Call;
use super::code_input::CODE_STORAGE_BYTES_MAX;
use crate::Functions;
use crate::error::Error;

pub async fn serve(functions: &Functions, call: Call<'_>) -> Result<Response, Error> {
    let caller = &call.request.caller;
    let usage = functions.deps.store.usage(&caller.account, &caller.region);
    let body = json!({
        "AccountLimit": {
            "TotalCodeSize": CODE_STORAGE_BYTES_MAX,
            "CodeSizeUnzipped": UNZIPPED_BYTES_MAX,
            "CodeSizeZipped": ZIP_BYTES_MAX,
            "ConcurrentExecutions": functions.deps.settings.account_concurrency,
            "UnreservedConcurrentExecutions":
                functions.unreserved_concurrency(&caller.account, &caller.region),
        },
        "AccountUsage": { "TotalCodeSize": usage.code_bytes, "FunctionCount": usage.function_count },
    });
    Ok(json_response(200, &body))
}
