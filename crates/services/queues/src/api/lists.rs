//! ListQueues and ListDeadLetterSourceQueues.

use std::sync::Arc;

use lambent_store::queues::QueueRecord;
use lambent_wire::paginate;
use serde_json::{Map, Value};

use super::fault::{self, Failure};
use super::limits::LIST_RESULTS_MAX;
use super::{Answer, Call, address};

pub async fn queues(call: Call<'_>) -> Answer {
    let prefix = call.input.text("QueueNamePrefix")?.unwrap_or_default().to_owned();
    let records = own(&call).filter(|record| record.key.name.as_str().starts_with(&prefix)).collect();
    page(&call, records, "QueueUrls", &format!("sqs.ListQueues {prefix}"))
}

pub async fn sources(call: Call<'_>) -> Answer {
    let target = call.queue("sqs:ListDeadLetterSourceQueues")?;
    let arn = target.key.arn();
    let redrives = |record: &Arc<QueueRecord>| {
        record.settings.redrive.as_ref().is_some_and(|redrive| redrive.target_arn == arn)
    };
    let all = call.queues.store.queues(&target.key.account, &target.key.region);
    let records = all.into_iter().filter(redrives).collect();
    page(&call, records, "queueUrls", &format!("sqs.ListDeadLetterSourceQueues {arn}"))
}

fn own(call: &Call<'_>) -> impl Iterator<Item = Arc<QueueRecord>> {
    call.queues.store.queues(&call.caller.account, &call.caller.region).into_iter()
}

/// A page of queues. A token is the last name of the page before; without a number of results the list ends after the
/// first thousand, as the reference's does.
fn page(call: &Call<'_>, mut records: Vec<Arc<QueueRecord>>, member: &str, scope: &str) -> Answer {
    let results = call.input.integer("MaxResults")?;
    if let Some(results) = results.filter(|results| !(1..=LIST_RESULTS_MAX).contains(results)) {
        return Err(Failure::new(
            fault::INVALID_PARAMETER,
            format!(
                "Value {results} for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 \
                 and {LIST_RESULTS_MAX}."
            ),
        ));
    }
    if let Some(token) = call.input.text("NextToken")?.filter(|token| !token.is_empty()) {
        if results.is_none() {
            return Err(Failure::new(
                fault::INVALID_PARAMETER,
                "MaxResults is a mandatory parameter when you provide a value for NextToken.",
            ));
        }
        let after = paginate::decode(scope, token)
            .map_err(|_| Failure::new(fault::INVALID_PARAMETER, "Invalid or expired next token."))?;
        records.retain(|record| record.key.name.as_str() > after.as_str());
    }
    let limit = usize::try_from(results.unwrap_or(LIST_RESULTS_MAX)).unwrap_or(usize::MAX);
    let more = records.len() > limit;
    records.truncate(limit);
    let mut answer = Map::new();
    if let Some(last) = records.last().filter(|_| more && results.is_some()) {
        answer.insert("NextToken".into(), paginate::encode(scope, last.key.name.as_str()).into());
    }
    if !records.is_empty() || member == "queueUrls" {
        let urls: Vec<String> =
            records.iter().map(|record| address::write(call.origin, &record.key)).collect();
        answer.insert(member.into(), urls.into());
    }
    Ok(Value::Object(answer))
}
