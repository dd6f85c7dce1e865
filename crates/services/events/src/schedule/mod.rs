//! When a schedule fires. Pure: the time is told.
//!
//! [`Expression::parse`] reads `rate(...)`, `cron(...)` and `at(...)`; a [`Timing`] is an expression with its time
//! zone and its bounds, and says which moment comes next.
//!
//! Daylight saving, as the reference's user guide has it: a `cron` moment that the clock skips does not come, one
//! that it shows twice comes once. A rate counts elapsed time, whatever the clock shows.
//!
//! Invariant: [`Timing::next`] gives moments that only rise, and the same ones whenever it is asked.

mod cron;
#[cfg(test)]
mod tests;
mod zone;

use lambent_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

use cron::Cron;
use jiff::civil::DateTime;
pub use zone::Zone;

/// Which service an expression is for: they differ in a few points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A rule's ScheduleExpression: no `at`, and one minute is not `minutes`.
    Rule,
    Scheduler,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    Rate { every_ms: u64 },
    Cron(Cron),
    At(DateTime),
}

/// The text is no schedule expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the schedule expression is not valid")]
pub struct Invalid;

const SECOND_MS: u64 = 1_000;
/// The longest rate: a period beyond it has no second moment before the year 2199.
const RATE_MS_MAX: u64 = 230 * 366 * 86_400 * SECOND_MS;

impl Expression {
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, Invalid> {
        let inner = |kind: &str| {
            let rest = text.strip_prefix(kind)?.strip_prefix('(')?;
            rest.strip_suffix(')')
        };
        if let Some(rate) = inner("rate") {
            return rate_of(rate, dialect);
        }
        if let Some(fields) = inner("cron") {
            return Cron::parse(fields).map(Self::Cron).ok_or(Invalid);
        }
        match inner("at") {
            Some(moment) if dialect == Dialect::Scheduler => at_of(moment).map(Self::At).ok_or(Invalid),
            _ => Err(Invalid),
        }
    }

    /// Whether it names one moment only.
    pub fn is_once(&self) -> bool {
        matches!(self, Self::At(_))
    }
}

fn rate_of(text: &str, dialect: Dialect) -> Result<Expression, Invalid> {
    let (number, unit) = text.trim().split_once(' ').ok_or(Invalid)?;
    let unit = unit.trim();
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Invalid);
    }
    let number: u64 = number.parse().map_err(|_| Invalid)?;
    let is_plural = unit.ends_with('s');
    if number == 0 || (dialect == Dialect::Rule && is_plural != (number != 1)) {
        return Err(Invalid);
    }
    let unit_ms = match unit.strip_suffix('s').unwrap_or(unit) {
        // Ours: the reference begins with minutes.
        "second" => SECOND_MS,
        "minute" => 60 * SECOND_MS,
        "hour" => 3_600 * SECOND_MS,
        "day" => 86_400 * SECOND_MS,
        _ => return Err(Invalid),
    };
    let every_ms = number.checked_mul(unit_ms).filter(|ms| *ms <= RATE_MS_MAX).ok_or(Invalid)?;
    Ok(Expression::Rate { every_ms })
}

/// `2026-11-20T12:00:00`, and no other form that a lenient reader would take.
fn at_of(text: &str) -> Option<DateTime> {
    let bytes = text.as_bytes();
    let form = b"dddd-dd-ddTdd:dd:dd";
    let fits = |(b, f): (&u8, &u8)| if *f == b'd' { b.is_ascii_digit() } else { b == f };
    if bytes.len() != form.len() || !bytes.iter().zip(form).all(fits) {
        return None;
    }
    let moment: DateTime = text.parse().ok()?;
    // A leap second would be read as the second before it.
    (!text.ends_with(":60") && (1970..=cron::YEAR_MAX).contains(&moment.year())).then_some(moment)
}

/// An expression in its place: what decides each moment.
#[derive(Debug, Clone)]
pub struct Timing {
    pub expression: Expression,
    pub dialect: Dialect,
    pub zone: Zone,
    /// When the expression took effect. No moment is before it.
    pub since: Timestamp,
    /// StartDate: no moment is before it, and a rate counts from it.
    pub start: Option<Timestamp>,
    /// EndDate: no moment is after it.
    pub end: Option<Timestamp>,
}

impl Timing {
    /// The first moment after `after`; `None` when there is none any more.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let earliest = match self.expression {
            // The reference does not hold a single moment to the dates.
            Expression::At(_) => self.since,
            _ => self.start.map_or(self.since, |start| start.max(self.since)),
        };
        let after = after.as_millis().max(earliest.as_millis().saturating_sub(1));
        let next = match &self.expression {
            Expression::Rate { every_ms } => self.next_of_rate(*every_ms, after),
            Expression::Cron(cron) => cron.next(Timestamp::from_millis(after), &self.zone),
            Expression::At(moment) => {
                let moment = self.zone.instant_or_later(*moment)?;
                (moment.as_millis() > after).then_some(moment)
            }
        }?;
        let is_over = !self.expression.is_once() && self.end.is_some_and(|end| next > end);
        (!is_over).then_some(next)
    }

    /// The last moment after `after` that is not after `now`, and not older than `age_ms`: what is made up for when
    /// moments were missed.
    pub fn last_due(&self, after: Timestamp, now: Timestamp, age_ms: u64) -> Option<Timestamp> {
        let oldest = Timestamp::from_millis(now.as_millis().saturating_sub(age_ms).saturating_sub(1));
        let mut last = self.next(after.max(oldest)).filter(|moment| *moment <= now)?;
        if let Expression::Rate { every_ms } = self.expression {
            let bound = self.end.map_or(now, |end| end.min(now));
            let periods = (bound.as_millis() - last.as_millis()) / every_ms;
            return Some(Timestamp::from_millis(last.as_millis() + periods * every_ms));
        }
        while let Some(next) = self.next(last).filter(|moment| *moment <= now) {
            last = next;
        }
        Some(last)
    }

    /// A rule's rate begins with its first period, the scheduler's with its first moment.
    fn next_of_rate(&self, every_ms: u64, after: u64) -> Option<Timestamp> {
        let (anchor, first) = match self.dialect {
            Dialect::Rule => (self.since.as_millis(), 1),
            Dialect::Scheduler => (self.start.unwrap_or(self.since).as_millis(), 0),
        };
        let periods = match after.checked_sub(anchor) {
            Some(elapsed) => elapsed / every_ms + 1,
            None => 0,
        };
        let elapsed = periods.max(first).checked_mul(every_ms)?;
        anchor.checked_add(elapsed).map(Timestamp::from_millis)
    }
}

/// How long after its moment a schedule with a flexible window fires: anywhere in the window, and for one moment
/// always at the same place, so that a restart does not draw again.
pub fn flexible_delay_ms(schedule: &str, moment: Timestamp, window_ms: u64) -> u64 {
    if window_ms == 0 {
        return 0;
    }
    let mut hash = Sha256::new();
    hash.update(schedule);
    hash.update(moment.as_millis().to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let (number, _) = digest.split_first_chunk::<8>().expect("a digest has 32 bytes");
    u64::from_be_bytes(*number) % window_ms
}
