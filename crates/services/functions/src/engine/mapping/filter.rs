//! FilterCriteria: which messages a mapping's function wants.
//!
//! Source: *Using event filtering with an Amazon SQS event source* in the developer guide. A pattern sees a message's
//! record. A body that is JSON is seen as what it says, any other as a text; a pattern that wants the one is not
//! matched by the other.

use lambent_pattern::Pattern;
use serde_json::Value;

use crate::error::Error;

#[derive(Debug, Clone, Default)]
pub struct Filters(Vec<Filter>);

#[derive(Debug, Clone)]
struct Filter {
    pattern: Pattern,
    body: WantedBody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WantedBody {
    Any,
    Text,
    Json,
}

impl Filters {
    pub fn parse(patterns: &[String]) -> Result<Self, Error> {
        let filters = patterns.iter().map(|text| {
            let pattern = Pattern::parse(text).map_err(|_| Error::InvalidFilter)?;
            let body = match serde_json::from_str::<Value>(text).unwrap_or_default().get("body") {
                None => WantedBody::Any,
                Some(Value::Object(_)) => WantedBody::Json,
                Some(_) => WantedBody::Text,
            };
            Ok(Filter { pattern, body })
        });
        filters.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a message with this record is wanted: by one of the filters, if there are any.
    pub fn want(&self, record: &Value) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let body = record["body"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let json = body.filter(|body| body.is_object() || body.is_array());
        let is_json = json.is_some();
        let seen = json.map(|json| {
            let mut seen = record.clone();
            seen["body"] = json;
            seen
        });
        let seen = seen.as_ref().unwrap_or(record);
        self.0.iter().any(|filter| {
            let may = match filter.body {
                WantedBody::Any => true,
                WantedBody::Text => !is_json,
                WantedBody::Json => is_json,
            };
            may && filter.pattern.matches(seen)
        })
    }
}
