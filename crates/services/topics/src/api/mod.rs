//! The operations, in one table. Each reads its [`Input`] and answers with what XML is made of.

mod access;
mod confirm;
pub mod fault;
mod input;
pub mod limits;
pub mod names;
mod permissions;
mod publish;
mod shapes;
mod subscribe;
mod subscriptions;
mod tags;
mod topics;

use std::sync::Arc;

use lambent_core::ids::RequestId;
use lambent_core::ports::BoxFuture;
use lambent_store::StoreError;
use lambent_store::topics::{Command, TopicRecord};
use lambent_wire::query::{self, Form, Member};
use lambent_wire::{Caller, Fault, Request, Response};
use serde_json::Value;

use crate::Topics;
pub use confirm::forget;
use input::Input;

const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

/// Members that are refused whatever they say: the operation, the member, and why.
pub const REFUSED_MEMBERS: &[(&str, &str)] =
    &[("CreateTopic", "DataProtectionPolicy"), ("Publish", "PhoneNumber")];

/// What an operation answers.
type Answer = Result<Value, Fault>;
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
        /// The operations that are served, in the order of their names.
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
    "ConfirmSubscription" confirm::answer, CONFIRM => BY_SUBSCRIPTION;
    "CreateTopic" topics::create, CREATE_TOPIC => BY_TOPIC;
    "DeleteTopic" topics::delete, BY_TOPIC => NOTHING;
    "GetSubscriptionAttributes" subscriptions::attributes, BY_SUBSCRIPTION => ATTRIBUTES_ANSWER;
    "GetTopicAttributes" topics::attributes, BY_TOPIC => ATTRIBUTES_ANSWER;
    "ListSubscriptions" subscriptions::list, LIST_SUBSCRIPTIONS => SUBSCRIPTIONS_ANSWER;
    "ListSubscriptionsByTopic" subscriptions::list_by_topic, LIST_BY_TOPIC => SUBSCRIPTIONS_ANSWER;
    "ListTagsForResource" tags::list, LIST_TAGS => TAGS_ANSWER;
    "ListTopics" topics::list, LIST_TOPICS => LIST_TOPICS_ANSWER;
    "Publish" publish::one, PUBLISH => PUBLISH_ANSWER;
    "PublishBatch" publish::batch, PUBLISH_BATCH => PUBLISH_BATCH_ANSWER;
    "RemovePermission" permissions::remove, REMOVE_PERMISSION => NOTHING;
    "SetSubscriptionAttributes" subscriptions::set_attribute, SET_SUBSCRIPTION_ATTRIBUTES => NOTHING;
    "SetTopicAttributes" topics::set_attribute, SET_TOPIC_ATTRIBUTES => NOTHING;
    "Subscribe" subscribe::answer, SUBSCRIBE => BY_SUBSCRIPTION;
    "TagResource" tags::add, TAG => EMPTY_RESULT;
    "Unsubscribe" subscriptions::unsubscribe, BY_SUBSCRIPTION => NOTHING;
    "UntagResource" tags::remove, UNTAG => EMPTY_RESULT;
}

/// The operations of the model that are not served.
pub const UNSERVED: &[&str] = &[
    "CheckIfPhoneNumberIsOptedOut",
    "CreatePlatformApplication",
    "CreatePlatformEndpoint",
    "CreateSMSSandboxPhoneNumber",
    "DeleteEndpoint",
    "DeletePlatformApplication",
    "DeleteSMSSandboxPhoneNumber",
    "GetDataProtectionPolicy",
    "GetEndpointAttributes",
    "GetPlatformApplicationAttributes",
    "GetSMSAttributes",
    "GetSMSSandboxAccountStatus",
    "ListEndpointsByPlatformApplication",
    "ListOriginationNumbers",
    "ListPhoneNumbersOptedOut",
    "ListPlatformApplications",
    "ListSMSSandboxPhoneNumbers",
    "OptInPhoneNumber",
    "PutDataProtectionPolicy",
    "SetEndpointAttributes",
    "SetPlatformApplicationAttributes",
    "SetSMSAttributes",
    "VerifySMSSandboxPhoneNumber",
];

pub async fn handle(topics: &Topics, request: Request, origin: &str) -> Response {
    let served = serve(topics, &request, origin).await;
    let id = &request.request_id;
    let mut response = served
        .unwrap_or_else(|fault| query::fault(fault.status, &fault.code, &fault.message, NAMESPACE, Some(id)));
    if let Ok(id) = http::HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

/// Answers what needs no signature: the links that endpoints get to confirm and to end their subscriptions.
pub async fn handle_link(topics: &Topics, query: &[(String, String)], request_id: &RequestId) -> Response {
    let form = Form::read(query, &http::HeaderMap::new(), &[]);
    let answer = match &form {
        Ok(form) => confirm::by_link(topics, form).await,
        Err(fault) => Err(fault.clone()),
    };
    match answer {
        Ok((name, answer, gives)) => query::answer(name, NAMESPACE, &answer, gives, request_id),
        Err(fault) => query::fault(fault.status, &fault.code, &fault.message, NAMESPACE, Some(request_id)),
    }
}

async fn serve(topics: &Topics, request: &Request, origin: &str) -> Result<Response, Fault> {
    let form = Form::read(&request.query, &request.headers, &request.body)?;
    let name = form.get("Action").unwrap_or_default();
    if UNSERVED.contains(&name) {
        let message = format!("The operation {name} is not supported.");
        return Err(Fault::new(501, "UnsupportedOperation", message));
    }
    let operation = OPERATIONS
        .binary_search_by(|operation| operation.name.cmp(name))
        .map(|at| &OPERATIONS[at])
        .map_err(|_| {
            let shown: String = name.chars().take(100).collect();
            Fault::new(
                400,
                "InvalidAction",
                format!("Could not find operation {shown} for version 2010-03-31"),
            )
        })?;
    let members = query::decode(&form, operation.takes)?;
    let trace = request.header("x-amzn-trace-id");
    let call = Call { topics, caller: &request.caller, origin, trace, input: Input(&members) };
    let answer = (operation.serve)(call).await?;
    Ok(query::answer(operation.name, NAMESPACE, &answer, operation.gives, &request.request_id))
}

/// One call of one operation.
struct Call<'a> {
    topics: &'a Topics,
    caller: &'a Caller,
    origin: &'a str,
    /// X-Ray's trace header.
    trace: Option<&'a str>,
    input: Input<'a>,
}

impl Call<'_> {
    /// The topic of the request's `TopicArn`, if the caller may do this with it.
    fn topic(&self, action: &str) -> Result<Arc<TopicRecord>, Fault> {
        self.topic_of("TopicArn", self.input.required("TopicArn")?, action, &[])
    }

    fn topic_of(
        &self,
        parameter: &str,
        arn: &str,
        action: &str,
        context: &[(&str, &str)],
    ) -> Result<Arc<TopicRecord>, Fault> {
        let key = names::topic(arn).map_err(|reason| fault::invalid(format_args!("{parameter}{reason}")))?;
        // Topics of another region are not there, as with the reference's endpoints.
        let found = self.topics.deps.store.topic(&key).filter(|_| key.region == self.caller.region);
        let record = found.ok_or_else(fault::no_topic)?;
        self.check(&record, action, context)?;
        Ok(record)
    }

    /// Changes the topic of the request: decided again when it was changed meanwhile.
    async fn update(
        &self,
        action: &str,
        change: impl Fn(&TopicRecord) -> Result<TopicRecord, Fault>,
    ) -> Result<(), Fault> {
        loop {
            let old = self.topic(action)?;
            if self.put(&old, change(&old)?).await? {
                return Ok(());
            }
        }
    }

    /// Stores the topic as it is to be; false when it was changed meanwhile.
    async fn put(&self, old: &TopicRecord, mut record: TopicRecord) -> Result<bool, Fault> {
        if record == *old {
            return Ok(true);
        }
        record.generation = old.generation + 1;
        match self.topics.deps.store.apply(vec![Command::PutTopic(Arc::new(record))]).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(fault::store(error)),
        }
    }
}
