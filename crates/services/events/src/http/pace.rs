//! How much one API destination gets at a time: no more a second than it is set to, and no more at once than leaves room
//! for the others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lambent_core::time::Timestamp;

/// Ours: requests to one destination at one time.
pub const FLYING_MAX: usize = 32;

/// Ours: how long one is put off that found no room, at the longest.
const PUT_OFF_SECS_MAX: u64 = 60;

/// By destination. Lost with the process, which costs a second's worth of throttling.
#[derive(Default)]
pub struct Paces(Mutex<HashMap<String, Pace>>);

#[derive(Default)]
struct Pace {
    flying: usize,
    /// Those that found no room, and are not on their way yet.
    refused: u64,
    /// The second whose requests are being given out, and how many of them are.
    second: u64,
    given: u32,
}

/// Why a request has to wait, and until when.
#[derive(Debug, PartialEq, Eq)]
pub enum Wait {
    /// It has its place in that second, which it need not ask for again.
    Placed(Timestamp),
    /// There is no room.
    Full(Timestamp),
}

/// A request's room, for as long as it is on its way.
pub struct Room<'a> {
    paces: &'a Paces,
    destination: String,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut paces = self.paces.lock();
        if let Some(pace) = paces.get_mut(&self.destination) {
            pace.flying -= 1;
            pace.refused = pace.refused.saturating_sub(1);
        }
        if paces.len() > 1_024 {
            paces.retain(|_, pace| pace.flying > 0);
        }
    }
}

impl Paces {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pace>> {
        // Nothing under this lock fails half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for a request, or when to ask again. `has_place` says that it was given its second before.
    pub fn enter(
        &self,
        destination: &str,
        a_second: u32,
        has_place: bool,
        now: Timestamp,
    ) -> Result<Room<'_>, Wait> {
        let mut paces = self.lock();
        let pace = paces.entry(destination.to_owned()).or_default();
        if pace.flying >= FLYING_MAX {
            // Each room's worth of them a second later than the one before: they come in the order of their turns.
            let secs = 1 + pace.refused / FLYING_MAX as u64;
            pace.refused += 1;
            return Err(Wait::Full(now.plus(Duration::from_secs(secs.min(PUT_OFF_SECS_MAX)))));
        }
        if !has_place {
            if pace.second < now.as_secs() {
                (pace.second, pace.given) = (now.as_secs(), 0);
            }
            if pace.given >= a_second {
                (pace.second, pace.given) = (pace.second + 1, 0);
            }
            pace.given += 1;
            if pace.second > now.as_secs() {
                return Err(Wait::Placed(Timestamp::from_millis(pace.second * 1_000)));
            }
        }
        pace.flying += 1;
        Ok(Room { paces: self, destination: destination.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_as_many_as_it_may() {
        let paces = Paces::default();
        let now = Timestamp::from_millis(10_500);
        let at = |secs: u64| Err(Wait::Placed(Timestamp::from_millis(secs * 1_000)));
        let asked: Vec<_> = (0..6).map(|_| paces.enter("d", 2, false, now).map(drop)).collect();
        assert_eq!(asked, [Ok(()), Ok(()), at(11), at(11), at(12), at(12)]);
        // What was given its second has its place.
        assert_eq!(paces.enter("d", 2, true, now).map(drop), Ok(()));
        assert_eq!(paces.enter("other", 2, false, now).map(drop), Ok(()));
    }

    #[test]
    fn one_destination_leaves_room_for_the_others() {
        let paces = Paces::default();
        let now = Timestamp::from_millis(10_000);
        let rooms: Vec<_> =
            (0..FLYING_MAX).map(|_| paces.enter("d", 300, false, now).unwrap_or_else(|_| panic!())).collect();
        let full = |secs: u64| Err(Wait::Full(now.plus(Duration::from_secs(secs))));
        for _ in 0..FLYING_MAX {
            assert_eq!(paces.enter("d", 300, true, now).map(drop), full(1));
        }
        assert_eq!(paces.enter("d", 300, true, now).map(drop), full(2));
        assert_eq!(paces.enter("other", 300, true, now).map(drop), Ok(()));
        drop(rooms);
        assert_eq!(paces.enter("d", 300, true, now).map(drop), Ok(()));
    }
}
