//! What is kept, given up and made ahead, through the plan.

use lambent_core::ids::{AccountId, Region, RevisionId};

use super::*;
use crate::plan::{Action, Arrival, CallId, EnvironmentId, Obsolete, Plan, PoolKey, Purpose, Settings};

const MIB: u64 = 1 << 20;

fn settings(keep_alive: Policy) -> Settings {
    let age_max = Duration::from_secs(6 * 3_600);
    Settings { keep_alive, eviction: Eviction::LeastWorth, age_max, paces_accounts: false }
}

fn key(function: &str) -> PoolKey {
    PoolKey {
        function_arn: Arc::from(function),
        version: Version::Latest,
        revision: RevisionId::new("00000000-0000-4000-8000-000000000001").unwrap(),
    }
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + secs * 1_000)
}

/// A node with functions that are called one call at a time.
struct Node {
    plan: Plan,
    calls: u64,
    start: Duration,
    memory_bytes: u64,
    /// Of the last tick or call.
    ended: Vec<EnvironmentId>,
}

impl Node {
    fn new(policy: Policy) -> Self {
        let (start, memory_bytes) = (Duration::from_millis(300), 128 * MIB);
        Self { plan: Plan::new(settings(policy)), calls: 0, start, memory_bytes, ended: Vec::new() }
    }

    /// Calls the function, for a second. Whether it waited for a start.
    fn call(&mut self, function: &str, secs: u64) -> bool {
        let running = self.begin(function, secs);
        let actions = self.plan.finished(running.0, running.1, true, at(secs + 1));
        self.ended = ended(&actions);
        running.2
    }

    fn begin(&mut self, function: &str, secs: u64) -> (CallId, EnvironmentId, bool) {
        self.calls += 1;
        let call = CallId(self.calls);
        let arrival = Arrival {
            call,
            pool: key(function),
            account: AccountId::new("000000000000").unwrap(),
            region: Region::new("us-east-1").unwrap(),
            reserved: None,
            unreserved: 1_000,
        };
        match self.plan.arrived(arrival, at(secs))[..] {
            [Action::Run { environment, .. }] => (call, environment, false),
            [Action::Start { environment, .. }] => {
                self.ready(environment, secs);
                (call, environment, true)
            }
            ref other => panic!("{other:?}"),
        }
    }

    fn ready(&mut self, environment: EnvironmentId, secs: u64) {
        let (start, memory_bytes) = (Some(self.start), Some(self.memory_bytes));
        self.plan.measured(environment, Measured { start, memory_bytes });
        self.plan.ready(environment, at(secs));
    }

    /// Ticks until then. Environments that were made ahead, and when.
    fn ticks(&mut self, from: u64, to: u64) -> Vec<u64> {
        let mut made = Vec::new();
        self.ended.clear();
        for secs in (from..to).step_by(5) {
            let actions = self.plan.tick(at(secs));
            self.ended.extend(ended(&actions));
            for action in actions {
                if let Action::Start { environment, purpose, .. } = action {
                    assert_eq!(purpose, Purpose::Warm);
                    self.ready(environment, secs);
                    made.push(secs);
                }
            }
        }
        made
    }
}

fn ended(actions: &[Action]) -> Vec<EnvironmentId> {
    let ended = |action: &Action| match action {
        Action::Retire { environment } => Some(*environment),
        _ => None,
    };
    actions.iter().filter_map(ended).collect()
}

#[test]
fn a_fixed_time_is_kept_and_no_time_ends_an_environment_with_its_call() {
    let mut node = Node::new(Policy::Fixed(Duration::from_secs(30)));
    assert!(node.call("f", 0));
    node.ticks(1, 31);
    assert!(!node.call("f", 30));
    node.ticks(31, 70);
    assert_eq!(node.ended.len(), 1);
    let mut node = Node::new(Policy::Fixed(Duration::ZERO));
    assert!(node.call("f", 0));
    assert_eq!(node.ended.len(), 1);
    assert!(node.call("f", 1));
}

#[test]
fn a_function_of_which_nothing_is_known_is_kept_for_the_fallback_time() {
    let mut node = Node::new(Policy::ADAPTIVE);
    node.call("f", 0);
    node.ticks(5, 600);
    assert_eq!(node.ended.len(), 0);
    node.ticks(600, 610);
    assert_eq!(node.ended.len(), 1);
}

#[test]
fn a_call_that_comes_every_half_hour_is_waited_for_only_shortly_before_it_comes() {
    let mut node = Node::new(Policy::ADAPTIVE);
    let period = 1_800;
    let mut cold = 0;
    for n in 0..12 {
        let now = n * period;
        let was_cold = node.call("timer", now);
        cold += u32::from(was_cold && n > 6);
        let made = node.ticks(now + 5, now + period);
        if n > 6 {
            assert_eq!(made.len(), 1, "one is made ahead");
            assert!(made[0] > now + period * 3 / 4, "{} s after the call", made[0] - now);
        }
    }
    assert_eq!(cold, 0);
}

#[test]
fn what_is_slow_to_start_or_small_is_kept_longer_than_what_is_quick_or_large() {
    // Four gaps of forty seconds to one of ten minutes.
    let kept = |start_ms: u64, memory_mib: u64| {
        let mut node = Node::new(Policy::ADAPTIVE);
        (node.start, node.memory_bytes) = (Duration::from_millis(start_ms), memory_mib * MIB);
        let mut now = 0;
        for gap in [40, 40, 40, 40, 600].repeat(6) {
            node.call("f", now);
            now += gap + 1;
        }
        let of = key("f").of();
        node.plan.keep_alive.idle(&of, 1, at(now)).until.since(at(now))
    };
    assert!(kept(8_000, 128) > kept(300, 128), "{:?} {:?}", kept(8_000, 128), kept(300, 128));
    assert!(kept(300, 128) > kept(300, 2_048), "{:?} {:?}", kept(300, 128), kept(300, 2_048));
}

#[test]
fn a_burst_of_quick_calls_is_no_reason_to_be_given_up_behind_it() {
    let mut node = Node::new(Policy::ADAPTIVE);
    for n in 0..20 {
        node.call("f", n);
    }
    node.ticks(20, 60);
    assert!(node.ended.is_empty());
}

#[test]
fn a_deleted_function_is_forgotten_with_what_was_to_be_made_for_it() {
    let mut node = Node::new(Policy::ADAPTIVE);
    for n in 0..10 {
        node.call("timer", n * 3_600);
        node.ticks(n * 3_600 + 5, n * 3_600 + 3_000);
    }
    assert_eq!(node.plan.environment_count(), 0);
    node.plan.retire("timer", Obsolete::All);
    assert!(!node.plan.has_pool(&key("timer")), "nothing of it is waited for");
    assert_eq!(node.ticks(9 * 3_600 + 3_000, 10 * 3_600 + 900), [] as [u64; 0]);
}

#[test]
fn the_first_given_up_is_the_least_worth_its_memory_and_what_is_not_called_loses_its_worth() {
    let mut node = Node::new(Policy::ADAPTIVE);
    let mut environments = HashMap::new();
    for (function, calls, start_ms, mib) in
        [("busy", 20, 300, 128), ("slow", 5, 9_000, 128), ("large", 5, 300, 1_024), ("plain", 5, 300, 128)]
    {
        (node.start, node.memory_bytes) = (Duration::from_millis(start_ms), mib * MIB);
        for n in 0..calls {
            let (call, environment, _) = node.begin(function, n * 2);
            node.plan.finished(call, environment, true, at(n * 2 + 1));
            environments.insert(environment, function);
        }
    }
    let order: Vec<&str> = std::iter::from_fn(|| match node.plan.evict_one()? {
        Action::Retire { environment } => Some(environments[&environment]),
        other => panic!("{other:?}"),
    })
    .collect();
    assert_eq!(order, ["large", "plain", "busy", "slow"]);
    // Those that were given up have raised the clock: what is called now is worth more than it was.
    node.call("plain", 100);
    let of = key("slow").of();
    assert!(node.plan.keep_alive.idle(&of, 1, at(100)).worth > node.plan.keep_alive.clock);
}

#[test]
fn a_host_gets_back_as_much_as_it_is_short_of_and_nothing_is_made_ahead_meanwhile() {
    let mut node = Node::new(Policy::ADAPTIVE);
    for n in 0..10 {
        node.call("timer", n * 1_800);
        node.ticks(n * 1_800 + 5, n * 1_800 + 1_500);
    }
    let now = 9 * 1_800 + 1_500;
    for function in ["a", "b", "c", "d"] {
        node.call(function, now);
    }
    assert_eq!(node.plan.relieve(200 * MIB, at(now + 1)).len(), 2, "two of 128 MiB");
    assert_eq!(node.ticks(now + 5, now + 55), [] as [u64; 0]);
    assert_eq!(node.plan.relieve(u64::MAX, at(now + 60)).len(), 2);
    assert_eq!(node.plan.relieve(u64::MAX, at(now + 61)), []);
}

#[test]
fn histories_are_bounded_in_number_and_the_latest_stay() {
    let mut keep = KeepAlive::new(Policy::ADAPTIVE, Eviction::LeastWorth);
    let of = |n: usize| Of { function_arn: Arc::from(n.to_string()), version: Version::Latest };
    for n in 0..HISTORIES_MAX + 100 {
        keep.rose(&of(n), at(n as u64));
        keep.fell(&of(n), at(n as u64));
    }
    let now = at(HISTORIES_MAX as u64 + 100);
    keep.forget(now);
    assert_eq!(keep.histories.len(), HISTORIES_MAX);
    assert!(keep.histories.contains_key(&of(HISTORIES_MAX + 99)) && !keep.histories.contains_key(&of(99)));
    keep.forget(now.plus(REMEMBERED));
    assert!(keep.histories.is_empty());
}
