//! Deliveries to HTTP endpoints: one attempt, and what follows of its answer.
//!
//! SNS developer guide, *HTTP/S notification headers* and *Message delivery retries*: an answer of 2xx is a delivery; one of
//! 5xx or 429, and none within 15 seconds, is tried again by the delivery policy; any other is given up at once.

use std::time::Duration;

use lambent_core::ids::RequestId;
use lambent_core::ports::Posting;
use lambent_store::deliveries::{Command, Tries};
use serde::{Deserialize, Serialize};

use crate::Topics;
use crate::engine::delivery_policy::Effective;
use crate::outbox::{Parcel, Trouble};

/// SNS developer guide: how long an endpoint may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What makes a parcel a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Post {
    pub kind: Kind,
    pub is_raw: bool,
    pub policy: Effective,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Notification,
    SubscriptionConfirmation,
    UnsubscribeConfirmation,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notification => "Notification",
            Self::SubscriptionConfirmation => "SubscriptionConfirmation",
            Self::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        }
    }
}

impl Topics {
    /// Tries a request once: what becomes of its delivery.
    pub(crate) async fn try_post(
        &self,
        id: &RequestId,
        parcel: &Parcel,
        post: &Post,
        tries: Tries,
    ) -> Vec<Command> {
        let settle = Command::Settle { id: id.clone() };
        let subscription = self.deps.store.subscription(&parcel.subscription);
        let is_pending = subscription.as_ref().map(|record| record.pending.is_some());
        if is_pending != Some(post.kind != Kind::Notification) {
            // Who has unsubscribed gets nothing more, and who has confirmed is asked no more.
            return vec![settle];
        }
        let now = self.deps.clock.now();
        let subscription_arn = parcel.subscription.arn();
        let room = self.paces.enter(&subscription_arn, post.policy.a_second(), tries.deferrals, now);
        let _room = match room {
            Ok(room) => room,
            Err(due) => {
                let tries = Tries { deferrals: tries.deferrals.saturating_add(1), ..tries };
                return vec![Command::Postpone { id: id.clone(), due, tries }];
            }
        };
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = vec![
            header("content-type", post.policy.content_type()),
            header("user-agent", "Amazon Simple Notification Service Agent"),
            header("x-amz-sns-message-type", post.kind.as_str()),
            header("x-amz-sns-message-id", &parcel.message_id),
            header("x-amz-sns-topic-arn", &parcel.subscription.topic.arn()),
        ];
        if post.kind != Kind::SubscriptionConfirmation {
            headers.push(header("x-amz-sns-subscription-arn", &subscription_arn));
        }
        if post.is_raw {
            headers.push(header("x-amz-sns-rawdelivery", "true"));
        }
        let posting = Posting {
            method: "POST",
            url: &parcel.target,
            headers: &headers,
            body: &parcel.body,
            within: ANSWER_WITHIN,
            answer_bytes_max: 0,
        };
        let status = self.deps.http.post(posting).await.map(|answered| answered.status);
        let trouble = match status {
            Ok(200..=299) => {
                self.tell_arrived(parcel, &parcel.message_id);
                return vec![settle];
            }
            Ok(status) => {
                Trouble { code: status.to_string(), message: format!("the endpoint answered {status}") }
            }
            Err(error) => Trouble { code: "0".to_owned(), message: error.to_string() },
        };
        let now = self.deps.clock.now();
        let attempts = tries.attempts.saturating_add(1);
        let is_for_good = !matches!(trouble.code.as_bytes(), b"0" | b"429" | [b'1' | b'5', _, _]);
        if let Some(pause) = post.policy.pause(attempts).filter(|_| !is_for_good) {
            self.tell_waits(parcel, &trouble.message, pause);
            let tries = Tries { attempts, deferrals: 0 };
            return vec![Command::Postpone { id: id.clone(), due: now.plus(pause), tries }];
        }
        if post.kind != Kind::Notification {
            tracing::info!(
                endpoint = parcel.target,
                kind = post.kind.as_str(),
                why = trouble.message,
                "an endpoint can't be asked for its confirmation"
            );
            return vec![settle];
        }
        [settle].into_iter().chain(self.dead(parcel, &trouble, now)).collect()
    }
}
