//! The operations. [`handle`] is the table; each operation reads its [`Input`], refuses by name what it does
//! not serve, and answers.

mod fault;
mod filter_log_events;
mod get_log_events;
mod groups;
mod input;
mod limits;
mod put_log_events;
mod retention;
mod streams;
mod tags;
#[cfg(test)]
mod tests;
mod unsupported;

pub use unsupported::{REFUSED_MEMBERS, UNSERVED};

use bytes::Bytes;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::logs::{GroupKey, GroupRecord, expiry};
use lambent_wire::{Caller, Fault, Protocol, Request, Response};
use serde::Serialize;

use super::Logs;
use super::sink::Scope;
use input::Input;

const TARGET_PREFIX: &str = "Logs_20140328.";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// What an operation answers: a JSON body, or nothing.
type Answer = Result<Option<Vec<u8>>, Fault>;

pub async fn handle(logs: &Logs, request: Request) -> Response {
    let operation = request.header("x-amz-target").and_then(|target| target.strip_prefix(TARGET_PREFIX));
    let answer = match operation {
        Some(operation) => {
            let operation = operation.to_owned();
            dispatch(logs, &operation, &request.caller, &request.body).await
        }
        None => Err(fault::unknown_operation()),
    };
    let mut response = match answer {
        Ok(body) => {
            let mut response = Response::new(Bytes::from(body.unwrap_or_default()));
            let json = http::HeaderValue::from_static(CONTENT_TYPE);
            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
            response
        }
        Err(fault) => fault.into_response(Protocol::Json11),
    };
    if let Ok(id) = http::HeaderValue::from_str(request.request_id.as_str()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

macro_rules! served {
    ($($name:literal $serve:path;)*) => {
        /// The operations that are served.
        pub const SERVED: &[&str] = &[$($name),*];

        async fn dispatch(logs: &Logs, operation: &str, caller: &Caller, body: &[u8]) -> Answer {
            if UNSERVED.contains(&operation) {
                return Err(fault::unsupported_operation(operation));
            }
            let call = || Ok::<_, Fault>(Call { logs, caller, input: Input::parse(body)? });
            match operation {
                $($name => $serve(call()?).await,)*
                _ => Err(fault::unknown_operation()),
            }
        }
    };
}

served! {
    "CreateLogGroup" groups::create;
    "CreateLogStream" streams::create;
    "DeleteLogGroup" groups::delete;
    "DeleteLogStream" streams::delete;
    "DeleteRetentionPolicy" retention::delete;
    "DescribeLogGroups" groups::describe;
    "DescribeLogStreams" streams::describe;
    "FilterLogEvents" filter_log_events::answer;
    "GetLogEvents" get_log_events::answer;
    "ListTagsForResource" tags::list_for_resource;
    "ListTagsLogGroup" tags::list_of_group;
    "PutLogEvents" put_log_events::answer;
    "PutRetentionPolicy" retention::put;
    "TagLogGroup" tags::tag_group;
    "TagResource" tags::tag_resource;
    "UntagLogGroup" tags::untag_group;
    "UntagResource" tags::untag_resource;
}

/// One call of one operation.
struct Call<'a> {
    logs: &'a Logs,
    caller: &'a Caller,
    input: Input,
}

impl Call<'_> {
    fn group_key(&self, name: &str) -> GroupKey {
        GroupKey {
            account: self.caller.account.clone(),
            region: self.caller.region.clone(),
            name: name.into(),
        }
    }

    /// The group with every line that was appended to it so far.
    async fn flushed_group(&self, key: &GroupKey) -> Result<GroupRecord, Fault> {
        self.logs.sink.flush(Scope::Group(key.clone())).await;
        let found = self.logs.store.group(key).await.map_err(fault::store)?;
        found.ok_or_else(fault::no_group)
    }

    /// Makes the change; a store's refusal is the caller's fault.
    async fn apply(&self, command: lambent_store::logs::Command) -> Answer {
        match self.logs.store.apply(command).await {
            Ok(Ok(())) => Ok(None),
            Ok(Err(refusal)) => Err(fault::refusal(refusal)),
            Err(error) => Err(fault::store(error)),
        }
    }

    /// The moment before which the group's events are not to be seen.
    fn expiry(&self, group: &GroupRecord) -> Timestamp {
        expiry(group.retention_days, self.logs.clock.now())
    }
}

fn json(body: &impl Serialize) -> Answer {
    Ok(Some(serde_json::to_vec(body).expect("answers are plain data with text keys")))
}

/// For `map_err` where a read may fail.
fn store_fault(error: StoreError) -> Fault {
    fault::store(error)
}
