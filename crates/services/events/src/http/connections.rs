//! Connections at work: who asks, by OAuth's tokens among others, and what has become of their authority.
//!
//! Invariants:
//! - a token is in memory only, and is of the credentials that it was made with: others ask for another one;
//! - one request for a token of a connection is on its way at a time, and who waited for it takes its answer.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use lambent_core::ports::Posting;
use lambent_core::time::Timestamp;
use lambent_store::events::{
    AuthRecord, ConnectionRecord, ConnectionState, Entry, Key, Kind, OAuthRecord, Record,
};
use lambent_wire::Fault;

use super::posts::ANSWER_WITHIN;
use super::token::{self, Token};
use crate::Events;

/// Ours: a token's answer is no longer.
const ANSWER_BYTES_MAX: usize = 1_048_576;

/// Ours: connections that are authorized at one time.
const AUTHORIZED_AT_ONCE: usize = 16;

/// Ours: how long an endpoint is left alone that gave no token, and who waited for it gets the same answer.
const NO_TOKEN_FOR: Duration = Duration::from_secs(1);

/// Ours: how long to leave a store alone that has failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The model: a reason is no longer.
const REASON_CHARS_MAX: usize = 512;

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// The endpoint does not give one for these credentials.
    #[error("{0}")]
    Refused(String),
    /// Another attempt may get one.
    #[error("{0}")]
    Unavailable(String),
}

type Slot = Arc<tokio::sync::Mutex<Option<Held>>>;

enum Held {
    Token(Token),
    Nothing { why: NoToken, since: Timestamp },
}

/// By the name of their credentials.
#[derive(Default)]
pub struct Tokens(Mutex<HashMap<String, Slot>>);

impl Tokens {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        // Each change under this lock is a single call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, credentials: &str) -> Slot {
        self.lock().entry(credentials.to_owned()).or_default().clone()
    }

    /// Nobody has these credentials any more.
    pub fn forget(&self, credentials: &str) {
        self.lock().remove(credentials);
    }

    /// An endpoint did not believe this token: the next request asks for another one, unless one has come meanwhile.
    pub async fn disbelieve(&self, credentials: &str, header: &str) {
        let slot = self.slot(credentials);
        let mut held = slot.lock().await;
        if matches!(&*held, Some(Held::Token(token)) if token.header == header) {
            *held = None;
        }
    }
}

impl Events {
    /// The header that says who asks.
    pub(crate) async fn authorization(&self, record: &ConnectionRecord) -> Result<(String, String), NoToken> {
        let header = |value| ("authorization".to_owned(), value);
        match &record.auth {
            None => Err(NoToken::Refused("The connection is not authorized.".to_owned())),
            Some(AuthRecord::Basic { username, password }) => {
                let text = format!("{username}:{}", password.0);
                Ok(header(format!("Basic {}", STANDARD.encode(text))))
            }
            Some(AuthRecord::ApiKey { name, value }) => Ok((name.clone(), value.0.clone())),
            Some(AuthRecord::OAuth(oauth)) => self.token(&record.credentials, oauth).await.map(header),
        }
    }

    async fn token(&self, credentials: &str, oauth: &OAuthRecord) -> Result<String, NoToken> {
        let slot = self.tokens.slot(credentials);
        let mut held = slot.lock().await;
        let now = self.deps.clock.now();
        match &*held {
            Some(Held::Token(token)) if token.is_good(now) => return Ok(token.header.clone()),
            Some(Held::Nothing { why, since }) if now.since(*since) < NO_TOKEN_FOR && *since <= now => {
                return Err(why.clone());
            }
            _ => {}
        }
        let fetched = self.fetch_token(oauth).await;
        *held = Some(match &fetched {
            Ok(token) => Held::Token(token.clone()),
            Err(why) => Held::Nothing { why: why.clone(), since: self.deps.clock.now() },
        });
        fetched.map(|token| token.header)
    }

    async fn fetch_token(&self, oauth: &OAuthRecord) -> Result<Token, NoToken> {
        let request = token::request(oauth);
        let posting = Posting {
            method: &request.method,
            url: &request.url,
            headers: &request.headers,
            body: &request.body,
            within: ANSWER_WITHIN,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let failed =
            |what: &dyn std::fmt::Display| format!("The authorization endpoint gave no token: {what}.");
        let answered = self.deps.http.post(posting).await;
        let answered = answered.map_err(|error| NoToken::Unavailable(failed(&error)))?;
        match answered.status {
            200..=299 => token::read(&answered.body, self.deps.clock.now())
                .map_err(|what| NoToken::Refused(failed(&what))),
            status @ (408 | 429 | 500..) => {
                Err(NoToken::Unavailable(failed(&format!("it answered {status}"))))
            }
            status => Err(NoToken::Refused(failed(&format!("it answered {status}")))),
        }
    }

    /// Asks for the first tokens of connections that are new or were changed, until `stop`.
    pub async fn run_connections(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut awake = self.deps.clock.awake();
        loop {
            // Before the look, so that what is changed meanwhile is seen in the next round.
            let changed = self.authorizing.heard();
            let left = tokio::select! {
                () = &mut stop => return,
                left = self.authorize_all() => left,
            };
            drop(awake);
            let again = async {
                match left {
                    0 => std::future::pending().await,
                    _ => tokio::time::sleep(RETRY_AFTER).await,
                }
            };
            tokio::select! {
                () = &mut stop => return,
                woken = changed => awake = woken,
                () = again => awake = self.deps.clock.awake(),
            }
        }
    }

    /// Asks for each token that is waited for. Says of how many the answer could not be stored.
    pub async fn authorize_all(&self) -> usize {
        let all = self.deps.store.all(Kind::Connection);
        let waiting = all.into_iter().filter(|entry| {
            matches!(&entry.record, Record::Connection(record) if record.state == ConnectionState::Authorizing)
        });
        let answers =
            futures_util::stream::iter(waiting.map(|entry| async move { self.authorize(&entry).await }));
        let stored: Vec<bool> = answers.buffer_unordered(AUTHORIZED_AT_ONCE).collect().await;
        stored.into_iter().filter(|is_stored| !is_stored).count()
    }

    async fn authorize(&self, entry: &Entry) -> bool {
        let Record::Connection(record) = &entry.record else { return true };
        let answer = self.authorization(record).await;
        let outcome = answer.map(drop).map_err(|why| why.to_string());
        self.authorized(&entry.key, &record.credentials, outcome).await
    }

    /// Says what has become of credentials; whether that is on the disk. Others that have come meanwhile stay as they are.
    pub(crate) async fn authorized(&self, key: &Key, credentials: &str, outcome: Result<(), String>) -> bool {
        let now = self.deps.clock.now();
        let changed = self.change(key, |found| {
            let Some(Record::Connection(record)) = found.filter(
                |record| matches!(record, Record::Connection(record) if record.credentials == credentials),
            ) else {
                return Err(Fault::new(400, "ResourceNotFoundException", "The connection has changed."));
            };
            let mut record = record.clone();
            match &outcome {
                Ok(()) => {
                    (record.state, record.reason) = (ConnectionState::Authorized, None);
                    record.authorized = Some(now);
                }
                Err(why) => {
                    record.state = ConnectionState::Deauthorized;
                    record.reason = Some(why.chars().take(REASON_CHARS_MAX).collect());
                }
            }
            Ok((Some(Record::Connection(record)), ()))
        });
        match changed.await {
            Ok(()) => {
                if let Err(why) = outcome {
                    tracing::warn!(connection = key.name, why, "a connection is not authorized");
                }
                true
            }
            // It is gone, or has other credentials.
            Err(fault) => fault.status < 500,
        }
    }
}
