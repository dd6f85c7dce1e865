//! Which zygotes the spawner keeps, as the node knows it: asked for when a program is first booted that can copy
//! itself, replaced when they end, fail, or grow old.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lambent_core::ports::sandbox::Assignment;

use crate::protocol::{Brings, Job, ZygoteId};

/// A zygote that ends or fails is replaced after a rest that doubles each time, up to this.
const REST_MIN: Duration = Duration::from_millis(100);
const REST_MAX: Duration = Duration::from_secs(300);

/// Its copies share the places of its memory and its hash seed, and it doesn't see that its interpreter was replaced on
/// disk: so it doesn't live for ever.
const AGE_MAX: Duration = Duration::from_secs(3600);

/// Runtimes that a host has at a time; the one that was copied longest ago goes first.
const KEPT_MAX: usize = 8;

#[derive(Default)]
pub struct Zygotes {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    last: ZygoteId,
}

struct Entry {
    job: Assignment,
    number: ZygoteId,
    state: State,
    failures: u32,
    used: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Booting,
    Ready(Instant),
    Resting(Instant),
}

/// What is to be told to the spawner.
pub enum Errand {
    Keep(ZygoteId, Job),
    Part(ZygoteId),
}

impl Zygotes {
    /// The zygote that can be copied for this program now, if one was ever asked for.
    pub fn ready(&self, job: &Assignment) -> Option<ZygoteId> {
        let entries = self.entries();
        let entry = entries.list.iter().find(|entry| same(&entry.job, job))?;
        matches!(entry.state, State::Ready(_)).then_some(entry.number)
    }

    /// The same, and what is to be done so that there is one.
    pub fn find(&self, job: &Assignment, now: Instant) -> (Option<ZygoteId>, Vec<Errand>) {
        let mut entries = self.entries();
        let Entries { list, last } = &mut *entries;
        let mut errands = Vec::new();
        let position = list.iter().position(|entry| same(&entry.job, job)).unwrap_or_else(|| {
            if list.len() >= KEPT_MAX
                && let Some(oldest) = (0..list.len()).min_by_key(|at| list[*at].used)
            {
                errands.push(Errand::Part(list.swap_remove(oldest).number));
            }
            let state = State::Resting(now);
            list.push(Entry { job: job.clone(), number: 0, state, failures: 0, used: now });
            list.len() - 1
        });
        let entry = &mut list[position];
        entry.used = now;
        let may_begin = match entry.state {
            State::Booting => false,
            State::Ready(since) if now.duration_since(since) < AGE_MAX => {
                return (Some(entry.number), errands);
            }
            State::Ready(_) => {
                errands.push(Errand::Part(entry.number));
                true
            }
            State::Resting(until) => until <= now,
        };
        if may_begin {
            *last += 1;
            (entry.number, entry.state) = (*last, State::Booting);
            errands.push(Errand::Keep(*last, words(job)));
        }
        (None, errands)
    }

    /// The spawner's word.
    pub fn heard(&self, number: ZygoteId, ready: bool, now: Instant) {
        if ready {
            if let Some(entry) = self.entries().list.iter_mut().find(|entry| entry.number == number) {
                entry.state = State::Ready(now);
            }
        } else {
            self.rest(number, now);
        }
    }

    /// A copy of it came to nothing: it is to be ended. False when it was given up before.
    pub fn failed(&self, number: ZygoteId, now: Instant) -> bool {
        self.rest(number, now)
    }

    pub fn worked(&self, number: ZygoteId) {
        if let Some(entry) = self.entries().list.iter_mut().find(|entry| entry.number == number) {
            entry.failures = 0;
        }
    }

    fn rest(&self, number: ZygoteId, now: Instant) -> bool {
        let mut entries = self.entries();
        let entry = entries.list.iter_mut().find(|entry| entry.number == number);
        let Some(entry) = entry.filter(|entry| !matches!(entry.state, State::Resting(_))) else {
            return false;
        };
        let rest = REST_MIN.saturating_mul(1 << entry.failures.min(16)).min(REST_MAX);
        entry.failures += 1;
        entry.state = State::Resting(now + rest);
        true
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing under this lock calls out, and each change is complete in itself.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Limits are a sandbox's and not the program's.
fn same(one: &Assignment, other: &Assignment) -> bool {
    one.mounts == other.mounts && one.program == other.program
}

fn words(job: &Assignment) -> Job {
    let Assignment { limits, mounts, program } = job.clone();
    Job::new(mounts, program, limits.tmp_mb, Brings::default())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use lambent_core::ports::sandbox::{Limits, Program};

    use super::*;

    fn job(name: &str) -> Assignment {
        let limits = Limits { memory_mb: 128, cpu_millis: 100, tmp_mb: 512 };
        let program = Program { argv: vec![name.to_owned()], env: Vec::new(), cwd: PathBuf::from("/") };
        Assignment { limits, mounts: Vec::new(), program }
    }

    fn kept(errands: &[Errand]) -> Vec<ZygoteId> {
        let kept = |errand: &Errand| match errand {
            Errand::Keep(number, _) => Some(*number),
            Errand::Part(_) => None,
        };
        errands.iter().filter_map(kept).collect()
    }

    fn parted(errands: &[Errand]) -> Vec<ZygoteId> {
        let parted = |errand: &Errand| match errand {
            Errand::Part(number) => Some(*number),
            Errand::Keep(..) => None,
        };
        errands.iter().filter_map(parted).collect()
    }

    #[test]
    fn one_is_asked_for_once_and_used_when_it_is_ready() {
        let (zygotes, now) = (Zygotes::default(), Instant::now());
        let (found, errands) = zygotes.find(&job("a"), now);
        assert_eq!((found, kept(&errands)), (None, vec![1]));
        assert!(zygotes.find(&job("a"), now).1.is_empty());
        zygotes.heard(1, true, now);
        let mut roomy = job("a");
        roomy.limits.memory_mb = 1_000;
        assert_eq!(zygotes.find(&roomy, now).0, Some(1));
        assert_eq!(kept(&zygotes.find(&job("b"), now).1), [2]);
    }

    #[test]
    fn one_that_ends_is_replaced_after_a_rest_that_grows_until_a_copy_works() {
        let (zygotes, mut now) = (Zygotes::default(), Instant::now());
        let mut number = kept(&zygotes.find(&job("a"), now).1)[0];
        let mut rests = Vec::new();
        for _ in 0..20 {
            zygotes.heard(number, false, now);
            assert!(!zygotes.failed(number, now), "it was given up before");
            let began = now;
            let errands = loop {
                let (found, errands) = zygotes.find(&job("a"), now);
                assert_eq!(found, None);
                if !errands.is_empty() {
                    break errands;
                }
                now += REST_MIN;
            };
            rests.push(now - began);
            number = kept(&errands)[0];
        }
        assert_eq!(rests[..3], [REST_MIN, REST_MIN * 2, REST_MIN * 4]);
        assert_eq!(rests[19], REST_MAX);
        zygotes.heard(number, true, now);
        zygotes.worked(number);
        assert!(zygotes.failed(number, now));
        assert_eq!(kept(&zygotes.find(&job("a"), now + REST_MIN).1).len(), 1);
    }

    #[test]
    fn an_old_one_is_replaced_and_the_least_used_one_makes_room() {
        let (zygotes, now) = (Zygotes::default(), Instant::now());
        zygotes.find(&job("a"), now);
        zygotes.heard(1, true, now);
        let (found, errands) = zygotes.find(&job("a"), now + AGE_MAX);
        assert_eq!((found, kept(&errands), parted(&errands)), (None, vec![2], vec![1]));
        for other in 1..KEPT_MAX {
            zygotes.find(&job(&other.to_string()), now + AGE_MAX * 2);
        }
        let (_, errands) = zygotes.find(&job("z"), now + AGE_MAX * 2);
        assert_eq!(parted(&errands), [2]);
    }
}
