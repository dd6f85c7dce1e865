//! Deliveries to API destinations: one attempt, what follows of its answer, and the lane that they are on. Operations of
//! services, which may take their time as well, share the lane.
//!
//! User guide, *API destination error codes*: an answer of 401, 407, 409, 429 and 5xx is tried again by the target's retry
//! policy, and so is none within five seconds; any other but 2xx is given up at once. `Retry-After` makes a pause longer,
//! and ends the attempts when it is negative.
//!
//! Invariants:
//! - a delivery is in the store until its end is, and the end and its dead letter are one commit: at least once;
//! - a destination that is slow, or over its rate, holds up no other.

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lambent_core::ids::RequestId;
use lambent_core::ports::{Answered, Posting, Unanswered};
use lambent_core::time::Timestamp;
use lambent_store::StoreError;
use lambent_store::deliveries::{Command, Delivery, Lane, Tries};
use lambent_store::events::{
    ConnectionRecord, ConnectionState, DestinationRecord, Key, Record, TargetHttpRecord,
};

use super::connections::NoToken;
use super::pace::Wait;
use super::request::request;
use crate::Events;
use crate::names::{api_destination_of_arn, connection_of_arn};
use crate::outbox::body_of;
use crate::parcel::{Cause, Goal, Parcel, Trouble, Verdict, decide};

pub const LANE: Lane = Lane::SlowTarget;

/// User guide: how long an endpoint may take.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// User guide, *Quotas*: what a destination gets a second when nobody says it.
pub const RATE_DEFAULT: u32 = 300;

/// Ours: attempts at one time.
const IN_FLIGHT_MAX: usize = 1_000;

/// Ours: deliveries read from the store at one time.
const READ_MAX: usize = 256;

/// Ours: how long to leave a store alone that has failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Ours: the longest sleep. The wall clock may be set while the worker waits for a moment of it.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Ours: no `Retry-After` is longer than the longest retry policy.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// What came of an attempt.
enum Outcome {
    Delivered,
    /// Not made: to be asked for again then. The flag says that it has its place in that second.
    Waits(Timestamp, bool),
    Failed(Trouble),
}

impl Events {
    /// Brings events to API destinations until `stop`; then ends the attempts that are on their way.
    pub async fn run_posts(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut attempts = FuturesUnordered::new();
        let mut taken = HashSet::new();
        // Whether the store may have more than is taken, and when it may have something that is due.
        let (mut look, mut next) = (true, self.deps.clock.now());
        let mut awake = self.deps.clock.awake();
        loop {
            // Before the look, so that what is accepted meanwhile is seen in the next round.
            let accepted = self.http_posted.heard();
            let has_room = |attempts: &FuturesUnordered<_>| attempts.len() + READ_MAX <= IN_FLIGHT_MAX;
            if look && has_room(&attempts) {
                // One moment for both: what becomes due between two would be in neither.
                let now = self.deps.clock.now();
                match self.posts_due(now, &taken).await {
                    Ok((due, is_all)) => {
                        look = !is_all;
                        for delivery in due {
                            taken.insert(delivery.id.clone());
                            attempts.push(self.attempt_post(delivery));
                        }
                        next = self.next_post(now).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "what is on its way to API destinations can't be read; tried again");
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

    /// Tries everything that is due now, once. Says how many deliveries that were.
    pub async fn post_due(&self) -> Result<usize, StoreError> {
        let (due, _) = self.posts_due(self.deps.clock.now(), &HashSet::new()).await?;
        let attempts: FuturesUnordered<_> =
            due.into_iter().map(|delivery| self.attempt_post(delivery)).collect();
        Ok(attempts.count().await)
    }

    /// What is due and not taken, and whether that is all.
    async fn posts_due(
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
    async fn next_post(&self, now: Timestamp) -> Timestamp {
        match self.deps.deliveries.next_due(LANE, now).await {
            Ok(Some(due)) => due.min(now.plus(SLEEP_MAX)),
            Ok(None) => now.plus(SLEEP_MAX),
            Err(_) => now.plus(RETRY_AFTER),
        }
    }

    /// Tries a delivery once and stores what becomes of it. Says when it is due again, if it is.
    async fn attempt_post(&self, delivery: Delivery) -> (RequestId, Option<Timestamp>) {
        let Delivery { id, tries, body, .. } = delivery;
        let commands = match serde_json::from_slice::<Parcel>(&body) {
            Ok(parcel) => self.try_post(&id, parcel, tries).await,
            Err(error) => {
                tracing::error!(%id, %error, "a parcel can't be read; it is given up");
                vec![Command::Settle { id: id.clone() }]
            }
        };
        let again = commands.iter().find_map(|command| match command {
            Command::Postpone { due, .. } => Some(*due),
            _ => None,
        });
        let has_letter = commands.iter().any(|command| matches!(command, Command::Accept(_)));
        match self.deps.deliveries.apply(commands).await {
            Ok(()) if has_letter => self.posted.ring(),
            Ok(()) => {}
            // What is not stored is due still, and brought again.
            Err(error) => {
                tracing::warn!(%id, %error, "that a target has an event can't be stored; it is brought again");
                tokio::time::sleep(RETRY_AFTER).await;
                return (id, Some(self.deps.clock.now()));
            }
        }
        (id, again)
    }

    async fn try_post(&self, id: &RequestId, parcel: Parcel, tries: Tries) -> Vec<Command> {
        let mut commands = vec![Command::Settle { id: id.clone() }];
        let trouble = match self.send(&parcel, tries).await {
            Outcome::Delivered => {
                self.tell_arrived(&parcel, &id.to_string());
                return commands;
            }
            Outcome::Waits(due, is_placed) => {
                let deferrals = if is_placed { 1 } else { tries.deferrals };
                return vec![Command::Postpone { id: id.clone(), due, tries: Tries { deferrals, ..tries } }];
            }
            Outcome::Failed(trouble) => trouble,
        };
        let why = trouble.message.clone();
        match decide(parcel.patience, tries.attempts, trouble, self.deps.clock.now()) {
            Verdict::Retry(due) => {
                self.tell_waits(&parcel, &why, due);
                let tries = Tries { attempts: tries.attempts + 1, deferrals: 0 };
                vec![Command::Postpone { id: id.clone(), due, tries }]
            }
            Verdict::GiveUp(failure) => {
                self.tell_given_up(&parcel, &failure);
                let body = body_of(&parcel, tries.attempts);
                let Parcel { origin, dead_letter, event_id, trace_header, .. } = parcel;
                let letter = self.give_up(origin, dead_letter, &body, &failure);
                let letter = letter.map(|letter| Parcel { event_id, trace_header, ..letter });
                commands.extend(letter.map(|letter| self.post(&letter)));
                commands
            }
        }
    }

    async fn send(&self, parcel: &Parcel, tries: Tries) -> Outcome {
        let (arn, with) = match &parcel.goal {
            Goal::Http { arn, with } => (arn, with),
            Goal::Operation { service, action, .. } => {
                return match self.operate(parcel, service, action, tries.attempts).await {
                    Ok(()) => Outcome::Delivered,
                    Err(trouble) => Outcome::Failed(trouble),
                };
            }
            Goal::Queue { .. } | Goal::DeadLetters { .. } => {
                return Outcome::Failed(Trouble::for_good(Cause::Internal, "it is on the wrong lane"));
            }
        };
        let now = self.deps.clock.now();
        let (destination, key, connection) = match self.way_to(arn) {
            Ok(found) => found,
            Err(trouble) => return Outcome::Failed(trouble),
        };
        match connection.state {
            ConnectionState::Authorized => {}
            // Its answer is on its way.
            ConnectionState::Authorizing => return self.waits(parcel, tries, now.plus(RETRY_AFTER), false),
            ConnectionState::Deauthorized => {
                return Outcome::Failed(unreachable(
                    "The connection of the API destination is not authorized.",
                ));
            }
        }
        let _room = match self.paces.enter(arn, destination.per_second, tries.deferrals > 0, now) {
            Ok(room) => room,
            Err(Wait::Placed(due)) => return self.waits(parcel, tries, due, true),
            Err(Wait::Full(due)) => return self.waits(parcel, tries, due, false),
        };
        let authorization = match self.authorization(&connection).await {
            Ok(header) => header,
            Err(NoToken::Unavailable(why)) => return Outcome::Failed(unreachable(&why)),
            Err(NoToken::Refused(why)) => {
                self.authorized(&key, &connection.credentials, Err(why.clone())).await;
                return Outcome::Failed(unreachable(&why));
            }
        };
        self.post_to(parcel, with, &destination, &connection, authorization).await
    }

    /// An event that gets too old while it waits for its turn is given up.
    fn waits(&self, parcel: &Parcel, tries: Tries, due: Timestamp, is_placed: bool) -> Outcome {
        if due <= parcel.patience.expires {
            return Outcome::Waits(due, is_placed);
        }
        Outcome::Failed(Trouble {
            cause: Cause::Throttled,
            code: None,
            message: format!(
                "The destination has no room for it in time: {} attempts were made.",
                tries.attempts
            ),
            again: Some(due.since(self.deps.clock.now())),
        })
    }

    /// The destination of an ARN, and the connection that it is reached with.
    fn way_to(&self, arn: &str) -> Result<(DestinationRecord, Key, ConnectionRecord), Trouble> {
        let gone = |what: &str| Trouble::for_good(Cause::NoResource, format!("The {what} does not exist."));
        let found =
            api_destination_of_arn(arn).and_then(|(key, id)| match &self.deps.store.get(&key)?.record {
                Record::Destination(record) if record.id == id => Some(record.clone()),
                _ => None,
            });
        let destination = found.ok_or_else(|| gone("API destination"))?;
        let found = connection_of_arn(&destination.connection).and_then(|(key, id)| {
            match &self.deps.store.get(&key)?.record {
                Record::Connection(record) if record.id == id => Some((key, record.clone())),
                _ => None,
            }
        });
        let (key, connection) = found.ok_or_else(|| gone("connection of the API destination"))?;
        Ok((destination, key, connection))
    }

    async fn post_to(
        &self,
        parcel: &Parcel,
        with: &TargetHttpRecord,
        destination: &DestinationRecord,
        connection: &ConnectionRecord,
        authorization: (String, String),
    ) -> Outcome {
        let token = authorization.1.clone();
        let request = request(destination, &connection.parameters, with, authorization, &parcel.body);
        let is_sayable = |value: &str| http::HeaderValue::from_str(value).is_ok();
        if let Some((name, _)) = request.headers.iter().find(|(_, value)| !is_sayable(value)) {
            let message = format!("The header {name} can't have the value that the event gives it.");
            return Outcome::Failed(Trouble::for_good(Cause::Invalid, message));
        }
        let posting = Posting {
            method: &request.method,
            url: &request.url,
            headers: &request.headers,
            body: &request.body,
            within: ANSWER_WITHIN,
            answer_bytes_max: 0,
        };
        let answered = self.deps.http.post(posting).await;
        if matches!(&answered, Ok(Answered { status: 401 | 407, .. })) {
            self.tokens.disbelieve(&connection.credentials, &token).await;
        }
        match judged(answered, self.deps.clock.now()) {
            None => Outcome::Delivered,
            Some(trouble) => {
                tracing::warn!(
                    target = parcel.goal.arn(),
                    source = parcel.origin.source_arn(),
                    why = trouble.message,
                    "an API destination does not take an event"
                );
                Outcome::Failed(trouble)
            }
        }
    }
}

fn unreachable(why: &str) -> Trouble {
    let message = format!("Unable to invoke ApiDestination endpoint: {why}");
    Trouble { cause: Cause::Client, code: None, message, again: Some(Duration::ZERO) }
}

/// What is wrong with an answer, if anything is.
fn judged(answered: Result<Answered, Unanswered>, now: Timestamp) -> Option<Trouble> {
    let answered = match answered {
        Ok(answered) => answered,
        Err(Unanswered::TooSlow(_)) => {
            let why = "Timeout calling endpoint for API Destination.";
            return Some(Trouble { cause: Cause::Unknown, ..unreachable(why) });
        }
        Err(Unanswered::Unreachable(why)) => {
            return Some(unreachable(&format!("API destination endpoint cannot be reached. {why}")));
        }
    };
    let status = answered.status;
    let cause = match status {
        200..=299 => return None,
        429 => Cause::Throttled,
        500.. => Cause::Target,
        _ => Cause::Client,
    };
    let may_change = matches!(status, 401 | 407 | 409 | 429 | 500..);
    let again = may_change.then(|| pause_of(answered.retry_after.as_deref(), now)).flatten();
    Some(Trouble { cause, again, ..unreachable(&format!("The endpoint answered {status}.")) })
}

/// What an endpoint says of its next attempt: seconds or a date. A negative number ends the attempts; what can't be read
/// says nothing.
fn pause_of(header: Option<&str>, now: Timestamp) -> Option<Duration> {
    let Some(text) = header.map(str::trim) else { return Some(Duration::ZERO) };
    if let Ok(secs) = text.parse::<i64>() {
        return u64::try_from(secs).ok().map(|secs| Duration::from_secs(secs).min(RETRY_AFTER_MAX));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    let millis = date.and_then(|date| u64::try_from(date.as_millisecond()).ok());
    let at = millis.map(Timestamp::from_millis).filter(|at| *at > now);
    Some(at.map_or(Duration::ZERO, |at| at.since(now).min(RETRY_AFTER_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, retry_after: Option<&str>) -> Option<Trouble> {
        let answered = Answered { status, retry_after: retry_after.map(Into::into), ..Answered::default() };
        judged(Ok(answered), Timestamp::from_millis(784_111_777_000))
    }

    #[test]
    fn statuses_are_tried_again_as_the_guide_says() {
        for status in [200, 201, 204, 299] {
            assert_eq!(answered(status, None), None, "{status}");
        }
        for (status, is_tried) in [
            (401, true),
            (407, true),
            (409, true),
            (429, true),
            (500, true),
            (503, true),
            (599, true),
            (100, false),
            (301, false),
            (400, false),
            (403, false),
            (404, false),
            (408, false),
        ] {
            assert_eq!(answered(status, None).unwrap().again.is_some(), is_tried, "{status}");
        }
    }

    #[test]
    fn an_endpoint_says_when_to_come_again() {
        for (header, pause) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("-1", None),
            ("999999999", Some(86_400)),
            ("soon", Some(0)),
            // 1994-11-06T08:49:37Z is the moment of the test.
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:17 GMT", Some(0)),
        ] {
            let again = answered(503, Some(header)).unwrap().again;
            assert_eq!(again, pause.map(Duration::from_secs), "{header}");
        }
        // It makes nothing be tried again that isn't.
        assert_eq!(answered(404, Some("7")).unwrap().again, None);
    }
}
