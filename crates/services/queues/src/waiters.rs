//! Receives that wait for a message.
//!
//! One who waits is woken by a message that came, or will be visible soon; if it finds nothing yet, it knows until when
//! to sleep. Only that one knows then: so whoever leaves with such knowledge wakes the next.
//!
//! Invariant: a shelf has an entry exactly while somebody waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lambent_store::queues::Shelf;
use tokio::sync::Notify;

/// Ours: receives that wait at one time. More are answered at once, as if they had not asked to wait.
pub const WAITERS_MAX: usize = 20_000;

#[derive(Default)]
pub struct Waiters {
    bells: Mutex<Bells>,
}

#[derive(Default)]
struct Bells {
    by_shelf: HashMap<Shelf, (Arc<Notify>, usize)>,
    count: usize,
}

/// One that waits. Leaving is dropping it.
pub struct Waiting<'a> {
    waiters: &'a Waiters,
    shelf: Shelf,
    pub bell: Arc<Notify>,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, Bells> {
        // Each change under this lock is a few calls that can't panic.
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` when too many wait.
    pub fn enter(&self, shelf: Shelf) -> Option<Waiting<'_>> {
        let mut bells = self.lock();
        if bells.count >= WAITERS_MAX {
            return None;
        }
        bells.count += 1;
        let (bell, count) = bells.by_shelf.entry(shelf).or_default();
        *count += 1;
        Some(Waiting { waiters: self, shelf, bell: bell.clone() })
    }

    /// Wakes so many of those who wait for this shelf.
    pub fn wake(&self, shelf: Shelf, count: usize) {
        let bell = self.lock().by_shelf.get(&shelf).map(|(bell, waiting)| (bell.clone(), *waiting));
        if let Some((bell, waiting)) = bell {
            for _ in 0..count.min(waiting) {
                bell.notify_one();
            }
        }
    }

    /// Wakes all of those who wait for this shelf: it is gone.
    pub fn wake_shelf(&self, shelf: Shelf) {
        self.wake(shelf, usize::MAX);
    }

    pub fn wake_all(&self) {
        let shelves: Vec<Shelf> = self.lock().by_shelf.keys().copied().collect();
        for shelf in shelves {
            self.wake_shelf(shelf);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut bells = self.waiters.lock();
        bells.count -= 1;
        if let Some((_, count)) = bells.by_shelf.get_mut(&self.shelf) {
            *count -= 1;
            if *count == 0 {
                bells.by_shelf.remove(&self.shelf);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_there_while_somebody_waits() {
        let waiters = Waiters::default();
        let (one, two) = (waiters.enter(Shelf(1)).unwrap(), waiters.enter(Shelf(1)).unwrap());
        drop(one);
        assert_eq!(waiters.lock().by_shelf.len(), 1);
        drop(two);
        let bells = waiters.lock();
        assert_eq!((bells.by_shelf.len(), bells.count), (0, 0));
    }
}
