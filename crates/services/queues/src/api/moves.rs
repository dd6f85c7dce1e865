//! StartMessageMoveTask, CancelMessageMoveTask, ListMessageMoveTasks. The work itself is in `worker`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambent_core::ids::uuid;
use lambent_store::queues::{Command, MoveRecord, MoveStatus, QueueRecord};
use serde_json::{Map, Value, json};

use super::fault::{self, Failure};
use super::limits::{MOVE_TASKS_LISTED_MAX, MOVE_TASKS_MAX, MOVES_PER_SECOND_MAX};
use super::{Answer, Call, address, too_old};

pub async fn start(call: Call<'_>) -> Answer {
    let source = source(&call, "sqs:StartMessageMoveTask")?;
    let destination = call.input.text("DestinationArn")?;
    if let Some(arn) = destination {
        let target = address::of_arn(arn).and_then(|key| call.queues.store.queue(&key));
        let target = target.ok_or_else(|| {
            Failure::new(
                fault::NO_RESOURCE,
                "The resource that you specified for the DestinationArn parameter doesn't exist.",
            )
        })?;
        call.check(&target, "sqs:SendMessage")?;
        if target.key == source.key || target.key.name.is_fifo() != source.key.name.is_fifo() {
            return Err(fault::invalid_parameter(
                arn,
                "DestinationArn",
                "The destination must be another queue of the same type as the source.",
            ));
        }
    }
    let rate = call.input.integer("MaxNumberOfMessagesPerSecond")?;
    if let Some(rate) = rate.filter(|rate| !(1..=MOVES_PER_SECOND_MAX).contains(rate)) {
        return Err(fault::invalid_parameter(
            &rate.to_string(),
            "MaxNumberOfMessagesPerSecond",
            "MaxNumberOfMessagesPerSecond must be an integer between 1 and 500.",
        ));
    }
    let arn = source.key.arn();
    if !is_dead_letter_queue(&call, &source) {
        return Err(fault::invalid_parameter(
            &arn,
            "SourceArn",
            "Source queue must be configured as a Dead Letter Queue.",
        ));
    }
    let tasks = call.queues.store.moves().await.map_err(fault::store)?;
    let active: Vec<&MoveRecord> = tasks.iter().filter(|task| is_active(task)).collect();
    if active.iter().any(|task| task.source == source.key) {
        return Err(Failure::new(
            fault::UNSUPPORTED,
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
        ));
    }
    if active.iter().filter(|task| task.source.account == source.key.account).count() >= MOVE_TASKS_MAX {
        let message = format!("There can be at most {MOVE_TASKS_MAX} active tasks in an account.");
        return Err(Failure::new(fault::OVER_LIMIT, message));
    }
    let now = call.now();
    let counts = call.queues.store.counts(source.shelf, now, too_old(&source, now)).await;
    let task = uuid(&*call.queues.entropy);
    let facts = json!({ "taskId": task, "sourceArn": arn });
    let record = MoveRecord {
        handle: STANDARD.encode(facts.to_string()),
        source: source.key.clone(),
        destination_arn: destination.map(str::to_owned),
        per_second_max: rate.and_then(|rate| u32::try_from(rate).ok()),
        status: MoveStatus::Running,
        moved: 0,
        to_move: counts.map_err(fault::store)?.visible,
        started: now,
        failure: None,
    };
    let handle = record.handle.clone();
    call.queues.apply(Command::PutMove(Box::new(record))).await?;
    call.queues.moves.notify_one();
    Ok(json!({ "TaskHandle": handle }))
}

pub async fn cancel(call: Call<'_>) -> Answer {
    let handle = call.input.required_text("TaskHandle")?;
    let tasks = call.queues.store.moves().await.map_err(fault::store)?;
    let found = tasks.into_iter().find(|task| {
        task.handle == handle
            && task.source.account == call.caller.account
            && task.source.region == call.caller.region
    });
    let Some(mut task) = found else {
        let known = STANDARD.decode(handle).is_ok_and(|bytes| bytes.starts_with(b"{"));
        return Err(match known {
            true => Failure::new(fault::NO_RESOURCE, "Task does not exist."),
            false => fault::invalid_parameter(handle, "TaskHandle", "Invalid task handle."),
        });
    };
    if task.status != MoveStatus::Running {
        return Err(Failure::new(
            fault::UNSUPPORTED,
            "Task is not running: only active tasks can be cancelled.",
        ));
    }
    task.status = MoveStatus::Cancelling;
    let moved = task.moved;
    call.queues.apply(Command::PutMove(Box::new(task))).await?;
    call.queues.moves.notify_one();
    Ok(json!({ "ApproximateNumberOfMessagesMoved": moved }))
}

pub async fn list(call: Call<'_>) -> Answer {
    let source = source(&call, "sqs:ListMessageMoveTasks")?;
    let limit = call.input.integer("MaxResults")?.unwrap_or(1);
    if !(1..=MOVE_TASKS_LISTED_MAX).contains(&limit) {
        return Err(fault::invalid_parameter(
            &limit.to_string(),
            "MaxResults",
            "MaxResults must be an integer between 1 and 10.",
        ));
    }
    let tasks = call.queues.store.moves().await.map_err(fault::store)?;
    let of_source = tasks.iter().filter(|task| task.source == source.key);
    let shown: Vec<Value> = of_source.take(usize::try_from(limit).unwrap_or(1)).map(show).collect();
    Ok(json!({ "Results": shown }))
}

fn show(task: &MoveRecord) -> Value {
    let mut shown = Map::new();
    let status = match task.status {
        MoveStatus::Running => "RUNNING",
        MoveStatus::Cancelling => "CANCELLING",
        MoveStatus::Cancelled => "CANCELLED",
        MoveStatus::Completed => "COMPLETED",
        MoveStatus::Failed => "FAILED",
    };
    // Only a task that runs can be cancelled, and so only its handle is shown.
    if task.status == MoveStatus::Running {
        shown.insert("TaskHandle".into(), task.handle.clone().into());
    }
    shown.insert("Status".into(), status.into());
    shown.insert("SourceArn".into(), task.source.arn().into());
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            shown.insert(name.into(), value);
        }
    };
    put("DestinationArn", task.destination_arn.clone().map(Value::from));
    put("MaxNumberOfMessagesPerSecond", task.per_second_max.map(Value::from));
    put("ApproximateNumberOfMessagesMoved", Some(task.moved.into()));
    put("ApproximateNumberOfMessagesToMove", Some(task.to_move.into()));
    put("FailureReason", task.failure.clone().map(Value::from));
    put("StartedTimestamp", Some(task.started.as_millis().into()));
    shown.into()
}

pub(crate) fn is_active(task: &MoveRecord) -> bool {
    matches!(task.status, MoveStatus::Running | MoveStatus::Cancelling)
}

fn source(call: &Call<'_>, action: &str) -> Result<Arc<QueueRecord>, Failure> {
    let arn = call.input.required_text("SourceArn")?;
    let key = address::of_arn(arn).ok_or_else(|| {
        fault::invalid_parameter(arn, "SourceArn", "You must use this format to specify the SourceArn: arn:<partition>:<service>:<region>:<account-id>:<resource-id>")
    })?;
    let found = call.queues.store.queue(&key).filter(|_| key.region == call.caller.region);
    let record = found.ok_or_else(|| {
        Failure::new(
            fault::NO_RESOURCE,
            "The resource that you specified for the SourceArn parameter doesn't exist.",
        )
    })?;
    call.check(&record, action)?;
    Ok(record)
}

fn is_dead_letter_queue(call: &Call<'_>, record: &QueueRecord) -> bool {
    let arn = record.key.arn();
    let all = call.queues.store.queues(&record.key.account, &record.key.region);
    all.iter().any(|other| other.settings.redrive.as_ref().is_some_and(|redrive| redrive.target_arn == arn))
}
