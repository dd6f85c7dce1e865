//! The environments of one revision of one function, and the calls that wait for one.
//!
//! Invariants: `starting` and `busy` are the numbers of members in those states, and change with them; a member
//! that leaves serves calls as long as those that replace it do not stand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lambent_core::time::Timestamp;

use super::keep_alive::Again;
use super::recent::Peak;
use super::{CallId, EnvironmentId, Purpose};

#[derive(Debug, Default)]
pub struct Pool {
    pub waiting: VecDeque<Waiting>,
    /// No environment of this pool is kept once it has nothing to do.
    pub retiring: bool,
    /// How many provisioned environments are wanted.
    pub target: u32,
    /// Why the last one could not be made, and when it may be tried again.
    pub failure: Option<Failure>,
    /// An environment is to be made ahead of the next call.
    pub again: Option<Again>,
    members: BTreeMap<EnvironmentId, Member>,
    /// Without provisioned ones: no call waits for those, their init may take minutes.
    starting: usize,
    busy: u32,
    peak: Peak,
}

#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    pub call: CallId,
    pub since: Timestamp,
}

#[derive(Debug, Clone)]
pub struct Failure {
    pub reason: String,
    pub retry_at: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    born: Timestamp,
    state: State,
    kind: Kind,
}

/// What a member is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For a call that has no environment.
    OnDemand,
    /// For calls that are expected soon.
    Warm,
    Provisioned,
    /// Was provisioned, and is being replaced or not wanted any more.
    Leaving,
}

impl Kind {
    pub fn is_provisioned(self) -> bool {
        matches!(self, Self::Provisioned | Self::Leaving)
    }
}

impl From<Purpose> for Kind {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Call => Self::OnDemand,
            Purpose::Warm => Self::Warm,
            Purpose::Provisioned => Self::Provisioned,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Busy,
    Idle(Idle),
}

/// What is known of a member that has nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle {
    pub since: Timestamp,
    /// When it is to go.
    pub until: Timestamp,
    /// See [`super::keep_alive::Stay::worth`].
    pub worth: u64,
}

impl Pool {
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.waiting.is_empty() && self.target == 0 && self.again.is_none()
    }

    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    pub fn starting_count(&self) -> usize {
        self.starting
    }

    pub fn add_starting(&mut self, id: EnvironmentId, kind: Kind, now: Timestamp) {
        self.members.insert(id, Member { born: now, state: State::Starting, kind });
        self.count(State::Starting, kind, 1);
    }

    /// The environment that idles and takes the next call: a provisioned one before another, and the one that
    /// was used last: its memory is the likeliest to be in cache, and the others get the chance to grow old.
    pub fn peek_idle(&self) -> Option<(EnvironmentId, Kind)> {
        self.members
            .iter()
            .filter_map(|(id, m)| match m.state {
                State::Idle(Idle { since, .. }) => Some((m.kind.is_provisioned(), since, *id, m.kind)),
                _ => None,
            })
            .max_by_key(|(provisioned, since, id, _)| (*provisioned, *since, *id))
            .map(|(.., id, kind)| (id, kind))
    }

    pub fn set_busy(&mut self, id: EnvironmentId, now: Timestamp) {
        self.set(id, State::Busy);
        self.peak.note(self.busy, now);
    }

    pub fn set_idle(&mut self, id: EnvironmentId, idle: Idle) {
        self.set(id, State::Idle(idle));
    }

    pub fn remove(&mut self, id: EnvironmentId) {
        if let Some(member) = self.members.remove(&id) {
            self.count(member.state, member.kind, -1);
        }
    }

    pub fn age(&self, id: EnvironmentId, now: Timestamp) -> Duration {
        self.members.get(&id).map(|m| now.since(m.born)).unwrap_or_default()
    }

    pub fn kind(&self, id: EnvironmentId) -> Option<Kind> {
        self.members.get(&id).map(|m| m.kind)
    }

    /// How many were busy at one time lately.
    pub fn recent(&self, now: Timestamp) -> u32 {
        self.peak.of(now).max(self.busy)
    }

    /// Members that can take a call now or soon, without one that they run.
    pub fn free_or_starting(&self) -> usize {
        self.members.values().filter(|m| m.state != State::Busy).count()
    }

    pub fn starting_of(&self, kind: Kind) -> usize {
        self.members.values().filter(|m| m.kind == kind && m.state == State::Starting).count()
    }

    pub fn count_of(&self, kind: Kind) -> usize {
        self.members.values().filter(|m| m.kind == kind).count()
    }

    /// Members of the kind that are initialised.
    pub fn standing_of(&self, kind: Kind) -> usize {
        self.members.values().filter(|m| m.kind == kind && m.state != State::Starting).count()
    }

    pub fn busy_of(&self, kind: Kind) -> usize {
        self.members.values().filter(|m| m.kind == kind && m.state == State::Busy).count()
    }

    /// Whether the provisioned members that stand are as many as are wanted, without those that leave.
    pub fn is_filled(&self) -> bool {
        self.standing_of(Kind::Provisioned) >= self.target as usize
    }

    /// Makes provisioned members leave: `count` of those that are as old as `age_min`, idle ones first, then
    /// the oldest.
    pub fn dismiss(&mut self, count: usize, age_min: Duration, now: Timestamp) {
        let mut ids: Vec<_> = self
            .members
            .iter()
            .filter(|(_, m)| m.kind == Kind::Provisioned && now.since(m.born) >= age_min)
            .map(|(id, m)| (!matches!(m.state, State::Idle(_)), m.born, *id))
            .collect();
        ids.sort_unstable();
        for (.., id) in ids.into_iter().take(count) {
            if let Some(member) = self.members.get_mut(&id) {
                member.kind = Kind::Leaving;
            }
        }
    }

    /// Makes members stay that were to leave: `count` of those that are younger than `age_max`.
    pub fn recall(&mut self, count: usize, age_max: Duration, now: Timestamp) {
        let leaving =
            self.members.values_mut().filter(|m| m.kind == Kind::Leaving && now.since(m.born) < age_max);
        for member in leaving.take(count) {
            member.kind = Kind::Provisioned;
        }
    }

    /// Takes the idle members of the kind, of this age and older.
    pub fn drain_idle_of(&mut self, kind: Kind, age_min: Duration, now: Timestamp) -> Vec<EnvironmentId> {
        let old = |m: &Member| now.since(m.born) >= age_min;
        self.take_where(|m| m.kind == kind && matches!(m.state, State::Idle(_)) && old(m))
    }

    pub fn drain_idle(&mut self) -> Vec<EnvironmentId> {
        self.take_where(|m| matches!(m.state, State::Idle(_)))
    }

    /// Takes what has idled too long or grown too old. What is provisioned is none of it: it is replaced first.
    pub fn expire(&mut self, now: Timestamp, age_max: Duration) -> Vec<EnvironmentId> {
        self.take_where(|m| match (m.state, m.kind) {
            (_, Kind::Provisioned | Kind::Leaving) => false,
            (State::Idle(Idle { until, .. }), _) => now >= until || now.since(m.born) >= age_max,
            _ => false,
        })
    }

    /// The members that idle, without those that somebody asked to be kept.
    pub fn idle(&self) -> impl Iterator<Item = (EnvironmentId, Idle)> {
        self.members.iter().filter_map(|(id, m)| match (m.state, m.kind) {
            (_, Kind::Provisioned | Kind::Leaving) => None,
            (State::Idle(idle), _) => Some((*id, idle)),
            _ => None,
        })
    }

    fn take_where(&mut self, condition: impl Fn(&Member) -> bool) -> Vec<EnvironmentId> {
        let ids: Vec<_> = self.members.iter().filter(|(_, m)| condition(m)).map(|(id, _)| *id).collect();
        for id in &ids {
            self.remove(*id);
        }
        ids
    }

    fn set(&mut self, id: EnvironmentId, state: State) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let kind = member.kind;
        let before = std::mem::replace(&mut member.state, state);
        self.count(before, kind, -1);
        self.count(state, kind, 1);
    }

    fn count(&mut self, state: State, kind: Kind, by: i32) {
        match state {
            State::Starting if kind.is_provisioned() => {}
            State::Starting => self.starting = self.starting.saturating_add_signed(by as isize),
            State::Busy => self.busy = self.busy.saturating_add_signed(by),
            State::Idle(_) => {}
        }
    }
}
