//! Targets: which there are, what may be said of them, and what they become for the hot path.

use std::collections::{BTreeMap, BTreeSet};

use lambent_core::arn::Arn;
use lambent_store::events::{InputRecord, Key, RetryRecord, RuleRecord, TargetHttpRecord, TargetRecord};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::input::{Maker, Path, Template};
use crate::names::{BusName, api_destination_of_arn, rule_arn};

/// Where events can be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    Function,
    Bus(BusName),
    Queue {
        is_fifo: bool,
    },
    Topic,
    /// An API destination.
    Destination,
    /// A universal target: an operation of a service, for schedules only.
    Operation {
        service: String,
        action: String,
    },
}

/// Why an ARN names no target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPlace {
    NotAnArn,
    /// Another region's, or not the form of a resource of its service.
    NotReachable,
    /// User guides of both services: ordered topics are not delivered to.
    OrderedTopic,
    /// A service that is not delivered to.
    Service(String),
}

impl Place {
    /// What an ARN names to something of this region.
    pub fn of(text: &str, region: &str) -> Result<Self, NoPlace> {
        let arn = Arn::parse(text).ok_or(NoPlace::NotAnArn)?;
        match arn.service.as_str() {
            "lambda" => {
                let mut parts = arn.resource.split(':');
                let fits = parts.next() == Some("function")
                    && (1..=2).contains(&parts.clone().count())
                    && parts.all(|part| !part.is_empty())
                    && arn.region == region;
                if fits { Ok(Self::Function) } else { Err(NoPlace::NotReachable) }
            }
            "events" if arn.resource.starts_with("event-bus/") => {
                let bus = BusName::of_arn(text).ok_or(NoPlace::NotReachable)?;
                Ok(Self::Bus(bus))
            }
            "events" if arn.resource.starts_with("api-destination/") => {
                let found =
                    api_destination_of_arn(text).filter(|(key, _)| key.scope.region.as_str() == region);
                found.map(|_| Self::Destination).ok_or(NoPlace::NotReachable)
            }
            "scheduler" if arn.resource.starts_with("aws-sdk:") => {
                let (service, action) = universal(&arn).ok_or(NoPlace::NotReachable)?;
                Ok(Self::Operation { service, action })
            }
            "sqs" => {
                let is_name = arn.resource.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
                if is_name && arn.region == region {
                    Ok(Self::Queue { is_fifo: arn.resource.ends_with(".fifo") })
                } else {
                    Err(NoPlace::NotReachable)
                }
            }
            "sns" => {
                let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
                match arn.resource.strip_suffix(".fifo") {
                    Some(_) => Err(NoPlace::OrderedTopic),
                    None if arn.resource.bytes().all(is_name) && arn.region == region => Ok(Self::Topic),
                    None => Err(NoPlace::NotReachable),
                }
            }
            service => Err(NoPlace::Service(service.to_owned())),
        }
    }
}

/// Service and action of `arn:aws:scheduler:::aws-sdk:SERVICE:ACTION`.
fn universal(arn: &Arn) -> Option<(String, String)> {
    let (service, action) = arn.resource.strip_prefix("aws-sdk:")?.split_once(':')?;
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_whole = arn.region.is_empty() && arn.account.is_empty() && is_word(service) && is_word(action);
    is_whole.then(|| (service.to_owned(), action.to_owned()))
}

/// Whether an ARN is one of a queue that takes what has failed: a standard one of this region.
pub fn takes_dead_letters(arn: &str, region: &str) -> bool {
    Place::of(arn, region) == Ok(Place::Queue { is_fifo: false })
}

/// What makes a target's input. `Err` says, in the reference's words, what is wrong with it.
pub fn maker(id: &str, input: &InputRecord) -> Result<Maker, String> {
    match input {
        InputRecord::Event => Ok(Maker::Whole),
        InputRecord::Constant(text) => match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Ok(Maker::Constant(text.clone())),
            Err(_) => Err(format!("JSON syntax error in input for target {id}")),
        },
        InputRecord::Path(path) => Path::parse(path)
            .map(Maker::Part)
            .ok_or_else(|| format!("Invalid InputPath for target {id} : {path}.")),
        InputRecord::Transformed { paths, template } => {
            let mut variables = BTreeMap::new();
            for (name, path) in paths {
                if !crate::input::is_variable_name(name) {
                    return Err(format!("Invalid InputTransformer for target {id} : variable name {name}."));
                }
                let path = Path::parse(path).ok_or_else(|| {
                    format!("Invalid InputTransformer for target {id} : path {path} of {name}.")
                })?;
                variables.insert(name.clone(), path);
            }
            let names: BTreeSet<&str> = variables.keys().map(String::as_str).collect();
            let template = Template::parse(template, &names).map_err(|unknown| match unknown.is_empty() {
                true => format!("Invalid InputTemplate for target {id} : it does not make valid JSON."),
                false => format!("Invalid InputTemplate for target {id} : [{}].", unknown.join(", ")),
            })?;
            Ok(Maker::Transformed { variables, template })
        }
    }
}

/// A rule, ready for events.
#[derive(Debug)]
pub struct ReadyRule {
    pub name: String,
    pub arn: String,
    pub targets: Vec<ReadyTarget>,
}

#[derive(Debug)]
pub struct ReadyTarget {
    pub arn: String,
    pub place: Place,
    pub maker: Maker,
    pub role: Option<String>,
    pub retry: RetryRecord,
    pub dead_letter: Option<String>,
    pub message_group: Option<String>,
    pub http: TargetHttpRecord,
}

impl ReadyRule {
    /// Targets that were stored can be made ready; one that can't is left out, and said.
    pub fn new(key: &Key, rule: &RuleRecord) -> Self {
        let arn = rule_arn(key);
        let ready = |(id, target): (&String, &TargetRecord)| {
            let place = Place::of(&target.arn, key.scope.region.as_str()).ok();
            let made = place.zip(maker(id, &target.input).ok());
            if made.is_none() {
                tracing::error!(rule = arn, target = id, "a stored target can't be read");
            }
            let (place, maker) = made?;
            Some(ReadyTarget {
                arn: target.arn.clone(),
                place,
                maker,
                role: target.role.clone(),
                retry: target.retry,
                dead_letter: target.dead_letter.clone(),
                message_group: target.message_group.clone(),
                http: target.http.clone().unwrap_or_default(),
            })
        };
        let targets = rule.targets.iter().filter_map(ready).collect();
        Self { name: key.name.clone(), arn, targets }
    }
}

/// Whether a text is an object in JSON, parsed.
pub fn object(text: &str) -> Option<Value> {
    lambent_wire::json::parse_value(text.as_bytes()).ok().filter(Value::is_object)
}
