//! The reference implementation: rows in a map, looked through from end to end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lambent_core::ids::{AccountId, MessageId, Region};
use lambent_core::ports::BoxFuture;
use lambent_core::time::Timestamp;

use super::*;

#[derive(Default)]
pub struct MemoryQueues {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    definitions: Definitions,
    rows: BTreeMap<u64, Row>,
    /// When a group of a FIFO queue may be received from.
    groups: BTreeMap<(Shelf, String), Timestamp>,
    dedups: BTreeMap<(Shelf, String, String), (Timestamp, Sent)>,
    attempts: BTreeMap<(Shelf, String), (Timestamp, Vec<Receipt>)>,
    moves: BTreeMap<String, MoveRecord>,
    given_up: BTreeSet<Shelf>,
    last: u64,
}

#[derive(Clone)]
struct Row {
    shelf: Shelf,
    visible: Timestamp,
    sent: Timestamp,
    turn: u64,
    receives: u64,
    taken: Timestamp,
    first: Timestamp,
    group: Option<String>,
    id: MessageId,
    body: Bytes,
    details: Bytes,
    source: Option<String>,
}

impl Row {
    fn is_in_flight(&self, now: Timestamp) -> bool {
        self.turn > 0 && self.visible > now
    }

    fn message(&self, number: u64) -> Message {
        Message {
            receipt: Receipt { number, turn: self.turn },
            id: self.id.clone(),
            sent: self.sent,
            first_received: self.first,
            receives: self.receives,
            body: self.body.clone(),
            details: self.details.clone(),
            source: self.source.clone(),
        }
    }
}

impl State {
    fn apply(&mut self, command: Command) -> Result<Outcome, StoreError> {
        Ok(match command {
            Command::Put { .. } | Command::Delete { .. } => return self.define(&command),
            Command::PutMove(record) => {
                self.moves.insert(record.handle.clone(), *record);
                Outcome::Done
            }
            Command::Sweep { now, limit, too_old } => {
                self.definitions.commit(&Command::Sweep { now, limit, too_old: Vec::new() });
                self.sweep(now, limit, too_old)
            }
            Command::Send { shelf, messages } if self.definitions.has(shelf) => {
                Outcome::Sent(messages.into_iter().map(|message| self.send(shelf, message)).collect())
            }
            Command::Receive(asked) if self.definitions.has(asked.shelf) => {
                Outcome::Received(self.receive(&asked))
            }
            Command::Remove { shelf, now, receipts } if self.definitions.has(shelf) => {
                Outcome::Removed(receipts.iter().map(|receipt| self.remove(shelf, *receipt, now)).collect())
            }
            Command::ChangeVisibility { shelf, now, changes } if self.definitions.has(shelf) => {
                let change = |(receipt, until)| self.change(shelf, receipt, until, now);
                Outcome::Changed(changes.into_iter().map(change).collect())
            }
            Command::Unread { shelf, now, until, receipts } if self.definitions.has(shelf) => {
                let unread = |receipt: &Receipt| self.unread(shelf, *receipt, until, now);
                Outcome::Changed(receipts.iter().map(unread).collect())
            }
            Command::Move(step) if self.definitions.has(step.from) => Outcome::Moved(self.step(step)),
            _ => Outcome::Gone,
        })
    }

    fn define(&mut self, command: &Command) -> Result<Outcome, StoreError> {
        if !self.definitions.allows(command) {
            return Err(StoreError::Conflict);
        }
        let old = match command {
            Command::Put { record, .. } => self.definitions.queue(&record.key),
            _ => None,
        };
        let given_up = self.definitions.commit(command);
        self.given_up.extend(given_up);
        if let Command::Put { record, .. } = command
            && record.settings.fifo.is_some()
            && old.is_some_and(|old| {
                old.shelf == record.shelf && old.settings.delay_secs != record.settings.delay_secs
            })
        {
            self.delay_again(record.shelf, record.modified, record.settings.delay_secs);
        }
        Ok(Outcome::Done)
    }

    /// A FIFO queue's delay is for the messages that wait already, too.
    fn delay_again(&mut self, shelf: Shelf, now: Timestamp, delay_secs: u32) {
        for row in self.rows.values_mut().filter(|row| row.shelf == shelf && row.turn == 0) {
            row.visible = row.sent.plus(Duration::from_secs(delay_secs.into()));
        }
        let groups: Vec<String> =
            self.groups.keys().filter(|(of, _)| *of == shelf).map(|(_, group)| group.clone()).collect();
        for group in groups {
            self.judge_group(shelf, &group, now);
        }
    }

    fn send(&mut self, shelf: Shelf, message: NewMessage) -> Sent {
        let NewMessage { id, sent, visible, order, body, details } = message;
        if let Some(Order { group, dedup, scope }) = &order {
            let scope = dedup_scope(*scope, group);
            if let Some((at, first)) = self.dedups.get(&(shelf, scope.clone(), dedup.clone()))
                && sent.since(*at) < DEDUP_FOR
            {
                return Sent { is_repeated: true, ..first.clone() };
            }
            let first = Sent { id: id.clone(), number: self.last + 1, is_repeated: false };
            self.dedups.insert((shelf, scope, dedup.clone()), (sent, first));
        }
        let row = Row {
            shelf,
            visible,
            sent,
            turn: 0,
            receives: 0,
            taken: Timestamp::default(),
            first: Timestamp::default(),
            group: order.map(|order| order.group),
            id: id.clone(),
            body,
            details,
            source: None,
        };
        Sent { id, number: self.arrive(row, sent), is_repeated: false }
    }

    /// Puts a message at its shelf's end.
    fn arrive(&mut self, row: Row, now: Timestamp) -> u64 {
        self.last += 1;
        let (shelf, group) = (row.shelf, row.group.clone());
        self.rows.insert(self.last, row);
        if let Some(group) = group {
            // Behind others it changes nothing of when the group may be received from.
            if !self.groups.contains_key(&(shelf, group.clone())) {
                self.judge_group(shelf, &group, now);
            }
        }
        self.last
    }

    /// Finds out when the group may be received from.
    fn judge_group(&mut self, shelf: Shelf, group: &str, now: Timestamp) {
        let rows: Vec<&Row> = self.group(shelf, group).take(RECEIVE_MAX).map(|(_, row)| row).collect();
        let in_flight = rows.iter().filter(|row| row.is_in_flight(now)).map(|row| row.visible).max();
        let ready = in_flight.or(rows.first().map(|row| row.visible));
        let key = (shelf, group.to_owned());
        match ready {
            Some(ready) => self.groups.insert(key, ready),
            None => self.groups.remove(&key),
        };
    }

    fn group<'a>(&'a self, shelf: Shelf, group: &'a str) -> impl Iterator<Item = (u64, &'a Row)> {
        let is_of = move |row: &Row| row.shelf == shelf && row.group.as_deref() == Some(group);
        self.rows.iter().filter(move |(_, row)| is_of(row)).map(|(number, row)| (*number, row))
    }

    fn receive(&mut self, asked: &Receive) -> Received {
        if let Some(messages) = self.again(asked) {
            return Received { messages, ..Received::default() };
        }
        let in_flight = self.counts(asked.shelf, asked.now, Timestamp::default()).in_flight;
        let room = asked.in_flight_max.saturating_sub(in_flight);
        let limit = asked.limit.min(usize::try_from(room).unwrap_or(usize::MAX));
        if limit == 0 {
            return Received { is_full: true, ..Received::default() };
        }
        let mut received = Received::default();
        if asked.is_fifo {
            self.receive_in_order(asked, limit, &mut received);
        } else {
            self.receive_any(asked, limit, &mut received);
        }
        if received.messages.is_empty() {
            received.next = self.next_visible(asked);
        } else if let Some(attempt) = &asked.attempt {
            let receipts = received.messages.iter().map(|message| message.receipt).collect();
            self.attempts.insert((asked.shelf, attempt.clone()), (asked.now, receipts));
        }
        received
    }

    /// What the same attempt got before, when all of it is still in flight.
    fn again(&mut self, asked: &Receive) -> Option<Vec<Message>> {
        let (at, receipts) = self.attempts.get(&(asked.shelf, asked.attempt.clone()?))?.clone();
        let is_held = |receipt: &Receipt| {
            self.rows.get(&receipt.number).is_some_and(|row| {
                row.shelf == asked.shelf && row.turn == receipt.turn && row.is_in_flight(asked.now)
            })
        };
        if asked.now.since(at) >= ATTEMPT_FOR || !receipts.iter().all(is_held) {
            return None;
        }
        let mut messages = Vec::new();
        let mut groups = BTreeSet::new();
        for Receipt { number, .. } in receipts {
            let row = self.rows.get_mut(&number)?;
            row.visible = asked.visible_again;
            groups.extend(row.group.clone());
            messages.push(row.message(number));
        }
        for group in groups {
            self.judge_group(asked.shelf, &group, asked.now);
        }
        Some(messages)
    }

    fn receive_any(&mut self, asked: &Receive, limit: usize, received: &mut Received) {
        let mut ready: Vec<_> = self
            .rows
            .iter()
            .filter(|(_, row)| row.shelf == asked.shelf && row.visible <= asked.now)
            .map(|(number, row)| (row.visible, row.sent, row.turn, *number))
            .collect();
        ready.sort_unstable();
        let mut reaped = 0;
        for (.., number) in ready {
            if received.messages.len() == limit || reaped == REAP_MAX {
                break;
            }
            reaped += usize::from(!self.hand_out(number, asked, received));
        }
    }

    fn receive_in_order(&mut self, asked: &Receive, limit: usize, received: &mut Received) {
        let mut ready: Vec<(Timestamp, String)> = self
            .groups
            .iter()
            .filter(|((shelf, _), ready)| *shelf == asked.shelf && **ready <= asked.now)
            .map(|((_, group), ready)| (*ready, group.clone()))
            .collect();
        ready.sort_unstable();
        let mut reaped = 0;
        for (_, group) in ready {
            if received.messages.len() == limit || reaped >= REAP_MAX {
                break;
            }
            let rows: Vec<(u64, Timestamp)> =
                self.group(asked.shelf, &group).map(|(number, row)| (number, row.visible)).collect();
            for (number, visible) in rows {
                if received.messages.len() == limit || visible > asked.now {
                    break;
                }
                reaped += usize::from(!self.hand_out(number, asked, received));
            }
            self.judge_group(asked.shelf, &group, asked.now);
        }
    }

    /// Hands a message out, unless it is too old or was received too often. Says whether it did.
    fn hand_out(&mut self, number: u64, asked: &Receive, received: &mut Received) -> bool {
        let Some(row) = self.rows.get_mut(&number) else { return false };
        if row.sent <= asked.too_old {
            self.rows.remove(&number);
            return false;
        }
        if let Some(redrive) = &asked.redrive
            && row.turn >= redrive.receives_max
            && self.definitions.has(redrive.shelf)
        {
            let mut row = self.rows.remove(&number).expect("it was there a line before");
            row.shelf = redrive.shelf;
            (row.turn, row.visible) = (0, asked.now);
            row.source = Some(redrive.source.clone());
            if asked.is_fifo {
                row.sent = asked.now;
            }
            received.redriven.push(Redriven { id: row.id.clone(), receives: row.receives });
            self.arrive(row, asked.now);
            return false;
        }
        row.visible = asked.visible_again;
        row.taken = asked.now;
        if row.receives == 0 {
            row.first = asked.now;
        }
        row.turn += 1;
        row.receives += 1;
        received.messages.push(row.message(number));
        true
    }

    fn next_visible(&self, asked: &Receive) -> Option<Timestamp> {
        let now = asked.now;
        if asked.is_fifo {
            let of = self.groups.iter().filter(|((shelf, _), ready)| *shelf == asked.shelf && **ready > now);
            return of.map(|(_, ready)| *ready).min();
        }
        let of = self.rows.values().filter(|row| row.shelf == asked.shelf && row.visible > now);
        of.map(|row| row.visible).min()
    }

    fn remove(&mut self, shelf: Shelf, receipt: Receipt, now: Timestamp) -> Removal {
        let Some(row) = self.rows.get(&receipt.number).filter(|row| row.shelf == shelf) else {
            return Removal::Absent;
        };
        if row.turn != receipt.turn {
            return Removal::Stale;
        }
        if row.group.is_some() && row.visible <= now {
            return Removal::Expired;
        }
        let row = self.rows.remove(&receipt.number).expect("it was there a line before");
        if let Some(group) = row.group {
            self.judge_group(shelf, &group, now);
        }
        Removal::Done
    }

    fn change(&mut self, shelf: Shelf, receipt: Receipt, until: Timestamp, now: Timestamp) -> Change {
        let Some(row) = self.rows.get_mut(&receipt.number).filter(|row| row.shelf == shelf) else {
            return Change::Absent;
        };
        if row.turn != receipt.turn || !row.is_in_flight(now) {
            return Change::NotInFlight;
        }
        if until > row.taken.plus(IN_FLIGHT_FOR_MAX) {
            return Change::TooLong;
        }
        row.visible = until;
        if let Some(group) = row.group.clone() {
            self.judge_group(shelf, &group, now);
        }
        Change::Done
    }

    fn unread(&mut self, shelf: Shelf, receipt: Receipt, until: Timestamp, now: Timestamp) -> Change {
        let changed = self.change(shelf, receipt, until, now);
        if changed == Change::Done {
            let row = self.rows.get_mut(&receipt.number).expect("it was changed a line before");
            (row.turn, row.receives) = (row.turn - 1, row.receives.saturating_sub(1));
            if let Some(group) = row.group.clone() {
                self.judge_group(shelf, &group, now);
            }
        }
        changed
    }

    fn step(&mut self, step: MoveStep) -> Moved {
        let mut ready: Vec<_> = self
            .rows
            .iter()
            .filter(|(_, row)| row.shelf == step.from && row.visible <= step.now && row.sent > step.too_old)
            .map(|(number, row)| (row.visible, row.sent, row.turn, *number))
            .collect();
        ready.sort_unstable();
        let mut moved = Moved::default();
        for ((.., number), id) in ready.into_iter().zip(step.ids) {
            let source = self.rows[&number].source.clone();
            let to = step.to.iter().find(|(of, _)| step.all_to_one || (of.is_some() && *of == source));
            let Some((_, shelf)) = to.filter(|(_, shelf)| self.definitions.has(*shelf)) else {
                moved.is_stuck = true;
                break;
            };
            let old = self.rows.remove(&number).expect("its number was just read");
            let row = Row {
                shelf: *shelf,
                visible: step.now,
                sent: step.now,
                turn: 0,
                receives: 0,
                first: Timestamp::default(),
                source: None,
                id,
                ..old.clone()
            };
            self.arrive(row, step.now);
            if let Some(group) = old.group {
                self.judge_group(step.from, &group, step.now);
            }
            moved.count += 1;
        }
        if let Some(task) = self.moves.get_mut(&step.handle) {
            task.moved += moved.count;
        }
        moved
    }

    fn sweep(&mut self, now: Timestamp, limit: usize, too_old: Vec<(Shelf, Vec<u64>)>) -> Outcome {
        for (shelf, numbers) in too_old {
            for number in numbers {
                let Some(row) = self.rows.get(&number).filter(|row| row.shelf == shelf) else { continue };
                let group = row.group.clone();
                self.rows.remove(&number);
                if let Some(group) = group {
                    self.judge_group(shelf, &group, now);
                }
            }
        }
        let given_up = std::mem::take(&mut self.given_up);
        self.rows.retain(|_, row| !given_up.contains(&row.shelf));
        self.groups.retain(|(shelf, _), _| !given_up.contains(shelf));
        self.dedups.retain(|(shelf, ..), (at, _)| !given_up.contains(shelf) && now.since(*at) < DEDUP_FOR);
        self.attempts.retain(|(shelf, _), (at, _)| !given_up.contains(shelf) && now.since(*at) < ATTEMPT_FOR);
        let _ = limit;
        Outcome::Swept(false)
    }

    fn counts(&self, shelf: Shelf, now: Timestamp, too_old: Timestamp) -> Counts {
        let mut counts = Counts::default();
        for row in self.rows.values().filter(|row| row.shelf == shelf && row.sent > too_old) {
            match (row.visible > now, row.turn) {
                (false, _) => counts.visible += 1,
                (true, 0) => counts.delayed += 1,
                (true, _) => counts.in_flight += 1,
            }
        }
        counts
    }
}

/// The part of a deduplication's name that says among which messages it counts.
fn dedup_scope(scope: DedupScope, group: &str) -> String {
    match scope {
        DedupScope::Queue => String::new(),
        DedupScope::Group => group.to_owned(),
    }
}

impl MemoryQueues {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No step of a command can panic half-way but by a bug, and that is for tests to find.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueStore for MemoryQueues {
    fn apply(&self, command: Command) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        Box::pin(async move { self.lock().apply(command) })
    }

    fn queue(&self, key: &QueueKey) -> Option<Arc<QueueRecord>> {
        self.lock().definitions.queue(key)
    }

    fn queues(&self, account: &AccountId, region: &Region) -> Vec<Arc<QueueRecord>> {
        self.lock().definitions.queues(account, region)
    }

    fn all_queues(&self) -> Vec<Arc<QueueRecord>> {
        self.lock().definitions.all()
    }

    fn deleted(&self, key: &QueueKey) -> Option<Timestamp> {
        self.lock().definitions.deleted(key)
    }

    fn counts(
        &self,
        shelf: Shelf,
        now: Timestamp,
        too_old: Timestamp,
    ) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(async move { Ok(self.lock().counts(shelf, now, too_old)) })
    }

    fn too_old(
        &self,
        shelf: Shelf,
        too_old: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(async move {
            let state = self.lock();
            let of = state.rows.iter().filter(|(_, row)| row.shelf == shelf && row.sent <= too_old);
            Ok(of.map(|(number, _)| *number).take(limit).collect())
        })
    }

    fn moves(&self) -> BoxFuture<'_, Result<Vec<MoveRecord>, StoreError>> {
        Box::pin(async move {
            let mut moves: Vec<MoveRecord> = self.lock().moves.values().cloned().collect();
            moves.sort_by(|a, b| (b.started, &b.handle).cmp(&(a.started, &a.handle)));
            Ok(moves)
        })
    }
}
