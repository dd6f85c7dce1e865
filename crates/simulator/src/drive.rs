//! Plays the shell to the plan: calls arrive, environments stand after their start's time, calls end, and it ticks.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use lambent_core::ids::{AccountId, Region, RevisionId, Version};
use lambent_core::time::Timestamp;
use lambent_execution::plan::keep_alive::Measured;
use lambent_execution::plan::{
    Action, Arrival, CallId, EnvironmentId, Plan, PoolKey, Purpose, Settings, TICK,
};

use crate::outcome::Outcome;
use crate::policies::Contender;
use crate::trace::{Function, Shape, functions};

/// Traces begin so long after the beginning of time.
const BEGIN_MS: u64 = 1_700_000_000_000;

/// As a node's.
const AGE_MAX: Duration = Duration::from_secs(6 * 3_600);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick,
    Ready(EnvironmentId),
    Finish(CallId, EnvironmentId),
    Arrive(usize),
}

struct Environment {
    function: usize,
    idle_since: Option<u64>,
}

/// A call that has not begun.
struct Call {
    function: usize,
    since: u64,
    takes_ms: u64,
}

struct Machine {
    plan: Plan,
    functions: Vec<Function>,
    keys: Vec<PoolKey>,
    account: AccountId,
    region: Region,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    environments: HashMap<EnvironmentId, Environment>,
    waiting: HashMap<CallId, Call>,
    memory_bytes: Option<u64>,
    used_bytes: u64,
    sequence: u64,
    last_call: u64,
    now_ms: u64,
    end_ms: u64,
    outcome: Outcome,
    /// By function: calls, and cold ones.
    counts: Vec<(u64, u64)>,
}

/// What the policy comes to on the trace, on a machine with so much memory for environments; `None` is enough.
pub fn run(shape: &Shape, contender: &Contender, memory_bytes: Option<u64>) -> Outcome {
    let mut machine = Machine::new(shape, contender, memory_bytes);
    machine.run();
    machine.outcome
}

impl Machine {
    fn new(shape: &Shape, contender: &Contender, memory_bytes: Option<u64>) -> Self {
        let functions = functions(shape);
        let settings = Settings {
            keep_alive: contender.policy,
            eviction: contender.eviction,
            age_max: AGE_MAX,
            paces_accounts: false,
        };
        Self {
            plan: Plan::new(settings),
            keys: (0..functions.len()).map(key).collect(),
            counts: vec![(0, 0); functions.len()],
            functions,
            account: AccountId::new("000000000000").expect("twelve digits"),
            region: Region::new("us-east-1").expect("a region's name"),
            events: BinaryHeap::new(),
            environments: HashMap::new(),
            waiting: HashMap::new(),
            memory_bytes,
            used_bytes: 0,
            sequence: 0,
            last_call: 0,
            now_ms: 0,
            end_ms: (shape.days * 86_400_000.0) as u64,
            outcome: Outcome::default(),
        }
    }

    fn run(&mut self) {
        self.at(0, Event::Tick);
        for function in 0..self.functions.len() {
            self.next_call(function);
        }
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at > self.end_ms {
                break;
            }
            self.now_ms = at;
            self.happened(event);
        }
        self.now_ms = self.end_ms;
        for environment in std::mem::take(&mut self.environments).into_values() {
            self.count_idle(&environment);
        }
        let shares = self.counts.iter().filter(|(calls, _)| *calls > 0);
        self.outcome.cold_shares = shares.map(|(calls, cold)| *cold as f64 / *calls as f64).collect();
    }

    fn happened(&mut self, event: Event) {
        let now = self.now();
        let actions = match event {
            Event::Tick => {
                self.at(self.now_ms + TICK.as_millis() as u64, Event::Tick);
                self.plan.tick(now)
            }
            Event::Arrive(function) => {
                self.next_call(function);
                self.arrive(function)
            }
            Event::Ready(environment) => self.ready(environment),
            Event::Finish(call, environment) => {
                if let Some(environment) = self.environments.get_mut(&environment) {
                    environment.idle_since = Some(self.now_ms);
                }
                self.plan.finished(call, environment, true, now)
            }
        };
        self.perform(actions);
    }

    fn arrive(&mut self, function: usize) -> Vec<Action> {
        self.last_call += 1;
        let call = CallId(self.last_call);
        self.outcome.calls += 1;
        self.counts[function].0 += 1;
        // Drawn here, so that every policy is given the same trace.
        let takes_ms = (self.functions[function].draw_call_secs() * 1_000.0).max(1.0) as u64;
        self.waiting.insert(call, Call { function, since: self.now_ms, takes_ms });
        let arrival = Arrival {
            call,
            pool: self.keys[function].clone(),
            account: self.account.clone(),
            region: self.region.clone(),
            reserved: None,
            unreserved: u32::MAX,
        };
        self.plan.arrived(arrival, self.now())
    }

    fn ready(&mut self, environment: EnvironmentId) -> Vec<Action> {
        let Some(state) = self.environments.get_mut(&environment) else { return Vec::new() };
        state.idle_since = Some(self.now_ms);
        let function = &self.functions[state.function];
        let measured = Measured {
            start: Some(Duration::from_secs_f64(function.start_secs)),
            memory_bytes: Some(function.memory_bytes),
        };
        self.plan.measured(environment, measured);
        self.plan.ready(environment, self.now())
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start { environment, pool, purpose } => self.start(environment, &pool, purpose),
                Action::Run { call, environment, .. } => self.begin(call, environment),
                Action::Retire { environment } => self.end(environment),
                Action::Refuse { call, .. } | Action::Fail { call } | Action::GiveUp { call, .. } => {
                    self.waiting.remove(&call);
                    self.outcome.failed += 1;
                }
            }
        }
    }

    fn start(&mut self, environment: EnvironmentId, pool: &PoolKey, purpose: Purpose) {
        let function = index_of(pool);
        let size = self.functions[function].memory_bytes;
        while self.memory_bytes.is_some_and(|all| self.used_bytes + size > all) {
            let Some(action) = self.plan.evict_one() else {
                let actions = self.plan.start_failed(environment, self.now());
                return self.perform(actions);
            };
            self.outcome.evicted += 1;
            self.perform(vec![action]);
        }
        self.used_bytes += size;
        self.outcome.starts += 1;
        self.outcome.ahead += u64::from(purpose != Purpose::Call);
        self.environments.insert(environment, Environment { function, idle_since: None });
        let takes_ms = (self.functions[function].start_secs * 1_000.0).ceil() as u64;
        self.at(self.now_ms + takes_ms, Event::Ready(environment));
    }

    fn begin(&mut self, call: CallId, environment: EnvironmentId) {
        let Some(Call { function, since, takes_ms }) = self.waiting.remove(&call) else { return };
        let waited_ms = self.now_ms - since;
        if waited_ms > 0 {
            self.outcome.cold += 1;
            self.outcome.wait_secs += waited_ms as f64 / 1_000.0;
            self.counts[function].1 += 1;
        }
        if let Some(mut state) = self.environments.remove(&environment) {
            self.count_idle(&state);
            state.idle_since = None;
            self.environments.insert(environment, state);
        }
        self.at(self.now_ms + takes_ms, Event::Finish(call, environment));
    }

    fn end(&mut self, environment: EnvironmentId) {
        let Some(state) = self.environments.remove(&environment) else { return };
        self.used_bytes -= self.functions[state.function].memory_bytes;
        self.count_idle(&state);
    }

    fn count_idle(&mut self, environment: &Environment) {
        let Some(since) = environment.idle_since else { return };
        let gb = self.functions[environment.function].memory_bytes as f64 / 1e9;
        self.outcome.idle_gb_secs += gb * (self.now_ms - since) as f64 / 1_000.0;
    }

    fn next_call(&mut self, function: usize) {
        let at = (self.functions[function].next_call() * 1_000.0) as u64;
        self.at(at.max(self.now_ms), Event::Arrive(function));
    }

    fn at(&mut self, ms: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((ms, self.sequence, event)));
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(BEGIN_MS + self.now_ms)
    }
}

fn key(function: usize) -> PoolKey {
    PoolKey {
        function_arn: Arc::from(function.to_string()),
        version: Version::Latest,
        revision: RevisionId::new("00000000-0000-4000-8000-000000000000").expect("it has a revision's form"),
    }
}

fn index_of(pool: &PoolKey) -> usize {
    pool.function_arn.parse().expect("this module made the name from a number")
}
