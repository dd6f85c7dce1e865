use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

const SETTINGS: Settings = Settings {
    keep_alive: Policy::Fixed(Duration::from_secs(600)),
    eviction: Eviction::LeastWorth,
    age_max: Duration::from_secs(7200),
    paces_accounts: true,
};

fn revision(n: u8) -> RevisionId {
    RevisionId::new(format!("00000000-0000-4000-8000-0000000000{n:02x}")).unwrap()
}

fn key(function: &str, n: u8) -> PoolKey {
    PoolKey { function_arn: Arc::from(function), version: Version::Latest, revision: revision(n) }
}

fn arrival(call: u64, pool: PoolKey, reserved: Option<u32>) -> Arrival {
    Arrival {
        call: CallId(call),
        pool,
        account: AccountId::new("000000000000").unwrap(),
        region: Region::new("us-east-1").unwrap(),
        reserved,
        unreserved: 3,
    }
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

fn run(call: CallId, environment: EnvironmentId) -> Action {
    Action::Run { call, environment, served_by: ServedBy::OnDemand }
}

fn started(actions: &[Action]) -> EnvironmentId {
    match actions {
        [Action::Start { environment, .. }] => *environment,
        other => panic!("expected one start, got {other:?}"),
    }
}

#[test]
fn the_second_call_runs_in_the_first_ones_environment() {
    let mut plan = Plan::new(SETTINGS);
    let env = started(&plan.arrived(arrival(1, key("f", 1), None), at(0)));
    assert_eq!(plan.ready(env, at(0)), [run(CallId(1), env)]);
    assert_eq!(plan.finished(CallId(1), env, true, at(1)), []);
    let again = plan.arrived(arrival(2, key("f", 1), None), at(2));
    assert_eq!(again, [run(CallId(2), env)]);
}

#[test]
fn a_freed_environment_takes_the_waiting_call_before_a_new_one_does() {
    let mut plan = Plan::new(SETTINGS);
    let first = started(&plan.arrived(arrival(1, key("f", 1), None), at(0)));
    plan.ready(first, at(0));
    let second = started(&plan.arrived(arrival(2, key("f", 1), None), at(0)));
    assert_eq!(plan.finished(CallId(1), first, true, at(1)), [run(CallId(2), first)]);
    // The one on its way serves the next call, without another start.
    assert_eq!(plan.arrived(arrival(3, key("f", 1), None), at(1)), []);
    assert_eq!(plan.ready(second, at(1)), [run(CallId(3), second)]);
}

#[test]
fn a_reservation_is_a_limit_of_its_own_function_and_zero_stops_it() {
    let mut plan = Plan::new(SETTINGS);
    let reason = ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded;
    assert_eq!(
        plan.arrived(arrival(1, key("f", 1), Some(0)), at(0)),
        [Action::Refuse { call: CallId(1), reason }]
    );
    started(&plan.arrived(arrival(2, key("f", 1), Some(1)), at(0)));
    // Another version of the same function counts against the same reservation.
    assert_eq!(
        plan.arrived(arrival(3, key("f", 2), Some(1)), at(0)),
        [Action::Refuse { call: CallId(3), reason }]
    );
    started(&plan.arrived(arrival(4, key("g", 1), None), at(0)));
}

#[test]
fn unreserved_functions_share_what_is_left() {
    let mut plan = Plan::new(SETTINGS);
    for call in 1..=3 {
        started(&plan.arrived(arrival(call, key(&format!("f{call}"), 1), None), at(0)));
    }
    let refused = plan.arrived(arrival(4, key("f4", 1), None), at(0));
    let reason = ThrottleReason::ConcurrentInvocationLimitExceeded;
    assert_eq!(refused, [Action::Refuse { call: CallId(4), reason }]);
    started(&plan.arrived(arrival(5, key("r", 1), Some(5)), at(0)));
}

#[test]
fn a_failed_start_fails_the_call_and_frees_its_slot() {
    let mut plan = Plan::new(SETTINGS);
    let env = started(&plan.arrived(arrival(1, key("f", 1), Some(1)), at(0)));
    assert_eq!(plan.start_failed(env, at(0)), [Action::Fail { call: CallId(1) }]);
    started(&plan.arrived(arrival(2, key("f", 1), Some(1)), at(0)));
    assert_eq!(plan.environment_count(), 1);
}

#[test]
fn an_update_retires_idle_environments_now_and_busy_ones_later() {
    let mut plan = Plan::new(SETTINGS);
    let idle = started(&plan.arrived(arrival(1, key("f", 1), None), at(0)));
    plan.ready(idle, at(0));
    let busy = started(&plan.arrived(arrival(2, key("f", 1), None), at(0)));
    plan.ready(busy, at(0));
    plan.finished(CallId(1), idle, true, at(1));
    assert_eq!(
        plan.retire("f", Obsolete::AllBut { version: Version::Latest, revision: &revision(2) }),
        [Action::Retire { environment: idle }]
    );
    assert_eq!(plan.finished(CallId(2), busy, true, at(2)), [Action::Retire { environment: busy }]);
    assert_eq!(plan.environment_count(), 0);
}

#[test]
fn a_deleted_version_takes_its_own_environments_with_it() {
    let mut plan = Plan::new(SETTINGS);
    let published = |number| PoolKey { version: Version::Published(number), ..key("f", number as u8) };
    let mut envs = Vec::new();
    for number in 1..=2 {
        let env = started(&plan.arrived(arrival(number, published(number), None), at(0)));
        plan.ready(env, at(0));
        plan.finished(CallId(number), env, true, at(0));
        envs.push(env);
    }
    let ended = plan.retire("f", Obsolete::Version(Version::Published(1)));
    assert_eq!(ended, [Action::Retire { environment: envs[0] }]);
    assert_eq!(plan.environment_count(), 1);
}

#[test]
fn idle_and_old_environments_end() {
    let mut plan = Plan::new(SETTINGS);
    let env = started(&plan.arrived(arrival(1, key("f", 1), None), at(0)));
    plan.ready(env, at(0));
    plan.finished(CallId(1), env, true, at(0));
    assert_eq!(plan.tick(at(599)), []);
    assert_eq!(plan.tick(at(600)), [Action::Retire { environment: env }]);

    let env = started(&plan.arrived(arrival(2, key("f", 1), None), at(1000)));
    plan.ready(env, at(1000));
    assert_eq!(plan.finished(CallId(2), env, true, at(8200)), [Action::Retire { environment: env }]);
}

#[test]
fn eviction_takes_the_longest_idle() {
    let mut plan = Plan::new(SETTINGS);
    let mut envs = Vec::new();
    for (call, function) in [(1, "f"), (2, "g")] {
        let env = started(&plan.arrived(arrival(call, key(function, 1), None), at(0)));
        plan.ready(env, at(0));
        plan.finished(CallId(call), env, true, at(call));
        envs.push(env);
    }
    assert_eq!(plan.evict_one(), Some(Action::Retire { environment: envs[0] }));
    assert_eq!(plan.evict_one(), Some(Action::Retire { environment: envs[1] }));
    assert_eq!(plan.evict_one(), None);
}

/// Events of a random life. The shell's side is played by the test, which keeps its own account of things.
#[derive(Debug, Clone)]
enum Event {
    Arrive { function: u8, revision: u8, reserved: Option<u8> },
    Ready(usize),
    StartFailed(usize),
    Finish { which: usize, reusable: bool },
    Gone(usize),
    InitFailed(usize),
    Provision { function: u8, revision: u8, count: u8 },
    Warm { function: u8, revision: u8, count: u8 },
    Retire { function: u8 },
    Tick,
    Evict,
    Relieve(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0u8..3, 0u8..2, proptest::option::of(0u8..4))
            .prop_map(|(function, revision, reserved)| Event::Arrive { function, revision, reserved }),
        4 => any::<usize>().prop_map(Event::Ready),
        1 => any::<usize>().prop_map(Event::StartFailed),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(which, reusable)| Event::Finish { which, reusable }),
        1 => any::<usize>().prop_map(Event::Gone),
        1 => any::<usize>().prop_map(Event::InitFailed),
        2 => (0u8..3, 0u8..2, 0u8..12)
            .prop_map(|(function, revision, count)| Event::Provision { function, revision, count }),
        1 => (0u8..3, 0u8..2, 0u8..4)
            .prop_map(|(function, revision, count)| Event::Warm { function, revision, count }),
        1 => (0u8..3).prop_map(|function| Event::Retire { function }),
        3 => Just(Event::Tick),
        1 => Just(Event::Evict),
        1 => (0u64..256).prop_map(|mib| Event::Relieve(mib << 20)),
    ]
}

/// Besides what nodes use: a rule that ends and makes environments as often as can be.
fn policy() -> impl Strategy<Value = Policy> {
    let restless: keep_alive::Rule = |_| {
        let ahead = Some(Duration::from_secs(60));
        Some(keep_alive::rule::Window { ahead, keep: Duration::from_secs(200) })
    };
    prop_oneof![
        Just(SETTINGS.keep_alive),
        Just(Policy::Fixed(Duration::ZERO)),
        Just(Policy::ADAPTIVE),
        Just(Policy::Learned(restless)),
    ]
}

#[derive(Default)]
struct World {
    arrived: HashSet<CallId>,
    answered: HashSet<CallId>,
    starting: Vec<EnvironmentId>,
    busy: Vec<(CallId, EnvironmentId)>,
    idle: Vec<EnvironmentId>,
    pool_of_env: HashMap<EnvironmentId, PoolKey>,
    pool_of_call: HashMap<CallId, PoolKey>,
    ahead: HashMap<EnvironmentId, Purpose>,
    wanted: HashMap<PoolKey, u32>,
    /// Environments may be too old to stay even without a replacement.
    outlived: bool,
}

impl World {
    /// Provisioned environments of the pool that are initialised.
    fn provisioned(&self, pool: &PoolKey) -> usize {
        let is = |e: &&EnvironmentId| {
            self.ahead.get(e) == Some(&Purpose::Provisioned) && self.pool_of_env.get(e) == Some(pool)
        };
        self.idle.iter().chain(self.busy.iter().map(|(_, e)| e)).filter(is).count()
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start { environment, pool, purpose } => {
                    if purpose != Purpose::Call {
                        self.ahead.insert(environment, purpose);
                    }
                    assert!(self.pool_of_env.insert(environment, pool).is_none(), "ids are used once");
                    self.starting.push(environment);
                }
                Action::Run { call, environment, served_by } => {
                    let is_provisioned = self.ahead.get(&environment) == Some(&Purpose::Provisioned);
                    assert_eq!(served_by == ServedBy::Provisioned, is_provisioned);
                    assert!(self.arrived.contains(&call) && self.answered.insert(call));
                    assert_eq!(self.pool_of_call[&call], self.pool_of_env[&environment]);
                    assert!(self.busy.iter().all(|(_, e)| *e != environment), "one call at a time");
                    self.idle.retain(|e| *e != environment);
                    assert!(!self.starting.contains(&environment), "only ready ones run");
                    self.busy.push((call, environment));
                }
                Action::Refuse { call, .. } | Action::Fail { call } | Action::GiveUp { call, .. } => {
                    assert!(self.arrived.contains(&call) && self.answered.insert(call));
                }
                Action::Retire { environment } => {
                    assert!(self.busy.iter().all(|(_, e)| *e != environment), "no running call is cut off");
                    let pool = self.pool_of_env[&environment].clone();
                    self.idle.retain(|e| *e != environment);
                    if self.ahead.get(&environment) == Some(&Purpose::Provisioned) && !self.outlived {
                        let wanted = self.wanted.get(&pool).copied().unwrap_or(0) as usize;
                        assert!(self.provisioned(&pool) >= wanted, "others stand before it goes");
                    }
                    self.pool_of_env.remove(&environment);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn every_call_is_answered_once_and_every_limit_holds(
        events in proptest::collection::vec(event(), 1..200),
        policy in policy(),
    ) {
        let mut plan = Plan::new(Settings { keep_alive: policy, ..SETTINGS });
        let mut world = World::default();
        let mut calls = 0;
        for (second, event) in events.into_iter().enumerate() {
            let now = at(second as u64 * 40);
            match event {
                Event::Arrive { function, revision, reserved } => {
                    calls += 1;
                    let pool = key(&format!("f{function}"), revision);
                    world.arrived.insert(CallId(calls));
                    world.pool_of_call.insert(CallId(calls), pool.clone());
                    let actions = plan.arrived(arrival(calls, pool, reserved.map(u32::from)), now);
                    world.perform(actions);
                }
                Event::Ready(which) if !world.starting.is_empty() => {
                    let env = world.starting.swap_remove(which % world.starting.len());
                    world.idle.push(env);
                    world.perform(plan.ready(env, now));
                }
                Event::StartFailed(which) if !world.starting.is_empty() => {
                    let env = world.starting.swap_remove(which % world.starting.len());
                    world.perform(plan.start_failed(env, now));
                }
                Event::Finish { which, reusable } if !world.busy.is_empty() => {
                    let (call, env) = world.busy.swap_remove(which % world.busy.len());
                    if reusable {
                        world.idle.push(env);
                    }
                    world.perform(plan.finished(call, env, reusable, now));
                }
                Event::Gone(which) if !world.idle.is_empty() => {
                    let env = world.idle.swap_remove(which % world.idle.len());
                    world.perform(plan.gone(env, now));
                }
                Event::InitFailed(which) => {
                    let ahead: Vec<_> =
                        world.starting.iter().copied().filter(|e| world.ahead.contains_key(e)).collect();
                    if !ahead.is_empty() {
                        let env = ahead[which % ahead.len()];
                        world.starting.retain(|e| *e != env);
                        world.perform(plan.ahead_failed(env, INIT_FAILURE, now));
                    }
                }
                Event::Provision { function, revision, count } => {
                    let function = format!("f{function}");
                    let pool = key(&function, revision);
                    world.wanted.retain(|key, _| *key.function_arn != *function);
                    world.wanted.insert(pool.clone(), u32::from(count));
                    world.perform(plan.provision(&function, &[(pool, u32::from(count))], now));
                }
                Event::Warm { function, revision, count } => {
                    let pool = key(&format!("f{function}"), revision);
                    world.perform(plan.warm(&pool, u32::from(count), now));
                }
                Event::Retire { function } => {
                    world.wanted.retain(|key, _| *key.function_arn != *format!("f{function}"));
                    world.perform(plan.retire(&format!("f{function}"), Obsolete::All));
                }
                Event::Tick => {
                    world.outlived = true;
                    world.perform(plan.tick(now));
                    world.outlived = false;
                }
                Event::Relieve(bytes) => world.perform(plan.relieve(bytes, now)),
                Event::Evict => world.perform(plan.evict_one().into_iter().collect()),
                _ => {}
            }
            let waiting = world.arrived.len() - world.answered.len();
            let for_calls = |e: &&EnvironmentId| world.ahead.get(e) != Some(&Purpose::Provisioned);
            let on_their_way = world.starting.iter().filter(for_calls).count();
            prop_assert!(waiting <= on_their_way, "each waiting call has an environment on its way");
            for (pool, wanted) in &world.wanted {
                let found = plan.provisioned(pool);
                prop_assert_eq!(found.ready as usize, world.provisioned(pool).min(*wanted as usize));
            }
            let used = plan.usage().functions;
            prop_assert_eq!(used.iter().map(|f| f.in_use as usize).sum::<usize>(), plan.call_count());
            prop_assert!(used.iter().map(|f| f.in_use_unreserved).sum::<u32>() <= 3);
            prop_assert_eq!(plan.call_count(), world.busy.len() + waiting);
            prop_assert_eq!(
                plan.environment_count(),
                world.starting.len() + world.busy.len() + world.idle.len()
            );
        }
    }
}

fn provision(plan: &mut Plan, pool: &PoolKey, count: u32, now: Timestamp) -> Vec<EnvironmentId> {
    starts(plan.provision(&pool.function_arn, &[(pool.clone(), count)], now))
}

/// The provisioned environments that are to be started, where nothing else is to be done.
fn starts(actions: Vec<Action>) -> Vec<EnvironmentId> {
    let start = |action| match action {
        Action::Start { environment, purpose: Purpose::Provisioned, .. } => environment,
        other => panic!("expected starts of provisioned environments, got {other:?}"),
    };
    actions.into_iter().map(start).collect()
}

#[test]
fn provisioned_environments_are_made_a_few_at_a_time_and_the_first_serves_at_once() {
    let mut plan = Plan::new(SETTINGS);
    let pool = key("f", 1);
    let first = provision(&mut plan, &pool, 20, at(0));
    assert_eq!(first.len(), 8);
    assert_eq!(plan.provisioned(&pool).ready, 0);
    let mut queue = std::collections::VecDeque::from(first);
    let env = queue.pop_front().unwrap();
    queue.extend(starts(plan.ready(env, at(0))));
    assert_eq!(plan.provisioned(&pool).ready, 1);
    let served_by = ServedBy::Provisioned;
    let actions = plan.arrived(arrival(1, pool.clone(), None), at(0));
    assert_eq!(actions, [Action::Run { call: CallId(1), environment: env, served_by }]);
    let mut made = queue.len() + 1;
    while let Some(env) = queue.pop_front() {
        let more = starts(plan.ready(env, at(0)));
        made += more.len();
        queue.extend(more);
    }
    assert_eq!((made, plan.provisioned(&pool).ready), (20, 20));
}

#[test]
fn calls_beyond_the_provision_spill_over_and_only_they_count_against_the_account() {
    let mut plan = Plan::new(SETTINGS);
    let pool = key("arn:aws:lambda:us-east-1:000000000000:function:f", 1);
    for env in provision(&mut plan, &pool, 2, at(0)) {
        plan.ready(env, at(0));
    }
    for call in 1..=2 {
        let actions = plan.arrived(arrival(call, pool.clone(), None), at(0));
        assert!(matches!(actions[..], [Action::Run { served_by: ServedBy::Provisioned, .. }]));
    }
    for call in 3..=5 {
        let env = started(&plan.arrived(arrival(call, pool.clone(), None), at(0)));
        let actions = plan.ready(env, at(0));
        assert!(matches!(actions[..], [Action::Run { served_by: ServedBy::Spillover, .. }]));
    }
    let reason = ThrottleReason::ConcurrentInvocationLimitExceeded;
    let refused = plan.arrived(arrival(6, pool.clone(), None), at(0));
    assert_eq!(refused, [Action::Refuse { call: CallId(6), reason }]);
    let used = &plan.usage().functions[0];
    assert_eq!((used.in_use, used.in_use_unreserved), (5, 3));
    assert_eq!(used.provisioned, [(Version::Latest, 2, 2, 2)]);
}

#[test]
fn environments_are_counted_by_version_across_revisions_and_from_before_the_first_call() {
    let mut plan = Plan::new(SETTINGS);
    let function = |n| key("arn:aws:lambda:us-east-1:000000000000:function:f", n);
    provision(&mut plan, &PoolKey { version: Version::Published(7), ..function(1) }, 2, at(0));
    let counted = |plan: &Plan| -> Vec<(Version, u32)> {
        plan.usage().functions.iter().flat_map(|f| f.environments.clone()).collect()
    };
    assert_eq!(counted(&plan), [(Version::Published(7), 2)], "nobody has called it yet");
    let old = started(&plan.arrived(arrival(1, function(1), None), at(0)));
    plan.ready(old, at(0));
    started(&plan.arrived(arrival(2, function(2), None), at(0)));
    assert_eq!(counted(&plan), [(Version::Latest, 2), (Version::Published(7), 2)]);
    plan.finished(CallId(1), old, false, at(0));
    assert_eq!(counted(&plan), [(Version::Latest, 1), (Version::Published(7), 2)]);
}

#[test]
fn a_deleted_function_is_no_user_of_the_capacity_once_its_calls_are_over() {
    let mut plan = Plan::new(SETTINGS);
    let env = started(&plan.arrived(arrival(1, key("f", 1), None), at(0)));
    plan.ready(env, at(0));
    plan.retire("f", Obsolete::All);
    assert_eq!(plan.usage().functions[0].in_use, 1);
    plan.finished(CallId(1), env, true, at(1));
    plan.retire("f", Obsolete::All);
    assert_eq!(plan.usage().functions, []);
}

#[test]
fn a_call_that_waited_and_is_served_by_a_provisioned_environment_leaves_the_accounts_pool() {
    let mut plan = Plan::new(SETTINGS);
    let pool = key("f", 1);
    let envs = provision(&mut plan, &pool, 1, at(0));
    let own = started(&plan.arrived(arrival(1, pool.clone(), None), at(0)));
    assert_eq!(plan.usage().functions[0].in_use_unreserved, 1);
    let served_by = ServedBy::Provisioned;
    let actions = plan.ready(envs[0], at(0));
    assert_eq!(actions, [Action::Run { call: CallId(1), environment: envs[0], served_by }]);
    assert_eq!(plan.usage().functions[0].in_use_unreserved, 0);
    assert_eq!(plan.ready(own, at(0)), []);
}

#[test]
fn provisioned_environments_never_idle_out_and_age_out_behind_their_replacement() {
    let mut plan = Plan::new(SETTINGS);
    let pool = key("f", 1);
    let envs = provision(&mut plan, &pool, 1, at(0));
    assert_eq!(plan.ready(envs[0], at(0)), []);
    assert_eq!(plan.tick(at(7199)), []);
    let replacement = starts(plan.tick(at(7200)));
    assert_eq!(plan.provisioned(&pool).ready, 1, "the old one serves still");
    assert_eq!(plan.tick(at(7205)), []);
    assert_eq!(plan.ready(replacement[0], at(7210)), [Action::Retire { environment: envs[0] }]);
    assert_eq!(plan.provisioned(&pool).ready, 1);
}

#[test]
fn a_dead_provisioned_environment_is_replaced_and_one_that_dies_at_once_is_not_in_a_loop() {
    let mut plan = Plan::new(SETTINGS);
    let pool = key("f", 1);
    let envs = provision(&mut plan, &pool, 1, at(0));
    plan.ready(envs[0], at(0));
    let second = starts(plan.gone(envs[0], at(100)));
    plan.ready(second[0], at(101));
    // Born at the hundredth second, gone within its first.
    let third = starts(plan.gone(second[0], at(110)));
    assert_eq!(plan.gone(third[0], at(110)), []);
    assert_eq!(plan.provisioned(&pool).failure.as_deref(), Some(INIT_FAILURE));
    assert_eq!(plan.tick(at(139)), []);
    assert_eq!(starts(plan.tick(at(140))).len(), 1);
}

#[test]
fn a_failed_init_is_told_tried_again_later_and_forgotten_when_it_succeeds() {
    let mut plan = Plan::new(SETTINGS);
    let pool = key("f", 1);
    let envs = provision(&mut plan, &pool, 3, at(0));
    for env in envs {
        assert_eq!(plan.ahead_failed(env, INIT_FAILURE, at(1)), []);
    }
    assert_eq!(plan.provisioned(&pool).failure.as_deref(), Some(INIT_FAILURE));
    // Calls go on, on demand.
    started(&plan.arrived(arrival(1, pool.clone(), None), at(20)));
    let again = starts(plan.tick(at(40)));
    assert_eq!(again.len(), 1, "one shows whether it fails still");
    assert_eq!(plan.ready(again[0], at(41)).len(), 3, "it takes the call, and the other two are made");
    assert_eq!(plan.provisioned(&pool).failure, None);
}

#[test]
fn what_is_provisioned_for_another_version_goes_when_it_is_not_wanted_any_more() {
    let mut plan = Plan::new(SETTINGS);
    let (old, new) = (key("f", 1), key("f", 2));
    for env in provision(&mut plan, &old, 2, at(0)) {
        plan.ready(env, at(0));
    }
    let both = [(old.clone(), 2), (new.clone(), 2)];
    for env in starts(plan.provision("f", &both, at(1))) {
        plan.ready(env, at(1));
    }
    let actions = plan.arrived(arrival(1, old.clone(), None), at(2));
    let [Action::Run { environment: busy, .. }] = actions[..] else { panic!("{actions:?}") };
    let ended = plan.provision("f", &[(new.clone(), 2)], at(3));
    assert_eq!(ended.len(), 1, "the idle one of the old version: {ended:?}");
    assert_eq!(plan.provisioned(&old), Default::default());
    assert_eq!(plan.provisioned(&new).ready, 2);
    assert_eq!(plan.finished(CallId(1), busy, true, at(4)), [Action::Retire { environment: busy }]);
    assert_eq!(plan.environment_count(), 2);
}

#[test]
fn a_host_without_room_does_not_take_what_is_provisioned() {
    let mut plan = Plan::new(SETTINGS);
    let pool = key("f", 1);
    for env in provision(&mut plan, &pool, 1, at(0)) {
        plan.ready(env, at(0));
    }
    assert_eq!(plan.evict_one(), None);
}

#[test]
fn as_many_are_made_warm_as_are_missing_and_they_serve_calls() {
    let mut plan = Plan::new(SETTINGS);
    let pool = key("f", 1);
    let idle = started(&plan.arrived(arrival(1, pool.clone(), None), at(0)));
    plan.ready(idle, at(0));
    plan.finished(CallId(1), idle, true, at(0));
    assert_eq!(plan.recent(&pool, at(1)), 1);
    let actions = plan.warm(&pool, 3, at(1));
    assert_eq!(actions.len(), 2, "one idles already");
    assert!(plan.is_warming(&pool));
    for action in actions {
        let Action::Start { environment, purpose: Purpose::Warm, .. } = action else { panic!("{action:?}") };
        plan.ready(environment, at(1));
    }
    assert!(!plan.is_warming(&pool));
    for call in 2..=4 {
        let actions = plan.arrived(arrival(call, pool.clone(), None), at(2));
        assert!(matches!(actions[..], [Action::Run { .. }]), "{actions:?}");
    }
    assert_eq!(plan.recent(&pool, at(3)), 3);
    assert_eq!(plan.recent(&key("f", 2), at(3)), 0);
}

#[test]
fn a_warm_environment_whose_init_fails_leaves_its_waiting_call_one_of_its_own() {
    let mut plan = Plan::new(SETTINGS);
    let pool = key("f", 1);
    let warm = started(&plan.warm(&pool, 1, at(0)));
    assert_eq!(plan.arrived(arrival(1, pool.clone(), None), at(0)), [], "it waits for the one on its way");
    let own = started(&plan.ahead_failed(warm, INIT_FAILURE, at(1)));
    assert_eq!(plan.ready(own, at(1)), [run(CallId(1), own)]);
}

#[test]
fn a_function_grows_by_a_thousand_environments_in_ten_seconds() {
    let mut plan = Plan::new(SETTINGS);
    let arrive = |plan: &mut Plan, call, now| {
        plan.arrived(Arrival { unreserved: 10_000, ..arrival(call, key("f", 1), None) }, now)
    };
    for call in 1..=1_000 {
        let env = started(&arrive(&mut plan, call, at(0)));
        plan.ready(env, at(0));
    }
    let reason = ThrottleReason::FunctionInvocationRateLimitExceeded;
    assert_eq!(arrive(&mut plan, 1_001, at(0)), [Action::Refuse { call: CallId(1_001), reason }]);
    assert_eq!(plan.call_count(), 1_000, "a refused call holds nothing");
    // Another function has its own growth.
    started(&plan.arrived(Arrival { unreserved: 10_000, ..arrival(1_002, key("g", 1), None) }, at(0)));
    for call in 1_003..=1_102 {
        started(&arrive(&mut plan, call, at(1)));
    }
    assert_eq!(arrive(&mut plan, 1_103, at(1)), [Action::Refuse { call: CallId(1_103), reason }]);
}

#[test]
fn each_unit_of_concurrency_is_good_for_ten_calls_a_second() {
    let mut plan = Plan::new(SETTINGS);
    let mut call = 0;
    let mut quick = |plan: &mut Plan, function: &str, reserved, now| {
        call += 1;
        match plan.arrived(arrival(call, key(function, 1), reserved), now)[..] {
            [Action::Start { environment, .. }] => {
                plan.ready(environment, now);
                plan.finished(CallId(call), environment, true, now);
                None
            }
            [Action::Run { environment, .. }] => {
                plan.finished(CallId(call), environment, true, now);
                None
            }
            [Action::Refuse { reason, .. }] => Some(reason),
            ref other => panic!("{other:?}"),
        }
    };
    let refused = |answers: Vec<Option<ThrottleReason>>| answers.into_iter().flatten().collect::<Vec<_>>();
    let own = (0..21).map(|_| quick(&mut plan, "r", Some(2), at(0))).collect();
    assert_eq!(refused(own), [ThrottleReason::ReservedFunctionInvocationRateLimitExceeded]);
    assert_eq!(quick(&mut plan, "r", Some(2), at(1)), None);
    let mut free = Plan::new(Settings { paces_accounts: false, ..SETTINGS });
    let unpaced = (0..31).map(|n| quick(&mut free, &format!("f{}", n % 3), None, at(1))).collect();
    assert_eq!(refused(unpaced), []);
    let shared = (0..31).map(|n| quick(&mut plan, &format!("f{}", n % 3), None, at(1))).collect();
    assert_eq!(refused(shared), [ThrottleReason::FunctionInvocationRateLimitExceeded]);
}

#[test]
fn a_throttle_names_who_held_the_capacity() {
    let mut plan = Plan::new(SETTINGS);
    let function = |name: &str| key(&format!("arn:aws:lambda:us-east-1:000000000000:function:{name}"), 1);
    for (call, name) in [(1, "greedy"), (2, "greedy"), (3, "modest")] {
        started(&plan.arrived(arrival(call, function(name), None), at(0)));
    }
    // A reservation is a function's own, and no part of what the others miss.
    started(&plan.arrived(arrival(4, function("apart"), Some(5)), at(0)));
    plan.arrived(arrival(5, function("late"), None), at(7));
    let used = plan.usage().functions;
    let late = used.iter().find(|f| f.name == "late").unwrap().throttled.clone().unwrap();
    assert_eq!((late.at, late.reason), (at(7), ThrottleReason::ConcurrentInvocationLimitExceeded));
    let held: Vec<_> = late.held_by.iter().map(|h| (h.function.as_str(), h.in_use)).collect();
    assert_eq!(held, [("greedy", 2), ("modest", 1)]);
}

#[test]
fn no_call_waits_for_ever() {
    let mut plan = Plan::new(SETTINGS);
    let env = started(&plan.arrived(arrival(1, key("f", 1), None), at(0)));
    assert_eq!(plan.tick(at(29)), []);
    let why = GivenUp::TooLong;
    assert_eq!(plan.tick(at(30)), [Action::GiveUp { call: CallId(1), why }]);
    assert_eq!(plan.call_count(), 0);
    assert_eq!(plan.ready(env, at(31)), [], "it idles and serves the next");
    assert_eq!(plan.arrived(arrival(2, key("f", 1), None), at(32)), [run(CallId(2), env)]);
}

#[test]
fn so_many_calls_wait_and_no_more() {
    let mut plan = Plan::new(SETTINGS);
    let arrive = |plan: &mut Plan, call, now| {
        plan.arrived(Arrival { unreserved: 10_000, ..arrival(call, key("f", 1), None) }, now)
    };
    for call in 1..=WAITING_MAX as u64 {
        started(&arrive(&mut plan, call, at(0)));
    }
    let (call, why) = (CallId(5_000), GivenUp::TooMany);
    assert_eq!(arrive(&mut plan, 5_000, at(2)), [Action::GiveUp { call, why }]);
    assert_eq!(plan.call_count(), WAITING_MAX);
}
