//! The operations: one table for both protocols. Each reads its [`Input`] and answers with what JSON carries.

mod batch;
mod delete_message;
mod fault;
mod input;
pub mod limits;
mod lists;
mod moves;
mod permissions;
mod queues;
mod receive_message;
mod send_message;
mod shapes;
mod tags;
#[cfg(test)]
mod tests;
mod visibility;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambent_core::policy::Asker;
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::queues::{Command, Outcome, QueueRecord};
use lambent_wire::query::{self, Form, Member};
use lambent_wire::{Caller, Request, Response, json};
use serde_json::{Map, Value};

use crate::Queues;
use crate::engine::{access, address};
pub(crate) use fault::Failure;
use input::Input;
pub(crate) use moves::is_active as is_active_move;
pub(crate) use receive_message::{Taking, details, system_attributes, take};
pub(crate) use send_message::{Sending, judge, send, sender_id};

pub(crate) use delete_message::remove;
pub(crate) use visibility::{change, unread};

const TARGET_PREFIX: &str = "AmazonSQS.";
const NAMESPACE: &str = "http://queue.amazonaws.com/doc/2012-11-05/";
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// Attributes of queues that can't be set to anything but what they are without being set.
pub const REFUSED_ATTRIBUTES: [&str; 3] =
    ["KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"];

/// What an operation answers.
type Answer = Result<Value, Failure>;
type Serve = for<'a> fn(Call<'a>) -> BoxFuture<'a, Answer>;

/// An operation.
pub struct Operation {
    pub name: &'static str,
    serve: Serve,
    pub takes: &'static [Member],
    pub gives: &'static [Member],
}

macro_rules! operations {
    ($($name:literal $serve:path, $takes:ident => $gives:ident;)*) => {
        /// All operations, in the order of their names.
        pub const OPERATIONS: &[Operation] = &[$(Operation {
            name: $name,
            serve: |call| Box::pin($serve(call)),
            takes: shapes::$takes,
            gives: shapes::$gives,
        }),*];
    };
}

operations! {
    "AddPermission" permissions::add, ADD_PERMISSION => NOTHING;
    "CancelMessageMoveTask" moves::cancel, CANCEL_MOVE => CANCEL_MOVE_ANSWER;
    "ChangeMessageVisibility" visibility::one, CHANGE => NOTHING;
    "ChangeMessageVisibilityBatch" visibility::batch, CHANGE_BATCH => CHANGE_BATCH_ANSWER;
    "CreateQueue" queues::create, CREATE => URL_ANSWER;
    "DeleteMessage" delete_message::one, DELETE => NOTHING;
    "DeleteMessageBatch" delete_message::batch, DELETE_BATCH => DELETE_BATCH_ANSWER;
    "DeleteQueue" queues::delete, BY_URL => NOTHING;
    "GetQueueAttributes" queues::get_attributes, GET_ATTRIBUTES => ATTRIBUTES_ANSWER;
    "GetQueueUrl" queues::get_url, GET_URL => URL_ANSWER;
    "ListDeadLetterSourceQueues" lists::sources, LIST_SOURCES => LIST_SOURCES_ANSWER;
    "ListMessageMoveTasks" moves::list, LIST_MOVES => LIST_MOVES_ANSWER;
    "ListQueueTags" tags::list, BY_URL => TAGS_ANSWER;
    "ListQueues" lists::queues, LIST => LIST_ANSWER;
    "PurgeQueue" queues::purge, BY_URL => NOTHING;
    "ReceiveMessage" receive_message::answer, RECEIVE => RECEIVE_ANSWER;
    "RemovePermission" permissions::remove, REMOVE_PERMISSION => NOTHING;
    "SendMessage" send_message::one, SEND => SEND_ANSWER;
    "SendMessageBatch" send_message::batch, SEND_BATCH => SEND_BATCH_ANSWER;
    "SetQueueAttributes" queues::set_attributes, SET_ATTRIBUTES => NOTHING;
    "StartMessageMoveTask" moves::start, START_MOVE => START_MOVE_ANSWER;
    "TagQueue" tags::tag, TAG => NOTHING;
    "UntagQueue" tags::untag, UNTAG => NOTHING;
}

pub async fn handle(queues: &Queues, request: Request, origin: &str) -> Response {
    let target = request.header("x-amz-target").and_then(|target| target.strip_prefix(TARGET_PREFIX));
    let is_query = target.is_none();
    let request_id = request.request_id.clone();
    let served = match target {
        Some(name) => serve_json(queues, name, &request, origin).await,
        None => serve_query(queues, &request, origin).await,
    };
    let mut response = served.unwrap_or_else(|failure| failure.into_response(is_query, &request_id));
    if let Ok(id) = http::HeaderValue::from_str(request_id.as_str()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

async fn serve_json(
    queues: &Queues,
    name: &str,
    request: &Request,
    origin: &str,
) -> Result<Response, Failure> {
    let operation = find(name)?;
    let members = if request.body.is_empty() {
        Map::new()
    } else {
        match json::parse_value(&request.body)? {
            Value::Object(members) => members,
            _ => return Err(Failure::new(fault::SERIALIZATION, "a JSON object is expected")),
        }
    };
    let call =
        Call { queues, caller: &request.caller, origin, trace: trace(request), input: Input(&members) };
    let answer = (operation.serve)(call).await?;
    let body = if operation.gives.is_empty() {
        Vec::new()
    } else {
        serde_json::to_vec(&answer).expect("answers are plain data with text keys")
    };
    let mut response = Response::new(Bytes::from(body));
    let kind = http::HeaderValue::from_static(CONTENT_TYPE);
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    Ok(response)
}

async fn serve_query(queues: &Queues, request: &Request, origin: &str) -> Result<Response, Failure> {
    let mut form = Form::read(&request.query, &request.headers, &request.body)?;
    let name = form.get("Action").ok_or_else(|| Failure::new(fault::INVALID_ACTION, "Missing Action"))?;
    let operation = find(name)?;
    // Older clients send requests to the address of the queue itself.
    if form.get("QueueUrl").is_none() && address::read(&request.path, &request.caller.region).is_some() {
        form.set("QueueUrl", request.path.clone());
    }
    let members = query::decode(&form, operation.takes)?;
    let call =
        Call { queues, caller: &request.caller, origin, trace: trace(request), input: Input(&members) };
    let answer = (operation.serve)(call).await?;
    Ok(query::answer(operation.name, NAMESPACE, &answer, operation.gives, &request.request_id))
}

fn find(name: &str) -> Result<&'static Operation, Failure> {
    let found = OPERATIONS.binary_search_by(|operation| operation.name.cmp(name));
    let unknown = || {
        let shown = crate::engine::message::shown(name);
        Failure::new(fault::INVALID_ACTION, format!("The action {shown} is not valid for this endpoint."))
    };
    found.map(|at| &OPERATIONS[at]).map_err(|_| unknown())
}

/// One call of one operation.
pub struct Call<'a> {
    queues: &'a Queues,
    caller: &'a Caller,
    origin: &'a str,
    /// X-Ray's header, as SDKs inside functions send it.
    trace: Option<&'a str>,
    input: Input<'a>,
}

/// Ours: what is longer is no trace header.
const TRACE_CHARS_MAX: usize = 512;

/// The trace of a request goes on with the messages that it sends, or a loop through a queue would not be seen.
fn trace(request: &Request) -> Option<&str> {
    let printable =
        |text: &&str| text.len() <= TRACE_CHARS_MAX && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    request.header("x-amzn-trace-id").filter(printable)
}

impl Call<'_> {
    fn now(&self) -> Timestamp {
        self.queues.clock.now()
    }

    fn asker(&self) -> Asker<'_> {
        Asker::Identity { account: &self.caller.account, arn: &self.caller.principal_arn }
    }

    /// The queue of the request's `QueueUrl`, if the caller may do this with it.
    fn queue(&self, action: &str) -> Result<Arc<QueueRecord>, Failure> {
        let url = self.input.required_text("QueueUrl")?;
        let key = address::read(url, &self.caller.region).ok_or_else(|| {
            let shown = crate::engine::message::shown(url);
            let message = format!("The address {shown} is not valid for this endpoint.");
            Failure::new(fault::INVALID_ADDRESS, message)
        })?;
        let record = self.queues.store.queue(&key).ok_or_else(fault::no_queue)?;
        self.check(&record, action)?;
        Ok(record)
    }

    fn check(&self, record: &QueueRecord, action: &str) -> Result<(), Failure> {
        // The owner of a queue without a policy, as nearly all callers are.
        if record.settings.policy.is_none() && record.key.account == self.caller.account {
            return Ok(());
        }
        if access::may(record, self.asker(), action, &[]) {
            return Ok(());
        }
        let Caller { principal_arn, .. } = self.caller;
        let message = format!(
            "User: {principal_arn} is not authorized to perform: {} on resource: {} because no resource-based policy \
             allows the {0} action",
            action.to_ascii_lowercase(),
            record.key.arn()
        );
        Err(Failure::new(fault::ACCESS_DENIED, message))
    }

    /// Changes a queue: decided again when it was changed meanwhile.
    async fn update(
        &self,
        action: &str,
        change: impl Fn(&QueueRecord) -> Result<QueueRecord, Failure>,
    ) -> Result<Arc<QueueRecord>, Failure> {
        loop {
            let old = self.queue(action)?;
            let mut record = change(&old)?;
            record.generation = old.generation + 1;
            let put = Command::Put { record: Box::new(record), expected: Some(old.generation) };
            match self.queues.store.apply(put).await {
                Ok(_) => return Ok(old),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(fault::store(error)),
            }
        }
    }
}

impl Queues {
    /// Has the store do it, on the shelf that the queue has now: `Gone` is a queue that was deleted or purged since.
    pub(crate) async fn apply(&self, command: Command) -> Result<Outcome, Failure> {
        match self.store.apply(command).await {
            Ok(Outcome::Gone) => Err(fault::no_queue()),
            Ok(outcome) => Ok(outcome),
            Err(error) => Err(fault::store(error)),
        }
    }
}

/// The moment at which a message had to be sent to be too old by now.
pub(crate) fn too_old(record: &QueueRecord, now: Timestamp) -> Timestamp {
    let kept = Duration::from_secs(record.settings.retention_secs.into());
    Timestamp::from_millis(
        now.as_millis().saturating_sub(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX)),
    )
}
