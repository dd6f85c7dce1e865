//! The reference implementation.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lambent_core::ids::RequestId;
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;

use super::{Command, Delivery, DeliveryStore, Lane};
use crate::StoreError;

#[derive(Default)]
pub struct MemoryDeliveries {
    state: Mutex<State>,
}

#[derive(Default, Clone)]
struct State {
    deliveries: HashMap<RequestId, Delivery>,
    order: BTreeSet<(Lane, Timestamp, RequestId)>,
    marks: BTreeMap<String, Timestamp>,
}

impl State {
    fn apply(&mut self, command: Command) -> Result<(), StoreError> {
        match command {
            Command::Accept(delivery) => {
                if self.deliveries.contains_key(&delivery.id) {
                    return Err(StoreError::Conflict);
                }
                self.order.insert((delivery.lane, delivery.due, delivery.id.clone()));
                self.deliveries.insert(delivery.id.clone(), delivery);
            }
            Command::Postpone { id, due, tries } => {
                let delivery = self.deliveries.get_mut(&id).ok_or(StoreError::Conflict)?;
                self.order.remove(&(delivery.lane, delivery.due, id.clone()));
                (delivery.due, delivery.tries) = (due, tries);
                self.order.insert((delivery.lane, due, id));
            }
            Command::Settle { id } => {
                let delivery = self.deliveries.remove(&id).ok_or(StoreError::Conflict)?;
                self.order.remove(&(delivery.lane, delivery.due, id));
            }
            Command::Mark { source, at } => {
                if self.marks.get(&source).is_some_and(|mark| *mark >= at) {
                    return Err(StoreError::Conflict);
                }
                self.marks.insert(source, at);
            }
            Command::Unmark { source } => {
                self.marks.remove(&source);
            }
        }
        Ok(())
    }
}

impl MemoryDeliveries {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is replaced by one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeliveryStore for MemoryDeliveries {
    fn apply(&self, commands: Vec<Command>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut state = self.lock();
            let mut next = state.clone();
            for command in commands {
                next.apply(command)?;
            }
            *state = next;
            Ok(())
        })
    }

    fn due(
        &self,
        lane: Lane,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Delivery>, StoreError>> {
        Box::pin(async move {
            let state = self.lock();
            let due = state.order.iter().filter(|(of, due, _)| *of == lane && *due <= now);
            Ok(due.take(limit).filter_map(|(.., id)| state.deliveries.get(id)).cloned().collect())
        })
    }

    fn next_due(&self, lane: Lane, now: Timestamp) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(async move {
            let state = self.lock();
            Ok(state.order.iter().find(|(of, due, _)| *of == lane && *due > now).map(|(_, due, _)| *due))
        })
    }

    fn marks(&self) -> BoxFuture<'_, Result<Vec<(String, Timestamp)>, StoreError>> {
        Box::pin(async move {
            Ok(self.lock().marks.iter().map(|(source, mark)| (source.clone(), *mark)).collect())
        })
    }

    fn count(&self, lane: Lane) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { Ok(self.lock().order.iter().filter(|(of, ..)| *of == lane).count() as u64) })
    }
}
