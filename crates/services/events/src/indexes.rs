//! What is made of an account's or a bus's records for the hot path: made when the first event comes, and anew after a
//! record has changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lambent_store::events::{EventStore, Record, Scope};

use crate::target::ReadyRule;
use lambent_pattern::{Index, Pattern};

pub struct Indexes<T>(Mutex<HashMap<Scope, Known<T>>>);

struct Known<T> {
    /// Counts the changes, so that what was made of an older state is not kept.
    changes: u64,
    made: Option<Arc<T>>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { changes: 0, made: None }
    }
}

impl<T> Default for Indexes<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Indexes<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Known<T>>> {
        // Each change under this lock is a single one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record of this scope has changed.
    pub fn forget(&self, scope: &Scope) {
        let mut all = self.lock();
        let known = all.entry(scope.clone()).or_default();
        known.changes += 1;
        known.made = None;
    }

    /// What `make` makes of the scope's records.
    pub fn of(
        &self,
        scope: &Scope,
        store: &dyn EventStore,
        make: impl FnOnce(&Scope, &dyn EventStore) -> T,
    ) -> Arc<T> {
        let changes = match self.lock().get(scope) {
            Some(Known { made: Some(made), .. }) => return made.clone(),
            Some(known) => known.changes,
            None => 0,
        };
        let made = Arc::new(make(scope, store));
        let mut all = self.lock();
        let known = all.entry(scope.clone()).or_default();
        if known.changes == changes {
            known.made = Some(made.clone());
        }
        made
    }
}

/// The rules of a bus that are enabled and have a pattern.
pub fn rules(scope: &Scope, store: &dyn EventStore) -> Index<ReadyRule> {
    let mut found = Vec::new();
    for entry in store.list(scope, "", None, usize::MAX) {
        let Record::Rule(rule) = &entry.record else { continue };
        let Some(text) = rule.pattern.as_deref().filter(|_| rule.is_enabled) else { continue };
        match Pattern::parse(text) {
            Ok(pattern) => found.push((pattern, ReadyRule::new(&entry.key, rule))),
            Err(error) => tracing::error!(rule = entry.key.name, %error, "a stored pattern can't be read"),
        }
    }
    Index::new(found)
}
