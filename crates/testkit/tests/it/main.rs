//! The implementations in memory keep their own contracts.

use lambent_store::archive::{ArchiveStore, MemoryArchive};
use lambent_store::deliveries::{DeliveryStore, MemoryDeliveries};
use lambent_store::events::{EventStore, MemoryEvents};
use lambent_store::functions::{FunctionStore, MemoryFunctions};
use lambent_store::queues::{MemoryQueues, QueueStore};
use lambent_store::topics::{MemoryTopics, TopicStore};
use lambent_testkit::contracts::functions::{Subject, agrees_with_memory, keeps_the_facts};
use lambent_testkit::contracts::{archive, deliveries, events, queues, topics};

/// Reopened by way of what a durable store would load.
struct Memory(MemoryFunctions);

impl Subject for Memory {
    fn fresh() -> Self {
        Self(MemoryFunctions::default())
    }

    fn store(&self) -> &dyn FunctionStore {
        &self.0
    }

    fn reopened(self) -> Self {
        Self(self.0.duplicate())
    }
}

#[test]
fn functions_in_memory_keep_the_facts() {
    keeps_the_facts::<Memory>();
}

#[test]
fn functions_in_memory_agree_with_themselves() {
    agrees_with_memory::<Memory>(32);
}

struct InMemory(MemoryDeliveries);

impl deliveries::Subject for InMemory {
    fn fresh() -> Self {
        Self(MemoryDeliveries::default())
    }

    fn store(&self) -> &dyn DeliveryStore {
        &self.0
    }

    fn reopened(self) -> Self {
        self
    }
}

#[test]
fn deliveries_in_memory_keep_the_facts() {
    deliveries::keeps_the_facts::<InMemory>();
}

/// Nothing of it is reopened: what is in memory ends with it.
struct Traces(lambent_store::traces::MemoryTraces);

impl lambent_testkit::contracts::traces::Subject for Traces {
    fn fresh(bounds: lambent_store::traces::Bounds) -> Self {
        Self(lambent_store::traces::MemoryTraces::new(bounds))
    }

    fn store(&self) -> &dyn lambent_store::traces::TraceStore {
        &self.0
    }

    fn reopened(self) -> Self {
        self
    }
}

struct QueuesInMemory(MemoryQueues);

impl queues::Subject for QueuesInMemory {
    fn fresh() -> Self {
        Self(MemoryQueues::default())
    }

    fn store(&self) -> &dyn QueueStore {
        &self.0
    }

    fn reopened(self) -> Self {
        self
    }
}

#[test]
fn traces_in_memory_keep_the_facts() {
    lambent_testkit::contracts::traces::keeps_the_facts::<Traces>();
}

#[test]
fn queues_in_memory_keep_the_facts() {
    queues::keeps_the_facts::<QueuesInMemory>();
}

#[test]
fn groups_in_memory_keep_their_order() {
    queues::groups_keep_their_order::<QueuesInMemory>(200);
}

struct EventsInMemory(MemoryEvents);

impl events::Subject for EventsInMemory {
    fn fresh() -> Self {
        Self(MemoryEvents::default())
    }

    fn store(&self) -> &dyn EventStore {
        &self.0
    }

    fn reopened(self) -> Self {
        Self(self.0.duplicate())
    }
}

#[test]
fn events_in_memory_keep_the_facts() {
    events::keeps_the_facts::<EventsInMemory>();
}

struct ArchiveInMemory(MemoryArchive);

impl archive::Subject for ArchiveInMemory {
    fn fresh() -> Self {
        Self(MemoryArchive::default())
    }

    fn store(&self) -> &dyn ArchiveStore {
        &self.0
    }

    fn reopened(self) -> Self {
        self
    }
}

#[test]
fn an_archive_in_memory_keeps_the_facts() {
    archive::keeps_the_facts::<ArchiveInMemory>();
}

struct TopicsInMemory(MemoryTopics);

impl topics::Subject for TopicsInMemory {
    fn fresh() -> Self {
        Self(MemoryTopics::default())
    }

    fn store(&self) -> &dyn TopicStore {
        &self.0
    }

    fn reopened(self) -> Self {
        Self(self.0.duplicate())
    }
}

#[test]
fn topics_in_memory_keep_the_facts() {
    topics::keeps_the_facts::<TopicsInMemory>();
}
