//! EventBridge's operations (2015-10-07, JSON 1.1). Each reads its input, refuses by name what it does not serve,
//! and answers.

mod api_destinations;
mod archives;
pub mod bus_policy;
mod buses;
mod cloud_events;
mod connection_auth;
mod connections;
mod permissions;
mod put_events;
mod put_rule;
mod put_targets;
mod replays;
mod rules;
pub mod shapes;
mod tags;
mod targets;
mod test_event_pattern;
mod unserved;

pub use cloud_events::handle as handle_cloud_events;
pub use tags::shown as shown_tags;
pub use unserved::{REFUSED_MEMBERS, UNSERVED};

use bytes::Bytes;
use lambent_store::events::{BusRecord, Entry, Key, Kind, Record, RuleRecord, Scope};
use lambent_wire::{Caller, Fault, Protocol, Request, Response, paginate};
use serde_json::Value;

use crate::Events;
use crate::names::{BusName, DEFAULT};
use crate::reader::Input;

const TARGET_PREFIX: &str = "AWSEvents.";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// What an operation answers: a JSON body, or nothing.
type Answer = Result<Option<Value>, Fault>;

pub async fn handle(events: &Events, request: Request) -> Response {
    let operation = request.header("x-amz-target").and_then(|target| target.strip_prefix(TARGET_PREFIX));
    let answer = match operation {
        Some(operation) => dispatch(events, operation, &request.caller, &request.body).await,
        None => Err(unknown_operation()),
    };
    match answer {
        Ok(body) => {
            let body = body.map(|body| body.to_string()).unwrap_or_default();
            let mut response = Response::new(Bytes::from(body));
            let json = http::HeaderValue::from_static(CONTENT_TYPE);
            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
            response
        }
        Err(fault) => fault.into_response(Protocol::Json11),
    }
}

fn unknown_operation() -> Fault {
    Fault::new(400, "UnknownOperationException", "")
}

macro_rules! served {
    ($($name:literal $serve:path;)*) => {
        /// The operations that are served.
        pub const SERVED: &[&str] = &[$($name),*];

        async fn dispatch(events: &Events, operation: &str, caller: &Caller, body: &[u8]) -> Answer {
            if UNSERVED.contains(&operation) {
                return Err(Fault::new(
                    501,
                    "UnsupportedOperationException",
                    format!("The operation {operation} is not supported."),
                ));
            }
            let call = || Ok::<_, Fault>(Call { events, caller, input: Input::parse(body)? });
            match operation {
                $($name => $serve(call()?).await,)*
                _ => Err(unknown_operation()),
            }
        }
    };
}

served! {
    "CancelReplay" replays::cancel;
    "CreateApiDestination" api_destinations::create;
    "CreateArchive" archives::create;
    "CreateConnection" connections::create;
    "CreateEventBus" buses::create;
    "DeauthorizeConnection" connections::deauthorize;
    "DeleteApiDestination" api_destinations::delete;
    "DeleteArchive" archives::delete;
    "DeleteConnection" connections::delete;
    "DeleteEventBus" buses::delete;
    "DeleteRule" rules::delete;
    "DescribeApiDestination" api_destinations::describe;
    "DescribeArchive" archives::describe;
    "DescribeConnection" connections::describe;
    "DescribeEventBus" buses::describe;
    "DescribeReplay" replays::describe;
    "DescribeRule" rules::describe;
    "DisableRule" rules::disable;
    "EnableRule" rules::enable;
    "ListApiDestinations" api_destinations::list;
    "ListArchives" archives::list;
    "ListConnections" connections::list;
    "ListEventBuses" buses::list;
    "ListReplays" replays::list;
    "ListRuleNamesByTarget" rules::names_by_target;
    "ListRules" rules::list;
    "ListTagsForResource" tags::list;
    "ListTargetsByRule" targets::list;
    "PutEvents" put_events::answer;
    "PutPermission" permissions::put;
    "PutRule" put_rule::answer;
    "PutTargets" put_targets::answer;
    "RemovePermission" permissions::remove;
    "RemoveTargets" targets::remove;
    "StartReplay" replays::start;
    "TagResource" tags::add;
    "TestEventPattern" test_event_pattern::answer;
    "UntagResource" tags::remove;
    "UpdateApiDestination" api_destinations::update;
    "UpdateArchive" archives::update;
    "UpdateConnection" connections::update;
    "UpdateEventBus" buses::update;
}

/// One call of one operation.
struct Call<'a> {
    events: &'a Events,
    caller: &'a Caller,
    input: Input,
}

impl Call<'_> {
    /// The bus that a request names, by its name or ARN; the default one when it names none.
    fn bus(&self, text: Option<&str>) -> BusName {
        bus_named(self.caller, text.unwrap_or(DEFAULT))
    }

    fn archive_key(&self, name: &str) -> Key {
        self.own_key(Kind::Archive, name)
    }

    fn replay_key(&self, name: &str) -> Key {
        self.own_key(Kind::Replay, name)
    }

    fn own_key(&self, kind: Kind, name: &str) -> Key {
        let (account, region) = (self.caller.account.clone(), self.caller.region.clone());
        Key { scope: Scope { account, region, kind, parent: String::new() }, name: name.to_owned() }
    }

    /// The bus whose rules or settings a request is about: it is there, and the caller's own.
    fn own_bus(&self, text: Option<&str>) -> Result<BusName, Fault> {
        let bus = self.bus(text);
        if bus.account != self.caller.account || bus.region != self.caller.region {
            return Err(Fault::new(
                400,
                "AccessDeniedException",
                format!("User: {} is not authorized for resource: {}", self.caller.principal_arn, bus.arn()),
            ));
        }
        if self.bus_record(&bus).is_none() {
            return Err(no_bus(&bus.name));
        }
        Ok(bus)
    }

    fn bus_record(&self, bus: &BusName) -> Option<BusRecord> {
        let found = self.events.deps.store.get(&bus.key());
        bus_of(found.as_ref().map(|entry| &entry.record), &bus.name)
    }
}

fn bus_named(caller: &Caller, text: &str) -> BusName {
    BusName::of_arn(text).unwrap_or_else(|| BusName {
        account: caller.account.clone(),
        region: caller.region.clone(),
        name: text.to_owned(),
    })
}

/// The record of a bus; the default one is there without.
fn bus_of(record: Option<&Record>, name: &str) -> Option<BusRecord> {
    match record {
        Some(Record::Bus(bus)) => Some(bus.clone()),
        _ => (name == DEFAULT).then(BusRecord::default),
    }
}

fn rule_of<'a>(record: Option<&'a Record>, bus: &BusName, name: &str) -> Result<&'a RuleRecord, Fault> {
    match record {
        Some(Record::Rule(rule)) => Ok(rule),
        _ => Err(no_rule(name, &bus.name)),
    }
}

fn not_found(message: String) -> Fault {
    Fault::new(400, "ResourceNotFoundException", message)
}

fn limit_exceeded() -> Fault {
    Fault::new(400, "LimitExceededException", "The requested resource exceeds the maximum number allowed.")
}

fn no_bus(name: &str) -> Fault {
    not_found(format!("Event bus {name} does not exist."))
}

fn no_rule(name: &str, bus: &str) -> Fault {
    not_found(format!("Rule {name} does not exist on EventBus {bus}."))
}

/// The page after the token, and the token of the next one. `scope` names the list with all that filters it.
pub fn page<T>(
    scope: &str,
    token: Option<&str>,
    limit: Option<u32>,
    read: impl FnOnce(Option<&str>, usize) -> Vec<T>,
    name: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, Option<String>), Fault> {
    let after = token.map(|token| paginate::decode(scope, token));
    let after = after.transpose().map_err(|error| error.into_fault("ValidationException", "NextToken"))?;
    let limit = limit.unwrap_or(shapes::PAGE_MAX) as usize;
    let mut found = read(after.as_deref(), limit + 1);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| paginate::encode(scope, name(last)));
    Ok((found, next))
}

pub fn entry_name(entry: &std::sync::Arc<Entry>) -> &str {
    &entry.key.name
}

/// The body without the members that have no value.
pub fn without_nulls(mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    body
}

/// A moment as the JSON services write it: seconds with a fraction.
pub fn seconds(time: lambent_core::Timestamp) -> Value {
    Value::from(time.as_millis() as f64 / 1000.0)
}
