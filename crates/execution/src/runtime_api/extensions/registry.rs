//! The rules of the Extensions API's conversations. Pure.
//!
//! States, error types and messages are the reference's own: its runtime interface emulator is their source.

use lambent_core::ports::sandbox::ExitHow;
use serde::Deserialize;

/// Developer guide, *Lambda Extensions API*: extensions of one function, external and internal together.
pub const EXTENSIONS_MAX: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Started,
    Registered,
    /// Has asked for an event and waits.
    Ready,
    /// Was given an event.
    Running,
    InitError,
    ExitError,
    Exited,
    LaunchError,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::Registered => "Registered",
            Self::Ready => "Ready",
            Self::Running => "Running",
            Self::InitError => "InitError",
            Self::ExitError => "ExitError",
            Self::Exited => "Exited",
            Self::LaunchError => "LaunchError",
        }
    }
}

/// What an extension may be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Lifecycle {
    Invoke,
    Shutdown,
}

impl Lifecycle {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invoke => "INVOKE",
            Self::Shutdown => "SHUTDOWN",
        }
    }
}

/// A refused request: always 403, with the reference's type and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub kind: &'static str,
    pub message: String,
}

impl Refusal {
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    fn transition(agent: &Agent, to: State, named: &str) -> Self {
        let message = format!(
            "State transition from {} to {} failed for extension {named}. Error: State transition is not allowed",
            agent.state.as_str(),
            to.as_str(),
        );
        Self::new("Extension.InvalidExtensionState", message)
    }
}

/// Why an environment with extensions can't go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: &'static str,
    pub why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    Ended(ExitHow),
    Said(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    Init,
    Exit,
}

#[derive(Debug)]
pub struct Agent {
    pub name: String,
    pub id: String,
    pub external: bool,
    pub state: State,
    pub events: Vec<Lifecycle>,
    pub error_type: Option<String>,
}

impl Agent {
    pub fn wants(&self, event: Lifecycle) -> bool {
        self.events.contains(&event)
    }

    /// Whether its process may be there still.
    pub fn lives(&self) -> bool {
        !matches!(self.state, State::Exited | State::LaunchError)
    }
}

/// How far the extensions of an environment are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Every external one has registered.
    pub registered: bool,
    /// Every one has asked for its first event, or again for one after each it was given.
    pub ready: bool,
    pub fault: Option<Fault>,
    /// One has said that it failed and has not ended yet.
    pub reported: Option<Fault>,
}

/// The extensions of one environment.
#[derive(Debug, Default)]
pub struct Registry {
    agents: Vec<Agent>,
    closed: bool,
    shutting_down: bool,
    fault: Option<Fault>,
    reported: Option<Fault>,
}

impl Registry {
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// An external extension is about to be started. False when there are too many.
    pub fn launch(&mut self, name: &str, id: String) -> bool {
        let room = self.agents.len() < EXTENSIONS_MAX;
        let (state, error_type) = if room {
            (State::Started, None)
        } else {
            (State::LaunchError, Some("TooManyExtensions".into()))
        };
        if !room {
            let why = Why::Said(format!("Extension limit ({EXTENSIONS_MAX}) reached"));
            self.fault.get_or_insert(Fault { kind: "Extension.LaunchError", why });
        }
        self.agents.push(Agent { name: name.into(), id, external: true, state, events: vec![], error_type });
        room
    }

    pub fn launch_failed(&mut self, name: &str, detail: &str, is_permission: bool) {
        let Some(agent) = self.agents.iter_mut().find(|agent| agent.external && agent.name == name) else {
            return;
        };
        agent.state = State::LaunchError;
        agent.error_type = Some(if is_permission { "PermissionDenied" } else { "UnknownError" }.into());
        let why = Why::Said(format!("fork/exec /opt/extensions/{name}: {detail}"));
        self.fault.get_or_insert(Fault { kind: "Extension.LaunchError", why });
    }

    /// An external extension comes under its file's name; any other name is an internal one.
    pub fn register(&mut self, name: &str, events: &[String], id: String) -> Result<&Agent, Refusal> {
        let external = self.agents.iter().position(|agent| agent.external && agent.name == name);
        let mut wanted = Vec::new();
        for event in events {
            let event = match (event.as_str(), external) {
                ("INVOKE", _) => Lifecycle::Invoke,
                ("SHUTDOWN", Some(_)) => Lifecycle::Shutdown,
                (other, _) => {
                    let why = if other == "SHUTDOWN" {
                        "ShutdownEventNotSupportedForInternalExtension"
                    } else {
                        "ErrorInvalidEventType"
                    };
                    return Err(Refusal::new("Extension.InvalidEventType", format!("{other}: {why}")));
                }
            };
            if !wanted.contains(&event) {
                wanted.push(event);
            }
        }
        let index = match external {
            Some(index) => {
                let agent = &mut self.agents[index];
                if agent.state != State::Started {
                    return Err(Refusal::transition(agent, State::Registered, name));
                }
                agent.state = State::Registered;
                agent.events = wanted;
                index
            }
            None => {
                self.may_join(name)?;
                let state = State::Registered;
                let agent =
                    Agent { name: name.into(), id, external: false, state, events: wanted, error_type: None };
                self.agents.push(agent);
                self.agents.len() - 1
            }
        };
        Ok(&self.agents[index])
    }

    fn may_join(&self, name: &str) -> Result<(), Refusal> {
        if self.closed {
            let message = "Extension registration closed already";
            return Err(Refusal::new("Extension.RegistrationClosed", message));
        }
        if self.agents.len() >= EXTENSIONS_MAX {
            let message = format!("Extension limit ({EXTENSIONS_MAX}) reached");
            return Err(Refusal::new("Extension.TooManyExtensions", message));
        }
        if self.agents.iter().any(|agent| agent.name == name) {
            let message = "Extension with this name already registered";
            return Err(Refusal::new("Extension.InvalidExtensionState", message));
        }
        Ok(())
    }

    pub fn find(&self, id: &str) -> Option<usize> {
        self.agents.iter().position(|agent| agent.id == id)
    }

    /// An extension asks for its next event; `lost` when its last question's connection broke.
    pub fn next(&mut self, index: usize, lost: bool) -> Result<(), Refusal> {
        let agent = &mut self.agents[index];
        match agent.state {
            State::Registered | State::Running => {}
            State::Ready if lost => {}
            _ => return Err(Refusal::transition(agent, State::Ready, &agent.id)),
        }
        agent.state = State::Ready;
        Ok(())
    }

    pub fn report(&mut self, index: usize, report: Report, error_type: &str) -> Result<(), Refusal> {
        let agent = &mut self.agents[index];
        let (to, kind) = match report {
            Report::Init => (State::InitError, "Extension.InitError"),
            Report::Exit => (State::ExitError, "Extension.ExitError"),
        };
        let allowed = match report {
            Report::Init => matches!(agent.state, State::Registered),
            Report::Exit => matches!(agent.state, State::Registered | State::Ready | State::Running),
        };
        // Said again it is no news and no error.
        if agent.state == to {
            return Ok(());
        }
        if !allowed {
            let shown = if report == Report::Exit { State::Exited } else { to };
            return Err(Refusal::transition(agent, shown, &agent.id));
        }
        agent.state = to;
        agent.error_type = Some(error_type.to_owned());
        self.reported.get_or_insert(Fault { kind, why: Why::Said(error_type.to_owned()) });
        Ok(())
    }

    /// The process of an external extension has ended.
    pub fn exited(&mut self, name: &str, how: ExitHow) {
        let Some(agent) = self.agents.iter_mut().find(|agent| agent.external && agent.name == name) else {
            return;
        };
        let kind = match agent.state {
            State::InitError => "Extension.InitError",
            State::ExitError => "Extension.ExitError",
            _ => "Extension.Crash",
        };
        agent.state = State::Exited;
        if !self.shutting_down {
            agent.error_type.get_or_insert_with(|| kind.to_owned());
            self.fault.get_or_insert(Fault { kind, why: Why::Ended(how) });
        }
    }

    /// The init phase is over: no extension may join any more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Which extensions are given this event now.
    pub fn deliver(&mut self, event: Lifecycle) -> Vec<usize> {
        if event == Lifecycle::Shutdown {
            self.shutting_down = true;
        }
        let mut given = Vec::new();
        for (index, agent) in self.agents.iter_mut().enumerate() {
            let waits = agent.state == State::Ready || event == Lifecycle::Shutdown && agent.lives();
            if waits && agent.wants(event) {
                if agent.state == State::Ready {
                    agent.state = State::Running;
                }
                given.push(index);
            }
        }
        given
    }

    /// The environment ends: that programs end is no fault any more.
    pub fn shut_down(&mut self) {
        self.shutting_down = true;
    }

    pub fn status(&self) -> Status {
        let mut external = self.agents.iter().filter(|agent| agent.external);
        Status {
            registered: external.all(|agent| agent.state != State::Started),
            ready: self.agents.iter().all(|agent| agent.state == State::Ready),
            fault: self.fault.clone(),
            reported: self.reported.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn with_external() -> Registry {
        let mut registry = Registry::default();
        assert!(registry.launch("one", "id-1".into()));
        registry
    }

    fn kind(refused: Result<impl Sized, Refusal>) -> &'static str {
        refused.err().map_or("accepted", |refusal| refusal.kind)
    }

    #[test]
    fn an_external_extension_goes_round() {
        let mut registry = with_external();
        assert!(!registry.status().registered && !registry.status().ready);
        let agent = registry.register("one", &events(&["INVOKE", "SHUTDOWN"]), "unused".into()).unwrap();
        assert_eq!(agent.id, "id-1");
        assert!(registry.status().registered && !registry.status().ready);
        registry.next(0, false).unwrap();
        assert!(registry.status().ready);
        assert_eq!(registry.deliver(Lifecycle::Invoke), [0]);
        assert!(!registry.status().ready);
        registry.next(0, false).unwrap();
        assert!(registry.status().ready);
        assert_eq!(registry.deliver(Lifecycle::Shutdown), [0]);
        registry.exited("one", ExitHow::Code(0));
        assert_eq!(registry.status().fault, None);
    }

    #[test]
    fn one_that_wants_no_invocations_is_given_none_and_keeps_nobody_waiting() {
        let mut registry = with_external();
        registry.register("one", &events(&["SHUTDOWN"]), String::new()).unwrap();
        registry.next(0, false).unwrap();
        assert!(registry.deliver(Lifecycle::Invoke).is_empty());
        assert!(registry.status().ready);
    }

    #[test]
    fn registering_twice_is_refused_in_the_references_words() {
        let mut registry = with_external();
        registry.register("one", &[], String::new()).unwrap();
        let refusal = registry.register("one", &[], String::new()).unwrap_err();
        assert_eq!(refusal.kind, "Extension.InvalidExtensionState");
        assert_eq!(
            refusal.message,
            "State transition from Registered to Registered failed for extension one. Error: State transition is not allowed"
        );
        registry.register("inside", &[], "id-2".into()).unwrap();
        let refusal = registry.register("inside", &[], "id-3".into()).unwrap_err();
        assert_eq!(refusal.message, "Extension with this name already registered");
    }

    #[test]
    fn an_internal_extension_may_not_ask_for_the_shutdown() {
        let mut registry = Registry::default();
        let refusal = registry.register("inside", &events(&["SHUTDOWN"]), String::new()).unwrap_err();
        assert_eq!(refusal.kind, "Extension.InvalidEventType");
        assert_eq!(refusal.message, "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension");
        let refusal = registry.register("inside", &events(&["RESTORE"]), String::new()).unwrap_err();
        assert_eq!(refusal.message, "RESTORE: ErrorInvalidEventType");
        assert!(registry.agents().is_empty());
    }

    #[test]
    fn nobody_joins_after_the_init_phase() {
        let mut registry = Registry::default();
        registry.close();
        assert_eq!(kind(registry.register("inside", &[], String::new())), "Extension.RegistrationClosed");
    }

    #[test]
    fn ten_extensions_are_the_limit_of_both_kinds_together() {
        let mut registry = Registry::default();
        for number in 0..9 {
            assert!(registry.launch(&format!("e{number}"), number.to_string()));
        }
        registry.register("inside", &[], "i".into()).unwrap();
        assert_eq!(kind(registry.register("more", &[], "j".into())), "Extension.TooManyExtensions");
        assert!(!registry.launch("e10", "k".into()));
        assert_eq!(registry.status().fault.unwrap().kind, "Extension.LaunchError");
    }

    #[test]
    fn ends_are_told_by_what_was_said_before() {
        for (report, kind) in [
            (None, "Extension.Crash"),
            (Some(Report::Init), "Extension.InitError"),
            (Some(Report::Exit), "Extension.ExitError"),
        ] {
            let mut registry = with_external();
            registry.register("one", &[], String::new()).unwrap();
            if let Some(report) = report {
                registry.report(0, report, "Ext.Sorry").unwrap();
                assert_eq!(registry.report(0, report, "again"), Ok(()));
                assert_eq!(registry.status().reported.unwrap().why, Why::Said("Ext.Sorry".into()));
            }
            registry.exited("one", ExitHow::Code(3));
            let fault = registry.status().fault.unwrap();
            assert_eq!(fault, Fault { kind, why: Why::Ended(ExitHow::Code(3)) });
        }
    }

    #[test]
    fn questions_out_of_turn_are_refused() {
        let mut registry = with_external();
        assert_eq!(kind(registry.next(0, false)), "Extension.InvalidExtensionState");
        assert_eq!(kind(registry.report(0, Report::Init, "x")), "Extension.InvalidExtensionState");
        registry.register("one", &[], String::new()).unwrap();
        registry.next(0, false).unwrap();
        assert_eq!(kind(registry.next(0, false)), "Extension.InvalidExtensionState");
        assert_eq!(registry.next(0, true), Ok(()));
        assert_eq!(kind(registry.report(0, Report::Init, "x")), "Extension.InvalidExtensionState");
        assert_eq!(registry.find("id-1"), Some(0));
        assert_eq!(registry.find("id-2"), None);
    }
}
