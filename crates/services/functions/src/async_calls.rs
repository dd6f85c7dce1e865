//! Asynchronous calls: accepted onto the disk, then run, tried again, given up, each step as `engine::async_event`
//! decides.
//!
//! Invariants:
//! - an accepted event is in the store until its end is, and the end and what its destination gets are one commit;
//! - a node that stops or dies in the middle of an attempt makes that attempt again: at least once, as the reference;
//! - a function that is slow or throttled holds up no other: what can't run is put off.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lambent_core::arn::Arn;
use lambent_core::ids::{AccountId, FunctionName, Region, RequestId, Version};
use lambent_core::ports::{Answer, EventSample, Origin, Outcome, Source};
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::deliveries::{Command, Delivery, Lane, Tries};
use lambent_store::functions::{EventInvokeRecord, FunctionKey, FunctionRecord};
use serde_json::value::RawValue;

use crate::Functions;
use crate::api::invoke::{self, Work};
use crate::api::target::Target;
use crate::async_trace::Way;
use crate::destinations::QueuePush;
use crate::engine::async_event::{self, AsyncEvent, Attempt, Condition, Verdict};
use crate::engine::{configuration, event_invoke};
use crate::error::Error;

const LANE: Lane = Lane::AsyncInvocation;

/// Ours: attempts at one time. More than an account may run at once would only be throttled.
const IN_FLIGHT_MAX: usize = 1_000;

/// Ours: events read from the store at one time.
const READ_MAX: usize = 256;

/// Ours: how long to leave a store alone that has failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Ours: the longest sleep. The wall clock may be set while the worker waits for a moment of it.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Events that were put off for want of capacity, by function, so that the end of one call brings the next one
/// forward: waiting out the back-off would leave the capacity idle. Lost with the process, which costs only time.
#[derive(Default)]
pub(crate) struct PutOff(Mutex<HashMap<FunctionKey, VecDeque<(RequestId, Tries)>>>);

/// Ours: put-off events that are remembered for one function.
const PUT_OFF_MAX: usize = 10_000;

impl PutOff {
    fn lock(&self) -> MutexGuard<'_, HashMap<FunctionKey, VecDeque<(RequestId, Tries)>>> {
        // Each change under this lock is a single call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, key: &FunctionKey, id: &RequestId, tries: Tries) {
        let mut all = self.lock();
        let waiting = all.entry(key.clone()).or_default();
        if waiting.len() < PUT_OFF_MAX {
            waiting.push_back((id.clone(), tries));
        }
    }

    fn take(&self, key: &FunctionKey) -> Option<(RequestId, Tries)> {
        let mut all = self.lock();
        let waiting = all.get_mut(key)?;
        let next = waiting.pop_front();
        if waiting.is_empty() {
            all.remove(key);
        }
        next
    }
}

impl Functions {
    /// Puts an event on the disk. It will be tried as soon as there is room.
    pub(crate) async fn accept_event(&self, id: RequestId, event: &AsyncEvent) -> Result<(), Error> {
        let accept = Command::Accept(delivery(id.clone(), event, self.deps.clock.now())?);
        let accepted = self.deps.deliveries.apply(vec![accept]).await;
        accepted.map_err(|error| Error::StoreUnavailable { detail: error.to_string() })?;
        self.way(&id, event).accepted();
        self.count(event, EventSample::Received);
        self.accepted.ring();
        Ok(())
    }

    /// Runs accepted events until `stop`; then ends the attempts that are on their way.
    pub async fn run_async_calls(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut attempts = FuturesUnordered::new();
        let mut taken = HashSet::new();
        // Whether the store may have more than is taken, and when it may have something that is due.
        let (mut look, mut next) = (true, self.deps.clock.now());
        let mut awake = self.deps.clock.awake();
        loop {
            // Before the look, so that what is accepted meanwhile is seen in the next round.
            let accepted = self.accepted.heard();
            let has_room = |attempts: &FuturesUnordered<_>| attempts.len() + READ_MAX <= IN_FLIGHT_MAX;
            if look && has_room(&attempts) {
                // One moment for both: what becomes due between two would be in neither.
                let now = self.deps.clock.now();
                match self.read_due(now, &taken).await {
                    Ok((due, is_all)) => {
                        look = !is_all;
                        for delivery in due {
                            taken.insert(delivery.id.clone());
                            attempts.push(self.attempt(delivery));
                        }
                        next = self.next_due(now).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "asynchronous calls can't be read; tried again");
                        (look, next) = (false, self.deps.clock.now().plus(RETRY_AFTER));
                    }
                }
                if look && has_room(&attempts) {
                    continue;
                }
            }
            // Without room it is an attempt's end that is waited for.
            let until = if look { self.deps.clock.now().plus(SLEEP_MAX) } else { next };
            let nap = self.deps.clock.sleep_until(until);
            if attempts.is_empty() {
                drop(std::mem::take(&mut awake));
            }
            tokio::select! {
                () = &mut stop => break,
                Some((done, due)) = attempts.next() => {
                    taken.remove(&done);
                    next = due.map_or(next, |due| next.min(due));
                }
                woken = accepted => (look, awake) = (true, woken),
                woken = nap => (look, awake) = (true, woken),
            }
        }
        while attempts.next().await.is_some() {}
    }

    /// Tries everything that is due now, once. Says how many events that were.
    pub async fn run_due_events(&self) -> Result<usize, StoreError> {
        let (due, _) = self.read_due(self.deps.clock.now(), &HashSet::new()).await?;
        let attempts: FuturesUnordered<_> = due.into_iter().map(|delivery| self.attempt(delivery)).collect();
        Ok(attempts.count().await)
    }

    /// What is due and not taken, and whether that is all.
    async fn read_due(
        &self,
        now: Timestamp,
        taken: &HashSet<RequestId>,
    ) -> Result<(Vec<Delivery>, bool), StoreError> {
        let limit = taken.len() + READ_MAX;
        let mut due = self.deps.deliveries.due(LANE, now, limit).await?;
        let is_all = due.len() < limit;
        due.retain(|delivery| !taken.contains(&delivery.id));
        Ok((due, is_all))
    }

    /// When something becomes due that is not yet, or a look is worth it all the same.
    async fn next_due(&self, now: Timestamp) -> Timestamp {
        match self.deps.deliveries.next_due(LANE, now).await {
            Ok(Some(due)) => due.min(now.plus(SLEEP_MAX)),
            Ok(None) => now.plus(SLEEP_MAX),
            Err(_) => now.plus(RETRY_AFTER),
        }
    }

    /// Tries an event once and stores what becomes of it. Says when it is due again, if it is.
    async fn attempt(&self, delivery: Delivery) -> (RequestId, Option<Timestamp>) {
        let Delivery { id, accepted, tries, body, .. } = delivery;
        let commands = match serde_json::from_slice::<AsyncEvent>(&body) {
            Ok(event) => self.try_event(&id, &event, accepted, tries).await,
            Err(error) => {
                tracing::error!(%id, %error, "an accepted event can't be read; it is given up");
                Some(vec![Command::Settle { id: id.clone() }])
            }
        };
        // `None`: the node is stopping, and the event stays as it is.
        let Some(commands) = commands else { return (id, None) };
        let again = commands.iter().find_map(|command| match command {
            Command::Postpone { due, .. } => Some(*due),
            _ => None,
        });
        self.store_until_taken(&id, commands).await;
        (id, again)
    }

    async fn store_until_taken(&self, id: &RequestId, commands: Vec<Command>) {
        let more = commands.len() > 1;
        loop {
            match self.deps.deliveries.apply(commands.clone()).await {
                Ok(()) => {
                    if more {
                        self.accepted.ring();
                        self.pushes.ring();
                    }
                    return;
                }
                Err(StoreError::Unavailable { detail }) => {
                    tracing::warn!(%id, detail, "the end of an asynchronous call can't be stored; tried again");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                Err(StoreError::Conflict) => {
                    tracing::error!(%id, "an asynchronous call was changed by somebody else");
                    return;
                }
            }
        }
    }

    async fn try_event(
        &self,
        id: &RequestId,
        event: &AsyncEvent,
        accepted: Timestamp,
        tries: Tries,
    ) -> Option<Vec<Command>> {
        let settle = || Command::Settle { id: id.clone() };
        let way = self.way(id, event);
        let gone = |why: &str| {
            way.gone(why);
            // Whoever deletes a function gives its events up with it.
            tracing::info!(%id, function = event.invoked_arn, why, "an accepted event has no function any more");
            Some(vec![settle()])
        };
        let Some(target) = target_of(event) else { return gone("its name is none") };
        let Some(record) = self.deps.store.function(&target.key) else { return gone("it was deleted") };
        let config = event_invoke::applying(&record, target.qualifier.as_deref()).cloned();
        let (mut deferred, called) = (None, self.deps.clock.now());
        let attempt = if self.deps.clock.now() >= accepted.plus(async_event::age_max(config.as_ref())) {
            Attempt::TooOld
        } else if record.reserved_concurrency == Some(0) {
            Attempt::SwitchedOff
        } else {
            match self.run_event(id, event, &target, tries).await {
                Ok((attempt, why)) => {
                    deferred = why;
                    attempt
                }
                Err(Unrun::Stopping) => return None,
                Err(Unrun::Gone) => return gone("its qualifier was deleted"),
            }
        };
        let now = self.deps.clock.now();
        if matches!(attempt, Attempt::Returned { .. } | Attempt::Failed { .. }) {
            self.count(event, EventSample::Called { age: called.since(accepted) });
            self.bring_forward(&target.key, now).await;
        }
        match async_event::judge(&attempt, tries, config.as_ref(), accepted, now) {
            Verdict::Postpone { due, tries } => {
                way.waits(
                    tries,
                    async_event::retries_max(config.as_ref()),
                    deferred.as_ref(),
                    due.since(now),
                );
                if attempt == Attempt::Deferred {
                    self.put_off.put(&target.key, id, tries);
                }
                Some(vec![Command::Postpone { id: id.clone(), due, tries }])
            }
            Verdict::Over { condition, attempts } => {
                let invoked = record;
                let record = || async_event::record(event, id, &attempt, condition, attempts, now);
                let next = self.for_destination(event, &invoked, config.as_ref(), condition, record, now);
                let letter =
                    self.dead_letter(id, event, target.qualifier.as_deref(), &invoked, &attempt, condition);
                way.over(condition, attempts, next.iter().chain(&letter));
                if condition != Condition::Success {
                    self.count(event, EventSample::Dropped);
                }
                if next.is_none() && letter.is_none() && condition != Condition::Success {
                    tracing::warn!(
                        %id, function = event.invoked_arn, condition = condition.as_str(), attempts,
                        "an asynchronous call failed and has no destination for failures: its event is dropped"
                    );
                }
                Some([settle()].into_iter().chain(next).chain(letter).collect())
            }
        }
    }

    /// There is room for an event of this function that had been put off.
    async fn bring_forward(&self, key: &FunctionKey, now: Timestamp) {
        if let Some((id, tries)) = self.put_off.take(key) {
            // One that is over meanwhile is not there any more, and needs nothing.
            if self.deps.deliveries.apply(vec![Command::Postpone { id, due: now, tries }]).await.is_ok() {
                self.accepted.ring();
            }
        }
    }

    /// Runs it, or says why it can't be run now.
    async fn run_event(
        &self,
        id: &RequestId,
        event: &AsyncEvent,
        target: &Target,
        tries: Tries,
    ) -> Result<(Attempt, Option<Error>), Unrun> {
        let work = Work {
            request_id: id.clone(),
            payload: Bytes::copy_from_slice(event.payload.get().as_bytes()),
            client_context: event.client_context.clone(),
            trace_header: event.trace_header.clone(),
            tail_log: false,
            origin: Origin { attempt: tries.attempts + 1, ..Origin::of(Source::Event, &event.by) },
        };
        match self.run_work(target, work).await {
            Ok((answer, version)) => {
                let version = version.to_string();
                let attempt = match answer.outcome {
                    Outcome::Returned(payload) => Attempt::Returned { version, payload: payload.to_vec() },
                    Outcome::Failed(payload) => Attempt::Failed { version, payload: payload.to_vec() },
                };
                Ok((attempt, None))
            }
            Err(Error::FunctionNotFound { .. } | Error::AliasNotFound { .. }) => Err(Unrun::Gone),
            Err(Error::Stopping) => Err(Unrun::Stopping),
            Err(Error::RecursiveInvocation) => Ok((Attempt::GoesRound, None)),
            Err(error) => Ok((Attempt::Deferred, Some(error))),
        }
    }

    fn count(&self, event: &AsyncEvent, sample: EventSample) {
        if let Some(target) = target_of(event) {
            self.deps.metrics.event(&target.arn(), sample);
        }
    }

    fn way<'a>(&'a self, id: &'a RequestId, event: &'a AsyncEvent) -> Way<'a> {
        Way { deps: &self.deps, id, event }
    }

    pub(crate) async fn run_work(&self, target: &Target, work: Work) -> Result<(Answer, Version), Error> {
        let (record, found) = invoke::find_invocable(self, target).await?;
        let invocation = invoke::invocation(self, target, &record, &found, work)?;
        let answer = match self.deps.invoke.invoke(invocation).await.map_err(invoke::refused) {
            // The function's own doing: it counts as a call that failed, or nobody would ever give it up.
            Err(error @ (Error::AfterRestore | Error::AfterRestoreTimedOut)) => failed_after_restore(&error),
            other => other?,
        };
        Ok((answer, found.version.version))
    }

    /// What the function's dead-letter queue gets of an event that is given up.
    fn dead_letter(
        &self,
        id: &RequestId,
        event: &AsyncEvent,
        qualifier: Option<&str>,
        function: &FunctionRecord,
        attempt: &Attempt,
        condition: Condition,
    ) -> Option<Command> {
        if condition == Condition::Success {
            return None;
        }
        let found = crate::engine::versions::resolve(function, qualifier, || 1.0).ok()?;
        let arn = found.version.dead_letter.as_deref()?;
        let push = QueuePush::dead_letter(arn, function, event, id, attempt);
        let now = self.deps.clock.now();
        Some(Command::Accept(push.delivery(RequestId::random(&*self.deps.entropy), now)))
    }

    /// What tells a destination of the end: another function's asynchronous call, a message for a queue or a topic, or an
    /// event on a bus.
    fn for_destination(
        &self,
        event: &AsyncEvent,
        function: &FunctionRecord,
        config: Option<&EventInvokeRecord>,
        condition: Condition,
        record: impl FnOnce() -> serde_json::Value,
        now: Timestamp,
    ) -> Option<Command> {
        let arn = match condition {
            Condition::Success => config?.on_success.as_ref()?,
            _ => config?.on_failure.as_ref()?,
        };
        let parsed = Arn::parse(arn)?;
        if configuration::TOLD.contains(&parsed.service.as_str()) {
            let mut push = QueuePush::new(arn, function, record().to_string(), &event.trace_header);
            if parsed.service == "events" {
                push = push.event(condition, &async_event::qualified(event));
            }
            return Some(Command::Accept(push.delivery(RequestId::random(&*self.deps.entropy), now)));
        }
        let (name, qualifier) = event_invoke::function_of(&parsed)?;
        let next = AsyncEvent {
            account: parsed.account.clone(),
            region: parsed.region.clone(),
            function: name.to_owned(),
            qualifier: qualifier.map(str::to_owned),
            invoked_arn: arn.clone(),
            trace_header: event.trace_header.clone(),
            client_context: None,
            payload: RawValue::from_string(record().to_string()).ok()?,
            by: event.invoked_arn.clone(),
        };
        self.count(&next, EventSample::Received);
        delivery(RequestId::random(&*self.deps.entropy), &next, now).ok().map(Command::Accept)
    }
}

/// Why an event was not tried.
enum Unrun {
    Stopping,
    Gone,
}

pub(crate) fn delivery(id: RequestId, event: &AsyncEvent, now: Timestamp) -> Result<Delivery, Error> {
    let body =
        serde_json::to_vec(event).map_err(|error| Error::Serialization { detail: error.to_string() })?;
    Ok(Delivery { id, lane: LANE, accepted: now, due: now, tries: Tries::default(), body: body.into() })
}

fn target_of(event: &AsyncEvent) -> Option<Target> {
    let key = FunctionKey {
        account: AccountId::new(&event.account).ok()?,
        region: Region::new(&event.region).ok()?,
        name: FunctionName::new(&event.function).ok()?,
    };
    Some(Target { key, qualifier: event.qualifier.clone() })
}

/// An event for a call of this target.
pub(crate) fn event_of(
    target: &Target,
    payload: &Bytes,
    trace_header: String,
    client_context: Option<String>,
) -> Result<AsyncEvent, Error> {
    let unreadable = |detail: String| Error::UnreadableJson { detail };
    let text = String::from_utf8(payload.to_vec()).map_err(|error| unreadable(error.to_string()))?;
    Ok(AsyncEvent {
        account: target.key.account.to_string(),
        region: target.key.region.to_string(),
        function: target.key.name.to_string(),
        qualifier: target.qualifier.clone(),
        invoked_arn: target.qualified_arn(),
        trace_header,
        client_context,
        payload: RawValue::from_string(text).map_err(|error| unreadable(error.to_string()))?,
        by: String::new(),
    })
}

/// Whether the function would be called at all: an asynchronous call of one that is not there is refused at once.
pub(crate) fn check_target(record: &FunctionRecord, target: &Target) -> Result<(), Error> {
    crate::engine::versions::resolve(record, target.qualifier.as_deref(), || 1.0).map(drop)
}

fn failed_after_restore(error: &Error) -> Answer {
    let document =
        serde_json::json!({ "errorType": "Runtime.AfterRestoreError", "errorMessage": error.to_string() });
    Answer {
        outcome: Outcome::Failed(Bytes::from(document.to_string())),
        log_tail: None,
        cold: None,
        handler: Duration::ZERO,
    }
}
