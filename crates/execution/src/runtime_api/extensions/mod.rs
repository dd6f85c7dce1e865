//! The Extensions API (2020-01-01) of one environment: what its extensions said, and who of them waits.
//!
//! [`registry`] holds the rules, pure; [`http`] the requests. A function without extensions has an empty registry
//! and is asked for nothing more than whether it is empty.

pub mod http;
pub mod registry;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use lambent_core::function::FunctionSpec;
use lambent_core::ids;
use lambent_core::ports::Entropy;
use lambent_core::ports::sandbox::ExitHow;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::telemetry::subscription::Category;
use super::{Event, Signal};
use registry::{Lifecycle, Registry, Status};

/// Whose extensions these are, as they are told when they register.
#[derive(Clone)]
pub struct About {
    pub spec: Arc<FunctionSpec>,
    pub entropy: Arc<dyn Entropy>,
}

/// Why an environment ends, as extensions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownReason {
    Spindown,
    Timeout,
    Failure,
}

impl ShutdownReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spindown => "spindown",
            Self::Timeout => "timeout",
            Self::Failure => "failure",
        }
    }
}

/// One extension as the log and telemetry tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub name: String,
    pub external: bool,
    pub state: &'static str,
    pub events: Vec<&'static str>,
    pub error_type: Option<String>,
}

pub struct Extensions {
    about: About,
    signals: mpsc::UnboundedSender<Signal>,
    any: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    registry: Registry,
    waiting: HashMap<usize, Waiting>,
    /// Not yet told of in the log.
    subscribed: Vec<(String, Vec<Category>)>,
}

enum Waiting {
    Asked(oneshot::Sender<Bytes>),
    /// Its connection broke: it may ask again.
    Lost,
    /// Given while nobody asked.
    Undelivered(Bytes),
}

impl Extensions {
    pub fn new(about: About, signals: mpsc::UnboundedSender<Signal>) -> Self {
        Self { about, signals, any: AtomicBool::new(false), inner: Mutex::default() }
    }

    /// Whether there is any extension. Nothing else is asked on the way of a call where there is none.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no code panics while it holds this lock")
    }

    fn changed(&self) {
        // Nobody listens any more when the environment is being torn down.
        let _ = self.signals.send(Signal::Extensions);
    }

    fn id(&self) -> String {
        ids::uuid(self.about.entropy.as_ref())
    }

    pub fn launch(&self, name: &str) -> bool {
        self.any.store(true, Ordering::Release);
        let id = self.id();
        self.lock().registry.launch(name, id)
    }

    pub fn launch_failed(&self, name: &str, detail: &str, is_permission: bool) {
        self.lock().registry.launch_failed(name, detail, is_permission);
    }

    pub fn exited(&self, name: &str, how: ExitHow) {
        self.lock().registry.exited(name, how);
        self.changed();
    }

    pub fn close(&self) {
        self.lock().registry.close();
    }

    pub fn status(&self) -> Status {
        self.lock().registry.status()
    }

    pub fn shut_down(&self) {
        self.lock().registry.shut_down();
    }

    /// The name under which an extension came.
    pub fn name(&self, index: usize) -> String {
        self.lock().registry.agents().get(index).map(|agent| agent.name.clone()).unwrap_or_default()
    }

    /// An extension subscribed to telemetry.
    pub fn subscribed(&self, name: String, types: Vec<Category>) {
        let mut inner = self.lock();
        inner.subscribed.retain(|(other, _)| *other != name);
        inner.subscribed.push((name, types));
    }

    /// Subscriptions that nobody took note of yet.
    pub fn take_subscribed(&self) -> Vec<(String, Vec<Category>)> {
        std::mem::take(&mut self.lock().subscribed)
    }

    pub fn told(&self) -> Vec<Told> {
        let inner = self.lock();
        let tell = |agent: &registry::Agent| Told {
            name: agent.name.clone(),
            external: agent.external,
            state: agent.state.as_str(),
            events: agent.events.iter().map(|event| event.as_str()).collect(),
            error_type: agent.error_type.clone(),
        };
        let agents = inner.registry.agents();
        let (outside, inside) = (agents.iter().filter(|a| a.external), agents.iter().filter(|a| !a.external));
        outside.chain(inside).map(tell).collect()
    }

    /// Names of external extensions that are told of the shutdown.
    pub fn told_of_shutdown(&self) -> Vec<String> {
        let inner = self.lock();
        let told = inner.registry.agents().iter().filter(|agent| agent.external);
        told.filter(|agent| agent.lives() && agent.wants(Lifecycle::Shutdown))
            .map(|a| a.name.clone())
            .collect()
    }

    pub fn invoke(&self, event: &Event) {
        let value = event.trace_header.as_deref().unwrap_or_default();
        let document = json!({
            "eventType": "INVOKE", "deadlineMs": event.deadline_ms, "requestId": event.request_id.as_str(),
            "invokedFunctionArn": event.invoked_arn, "tracing": { "type": "X-Amzn-Trace-Id", "value": value },
        });
        self.deliver(Lifecycle::Invoke, &document);
    }

    pub fn shutdown(&self, reason: ShutdownReason, deadline_ms: u64) {
        let document = json!({
            "eventType": "SHUTDOWN", "deadlineMs": deadline_ms, "shutdownReason": reason.as_str(),
        });
        self.deliver(Lifecycle::Shutdown, &document);
    }

    fn deliver(&self, event: Lifecycle, document: &serde_json::Value) {
        let document = Bytes::from(document.to_string());
        let mut inner = self.lock();
        for index in inner.registry.deliver(event) {
            let undelivered = match inner.waiting.remove(&index) {
                Some(Waiting::Asked(poller)) => poller.send(document.clone()).err(),
                _ => Some(document.clone()),
            };
            if let Some(document) = undelivered {
                inner.waiting.insert(index, Waiting::Undelivered(document));
            }
        }
    }
}
