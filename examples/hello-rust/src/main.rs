//! Writes words in another way, with a third-party crate.

use heck::ToSnakeCase;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(handler)).await
}

async fn handler(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let text = event.payload.get("text").and_then(Value::as_str).unwrap_or("Nothing Accepted Is Lost");
    Ok(json!({
        "message": text.to_snake_case(),
        "runtime": "Rust",
        "requestId": event.context.request_id,
    }))
}
