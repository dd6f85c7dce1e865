//! EventBridge Scheduler's operations (2021-06-30, REST with JSON).

mod groups;
mod read;
mod schedules;
mod tags;

use bytes::Bytes;
use lambent_core::ports::BoxFuture;
use lambent_store::events::{GroupRecord, Key, Kind, Record, Scope};
use lambent_wire::route::{Captures, Table};
use lambent_wire::{Fault, Protocol, Request, Response};
use serde_json::Value;

use crate::Events;
use crate::names::DEFAULT;
use crate::reader::{Input, Shape, TOKEN, shape};

/// Names of schedules and groups.
const NAME: Shape = Shape {
    pattern: Some(("[0-9a-zA-Z-_.]+", |text| {
        text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    })),
    ..shape(1, 64)
};
const CLIENT_TOKEN: Shape = Shape {
    pattern: Some(("[a-zA-Z0-9-_]+", |text| {
        text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    })),
    ..shape(1, 64)
};

/// Items of a page, and how many there are when nobody says.
const PAGE_MAX: u32 = 100;

/// What an operation answers: a JSON body.
type Answer = Result<Value, Fault>;

type Serve = for<'a> fn(Call<'a>) -> BoxFuture<'a, Answer>;

/// An operation, and where it is found.
pub struct Operation {
    pub name: &'static str,
    pub method: &'static str,
    pub path: &'static str,
    serve: Serve,
}

macro_rules! operations {
    ($($method:ident $path:literal $name:ident $serve:path;)*) => {
        /// Every operation of the model; all of them are served.
        pub static OPERATIONS: &[Operation] = &[$(Operation {
            name: stringify!($name),
            method: stringify!($method),
            path: $path,
            serve: |call| Box::pin($serve(call)),
        },)*];
    };
}

operations! {
    POST "/schedules/{Name}" CreateSchedule schedules::create;
    POST "/schedule-groups/{Name}" CreateScheduleGroup groups::create;
    DELETE "/schedules/{Name}" DeleteSchedule schedules::delete;
    DELETE "/schedule-groups/{Name}" DeleteScheduleGroup groups::delete;
    GET "/schedules/{Name}" GetSchedule schedules::get;
    GET "/schedule-groups/{Name}" GetScheduleGroup groups::get;
    GET "/schedule-groups" ListScheduleGroups groups::list;
    GET "/schedules" ListSchedules schedules::list;
    GET "/tags/{ResourceArn}" ListTagsForResource tags::list;
    POST "/tags/{ResourceArn}" TagResource tags::add;
    DELETE "/tags/{ResourceArn}" UntagResource tags::remove;
    PUT "/schedules/{Name}" UpdateSchedule schedules::update;
}

/// Operations and their members that are not served at any value. Nothing refuses by this list: a member that no
/// operation reads is refused in any case.
#[rustfmt::skip]
pub const REFUSED_MEMBERS: &[(&str, &str)] = &[
    ("CreateSchedule", "KmsKeyArn"),
    ("CreateSchedule", "Target.EcsParameters"),
    ("CreateSchedule", "Target.EventBridgePutEventsV2Parameters"),
    ("CreateSchedule", "Target.EventBridgePutRawEventsParameters"),
    ("CreateSchedule", "Target.KinesisParameters"),
    ("CreateSchedule", "Target.SageMakerPipelineParameters"),
    ("UpdateSchedule", "KmsKeyArn"),
    ("UpdateSchedule", "Target.EcsParameters"),
    ("UpdateSchedule", "Target.EventBridgePutEventsV2Parameters"),
    ("UpdateSchedule", "Target.EventBridgePutRawEventsParameters"),
    ("UpdateSchedule", "Target.KinesisParameters"),
    ("UpdateSchedule", "Target.SageMakerPipelineParameters"),
];

pub fn table() -> Table<&'static Operation> {
    Table::new(OPERATIONS.iter().map(|operation| (operation.method, operation.path, operation)))
}

pub async fn handle(events: &Events, request: Request) -> Response {
    let found = match events.scheduler.find(&request.method, &request.path, &request.query) {
        Ok(found) => found,
        Err(miss) => return miss.into_fault().into_response(Protocol::RestJson),
    };
    let serve = found.operation.serve;
    let labels = found.into_captures();
    let answer = match Input::parse(&request.body) {
        Ok(input) => serve(Call { events, request: &request, labels, input }).await,
        Err(fault) => Err(fault),
    };
    match answer {
        Ok(body) => {
            let mut response = Response::new(Bytes::from(body.to_string()));
            let json = http::HeaderValue::from_static("application/json");
            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
            response
        }
        Err(fault) => in_own_words(fault).into_response(Protocol::RestJson),
    }
}

/// What is shared with the buses tells of the same troubles by their names.
fn in_own_words(mut fault: Fault) -> Fault {
    match &*fault.code {
        "InternalException" => fault.code = "InternalServerException".into(),
        "ConcurrentModificationException" => {
            fault.status = 409;
            fault.code = "ConflictException".into();
            fault.message = "The resource is being changed by another request.".into();
        }
        _ => {}
    }
    fault
}

/// A request that found its operation.
struct Call<'a> {
    events: &'a Events,
    request: &'a Request,
    labels: Captures,
    input: Input,
}

impl Call<'_> {
    /// The label `Name`, its constraints noted.
    fn name(&self) -> String {
        let name = self.labels.first().map(|(_, name)| name.clone()).unwrap_or_default();
        self.input.check_text("name", &name, NAME);
        name
    }

    /// A query parameter, its constraints noted.
    fn query(&self, name: &str, path: &str, shape: Shape) -> Option<String> {
        let text = self.request.query_value(name)?;
        self.input.check_text(path, text, shape);
        Some(text.to_owned())
    }

    fn page_query(&self) -> Result<(Option<String>, Option<u32>), Fault> {
        let token = self.query("NextToken", "nextToken", TOKEN);
        let limit = match self.request.query_value("MaxResults") {
            None => None,
            Some(text) => {
                let limit: i64 = text.parse().map_err(|_| {
                    Fault::new(400, "SerializationException", "MaxResults can not be converted to an Integer")
                })?;
                self.input.check().check_range("maxResults", limit, 1, i64::from(PAGE_MAX));
                Some(u32::try_from(limit).unwrap_or(1))
            }
        };
        Ok((token, limit))
    }

    fn scope(&self, kind: Kind, parent: &str) -> Scope {
        let caller = &self.request.caller;
        let (account, region) = (caller.account.clone(), caller.region.clone());
        Scope { account, region, kind, parent: parent.to_owned() }
    }

    fn group_key(&self, name: &str) -> Key {
        Key { scope: self.scope(Kind::Group, ""), name: name.to_owned() }
    }

    fn schedule_key(&self, group: &str, name: &str) -> Key {
        Key { scope: self.scope(Kind::Schedule, group), name: name.to_owned() }
    }

    /// The group, or that it is not there.
    fn group(&self, name: &str) -> Result<GroupRecord, Fault> {
        let found = self.events.deps.store.get(&self.group_key(name));
        group_of(found.as_ref().map(|entry| &entry.record), name).ok_or_else(|| no_group(name))
    }
}

/// The record of a group; the default one is there without.
fn group_of(record: Option<&Record>, name: &str) -> Option<GroupRecord> {
    match record {
        Some(Record::Group(group)) => Some(group.clone()),
        _ => (name == DEFAULT).then(GroupRecord::default),
    }
}

fn no_group(name: &str) -> Fault {
    Fault::new(404, "ResourceNotFoundException", format!("Schedule group {name} does not exist."))
}

fn conflict(message: String) -> Fault {
    Fault::new(409, "ConflictException", message)
}

fn group_arn(key: &Key) -> String {
    let Scope { account, region, .. } = &key.scope;
    format!("arn:aws:scheduler:{region}:{account}:schedule-group/{}", key.name)
}

pub fn schedule_arn(key: &Key) -> String {
    let Scope { account, region, parent, .. } = &key.scope;
    format!("arn:aws:scheduler:{region}:{account}:schedule/{parent}/{}", key.name)
}
