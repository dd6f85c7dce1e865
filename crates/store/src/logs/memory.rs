//! The in-memory implementation: the specification of the domain. It keeps single events, so that nothing of
//! how durable stores chunk them shows in it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;

/// Groups, streams and events in memory.
pub struct MemoryLogs {
    bytes_max: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    groups: BTreeMap<GroupKey, Group>,
    next_seq: u64,
    stored_bytes: u64,
    /// Where the events are, in the order of arrival. May name events that are gone.
    arrivals: VecDeque<(GroupKey, Position)>,
}

struct Group {
    record: GroupRecord,
    streams: BTreeMap<Arc<str>, StreamRecord>,
    events: BTreeMap<Position, StoredEvent>,
}

impl MemoryLogs {
    /// Keeps `bytes_max` counted bytes of events at the most.
    pub fn new(bytes_max: u64) -> Self {
        Self { bytes_max, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in here is a defect of a test; the data it leaves is whole all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryLogs {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

impl State {
    fn apply(&mut self, command: Command) -> Result<(), Refusal> {
        match command {
            Command::CreateGroup { key, created, tags } => {
                if self.groups.contains_key(&key) {
                    return Err(Refusal::GroupExists);
                }
                self.groups.insert(key.clone(), Group::new(key, created, tags));
            }
            Command::DeleteGroup { key } => {
                let group = self.groups.remove(&key).ok_or(Refusal::GroupMissing)?;
                self.stored_bytes -= group.record.stored_bytes;
            }
            Command::SetRetention { key, days } => self.group(&key)?.record.retention_days = days,
            Command::ChangeTags { key, remove, set, count_max } => {
                let group = self.group(&key)?;
                let mut tags = group.record.tags.clone();
                remove.iter().for_each(|name| drop(tags.remove(name)));
                tags.extend(set);
                if tags.len() > count_max {
                    return Err(Refusal::TooManyTags);
                }
                group.record.tags = tags;
            }
            Command::CreateStream { key, created } => {
                let group = self.group(&key.group)?;
                if group.streams.contains_key(&key.name) {
                    return Err(Refusal::StreamExists);
                }
                group.add_stream(key.name, created);
            }
            Command::DeleteStream { key } => {
                let group = self.group(&key.group)?;
                let stream = group.streams.remove(&key.name).ok_or(Refusal::StreamMissing)?;
                group.events.retain(|_, event| event.stream != key.name);
                group.record.stored_bytes -= stream.stored_bytes;
                self.stored_bytes -= stream.stored_bytes;
            }
        }
        Ok(())
    }

    fn group(&mut self, key: &GroupKey) -> Result<&mut Group, Refusal> {
        self.groups.get_mut(key).ok_or(Refusal::GroupMissing)
    }

    fn append(&mut self, run: Run) -> Result<(), Refusal> {
        let Run { stream: key, ingested, create, events } = run;
        if create && !self.groups.contains_key(&key.group) {
            let group = Group::new(key.group.clone(), ingested, BTreeMap::new());
            self.groups.insert(key.group.clone(), group);
        }
        let group = self.groups.get_mut(&key.group).ok_or(Refusal::GroupMissing)?;
        if create && !group.streams.contains_key(&key.name) {
            group.add_stream(key.name.clone(), ingested);
        }
        let stream = group.streams.get_mut(&key.name).ok_or(Refusal::StreamMissing)?;
        let mut events: Vec<&LogEvent> = events.iter().collect();
        events.sort_by_key(|event| event.time);
        for event in events {
            let bytes = event.counted_bytes() as u64;
            let position = Position { time: event.time, seq: self.next_seq };
            self.next_seq += 1;
            stream.first_event = Some(stream.first_event.map_or(event.time, |t| t.min(event.time)));
            stream.last_event = Some(stream.last_event.map_or(event.time, |t| t.max(event.time)));
            stream.last_ingestion = Some(ingested);
            stream.stored_bytes += bytes;
            group.record.stored_bytes += bytes;
            self.stored_bytes += bytes;
            let stored =
                StoredEvent { position, stream: key.name.clone(), ingested, text: event.text.clone() };
            group.events.insert(position, stored);
            self.arrivals.push_back((key.group.clone(), position));
        }
        Ok(())
    }

    /// Drops the events that arrived first until the bound is kept.
    fn evict(&mut self, bytes_max: u64) -> u64 {
        let before = self.stored_bytes;
        while self.stored_bytes > bytes_max {
            let Some((key, position)) = self.arrivals.pop_front() else { break };
            if let Some(group) = self.groups.get_mut(&key) {
                self.stored_bytes -= group.remove(position);
            }
        }
        before - self.stored_bytes
    }

    fn expire(&mut self, now: Timestamp) -> u64 {
        let mut freed = 0;
        for group in self.groups.values_mut() {
            let expiry = Position::at(expiry(group.record.retention_days, now));
            let expired: Vec<Position> = group.events.range(..expiry).map(|(at, _)| *at).collect();
            freed += expired.into_iter().map(|position| group.remove(position)).sum::<u64>();
        }
        self.stored_bytes -= freed;
        freed
    }
}

impl Group {
    fn new(key: GroupKey, created: Timestamp, tags: BTreeMap<String, String>) -> Self {
        let record = GroupRecord { key, created, retention_days: None, tags, stored_bytes: 0 };
        Self { record, streams: BTreeMap::new(), events: BTreeMap::new() }
    }

    fn add_stream(&mut self, name: Arc<str>, created: Timestamp) {
        let record = StreamRecord {
            name: name.clone(),
            created,
            first_event: None,
            last_event: None,
            last_ingestion: None,
            stored_bytes: 0,
        };
        self.streams.insert(name, record);
    }

    /// Takes the event out and answers what it weighed: nothing when it was gone already.
    fn remove(&mut self, position: Position) -> u64 {
        let Some(event) = self.events.remove(&position) else { return 0 };
        let bytes = event.counted_bytes() as u64;
        self.record.stored_bytes -= bytes;
        if let Some(stream) = self.streams.get_mut(&event.stream) {
            stream.stored_bytes -= bytes;
            stream.first_event =
                self.events.values().find(|e| e.stream == event.stream).map(StoredEvent::time);
        }
        bytes
    }

    fn read(&self, query: &ReadQuery) -> Page {
        if query.from >= query.until {
            return Page::default();
        }
        let wanted = |event: &&StoredEvent| match &query.streams {
            Streams::All => true,
            Streams::Named(names) => names.contains(&event.stream),
            Streams::Prefixed(prefix) => event.stream.starts_with(prefix.as_str()),
        };
        let range = self.events.range(query.from..query.until).map(|(_, event)| event);
        let mut found: Box<dyn Iterator<Item = &StoredEvent>> = match query.direction {
            Direction::Forward => Box::new(range.filter(wanted)),
            Direction::Backward => Box::new(range.rev().filter(wanted)),
        };
        let mut page = Page::default();
        let mut bytes = 0;
        for event in &mut found {
            bytes += event.counted_bytes();
            if page.events.len() >= query.events_max || (bytes > query.bytes_max && !page.events.is_empty()) {
                page.more = true;
                break;
            }
            page.events.push(event.clone());
        }
        if query.direction == Direction::Backward {
            page.events.reverse();
        }
        page
    }
}

impl LogStore for MemoryLogs {
    fn apply(&self, command: Command) -> BoxFuture<'_, Result<Result<(), Refusal>, StoreError>> {
        Box::pin(async move { Ok(self.lock().apply(command)) })
    }

    fn append(&self, runs: Vec<Run>) -> BoxFuture<'_, Result<Vec<Result<(), Refusal>>, StoreError>> {
        Box::pin(async move {
            let mut state = self.lock();
            let answers = runs.into_iter().map(|run| state.append(run)).collect();
            state.evict(self.bytes_max);
            Ok(answers)
        })
    }

    fn group<'a>(&'a self, key: &'a GroupKey) -> BoxFuture<'a, Result<Option<GroupRecord>, StoreError>> {
        Box::pin(async move { Ok(self.lock().groups.get(key).map(|group| group.record.clone())) })
    }

    fn list_groups(&self, query: GroupQuery) -> BoxFuture<'_, Result<Vec<GroupRecord>, StoreError>> {
        Box::pin(async move {
            let state = self.lock();
            let groups = state.groups.values().map(|group| &group.record);
            let wanted = groups.filter(|record| {
                let GroupKey { account, region, name } = &record.key;
                (account, region) == (&query.account, &query.region)
                    && name.starts_with(&query.prefix)
                    && query.after.as_deref().is_none_or(|after| &**name > after)
                    && query.contains.as_ref().is_none_or(|part| name.contains(part))
            });
            Ok(wanted.take(query.limit).cloned().collect())
        })
    }

    fn stream<'a>(&'a self, key: &'a StreamKey) -> BoxFuture<'a, Result<Option<StreamRecord>, StoreError>> {
        Box::pin(async move {
            let state = self.lock();
            Ok(state.groups.get(&key.group).and_then(|group| group.streams.get(&key.name)).cloned())
        })
    }

    fn list_streams(&self, query: StreamQuery) -> BoxFuture<'_, Result<Vec<StreamRecord>, StoreError>> {
        Box::pin(async move {
            let state = self.lock();
            let Some(group) = state.groups.get(&query.group) else { return Ok(Vec::new()) };
            let by_time = query.order == StreamOrder::LastEvent;
            let place = |last: Option<Timestamp>, name: &str| (last.filter(|_| by_time), name.to_owned());
            let after = query.after.map(|cursor| place(cursor.last_event, &cursor.name));
            let mut streams: Vec<_> =
                group.streams.values().filter(|stream| stream.name.starts_with(&query.prefix)).collect();
            streams.sort_by_key(|stream| place(stream.last_event, &stream.name));
            if query.descending {
                streams.reverse();
            }
            let behind = |stream: &&&StreamRecord| {
                let here = place(stream.last_event, &stream.name);
                after
                    .as_ref()
                    .is_none_or(|after| if query.descending { here < *after } else { here > *after })
            };
            Ok(streams.iter().filter(behind).take(query.limit).map(|stream| (*stream).clone()).collect())
        })
    }

    fn read(&self, query: ReadQuery) -> BoxFuture<'_, Result<Page, StoreError>> {
        Box::pin(async move {
            Ok(self.lock().groups.get(&query.group).map(|group| group.read(&query)).unwrap_or_default())
        })
    }

    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<Swept, StoreError>> {
        Box::pin(async move {
            let mut state = self.lock();
            let expired_bytes = state.expire(now);
            Ok(Swept { expired_bytes, evicted_bytes: state.evict(self.bytes_max) })
        })
    }
}
