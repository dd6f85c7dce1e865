//! How much one HTTP endpoint gets at a time: no more a second than its policy says, and no more at once than leaves room
//! for the others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lambent_core::time::Timestamp;

/// Ours: requests to one endpoint at one time.
const FLYING_MAX: usize = 64;

/// Ours: how long one is put off that found no room, at the longest.
const PUT_OFF_MAX_SECS: u64 = 60;

/// By subscription. Lost with the process, which costs a second's worth of throttling.
#[derive(Default)]
pub struct Paces(Mutex<HashMap<String, Pace>>);

#[derive(Default)]
struct Pace {
    flying: usize,
    /// The second whose requests are being given out, and how many of them are.
    second: u64,
    given: u32,
}

/// A request's room, for as long as it is on its way.
pub struct Room<'a> {
    paces: &'a Paces,
    subscription: String,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut paces = self.paces.lock();
        if let Some(pace) = paces.get_mut(&self.subscription) {
            pace.flying -= 1;
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

    /// Room for a request, or when to ask again. `deferrals` says how often it was put off in a row: one of an endpoint
    /// with a limit was given its second then.
    pub fn enter(
        &self,
        subscription: &str,
        a_second: Option<u32>,
        deferrals: u32,
        now: Timestamp,
    ) -> Result<Room<'_>, Timestamp> {
        let mut paces = self.lock();
        let pace = paces.entry(subscription.to_owned()).or_default();
        match a_second {
            Some(a_second) if deferrals == 0 => {
                if pace.second < now.as_secs() {
                    (pace.second, pace.given) = (now.as_secs(), 0);
                }
                if pace.given >= a_second {
                    (pace.second, pace.given) = (pace.second + 1, 0);
                }
                pace.given += 1;
                if pace.second > now.as_secs() {
                    return Err(Timestamp::from_millis(pace.second * 1_000));
                }
            }
            Some(_) => {}
            None if pace.flying >= FLYING_MAX => {
                let secs = 1_u64 << deferrals.min(6);
                return Err(now.plus(Duration::from_secs(secs.min(PUT_OFF_MAX_SECS))));
            }
            None => {}
        }
        pace.flying += 1;
        Ok(Room { paces: self, subscription: subscription.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_as_many_as_it_may() {
        let paces = Paces::default();
        let now = Timestamp::from_millis(10_500);
        let ask = |deferrals| paces.enter("s", Some(2), deferrals, now).map(drop).map_err(Timestamp::as_secs);
        let asked: Vec<_> = (0..6).map(|_| ask(0)).collect();
        assert_eq!(asked, [Ok(()), Ok(()), Err(11), Err(11), Err(12), Err(12)]);
        // What was given its second has its place.
        assert_eq!(ask(1), Ok(()));
    }

    #[test]
    fn one_endpoint_leaves_room_for_the_others() {
        let paces = Paces::default();
        let now = Timestamp::from_millis(10_000);
        let rooms: Vec<_> = (0..FLYING_MAX).map(|_| paces.enter("s", None, 0, now).ok().unwrap()).collect();
        assert_eq!(paces.enter("s", None, 2, now).map(drop), Err(now.plus(Duration::from_secs(4))));
        assert!(paces.enter("other", None, 0, now).is_ok());
        drop(rooms);
        assert!(paces.enter("s", None, 0, now).is_ok());
    }
}
