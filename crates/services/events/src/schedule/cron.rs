//! `cron(minutes hours day-of-month month day-of-week year)`.
//!
//! Lists, ranges (also over the end: `FRI-MON`), steps and names as the guide has them; `L`, `W` and `#` for days;
//! one of the two day fields is `?`, and not both.

use jiff::civil::{Date, DateTime};
use lambent_core::time::Timestamp;

use super::zone::Zone;

const YEAR_MIN: i16 = 1970;
pub(super) const YEAR_MAX: i16 = 2199;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
/// Sunday is 1.
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

#[derive(Debug, Clone, PartialEq)]
pub struct Cron {
    /// Bit by value, here and below.
    minutes: u64,
    hours: u64,
    months: u64,
    days: Days,
    years: Vec<Span>,
}

#[derive(Debug, Clone, PartialEq)]
enum Days {
    OfMonth {
        days: u64,
        is_last: bool,
        /// `15W`: the weekday next to it within the month.
        nearest: Vec<u32>,
    },
    OfWeek {
        days: u64,
        /// `6L`: the last one of the month.
        last: u64,
        /// `3#2`: the second Tuesday.
        nth: Vec<(u32, u32)>,
    },
}

/// `from-to/step`; behind its end it goes on at the field's beginning when `from` is the greater.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    from: u32,
    to: u32,
    step: u32,
}

/// The values of a field, and their names, the first of which stands for `min`.
#[derive(Clone, Copy)]
struct Field {
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const MINUTES: Field = Field { min: 0, max: 59, names: &[] };
const HOURS: Field = Field { min: 0, max: 23, names: &[] };
const DAYS_OF_MONTH: Field = Field { min: 1, max: 31, names: &[] };
const MONTHS_OF_YEAR: Field = Field { min: 1, max: 12, names: &MONTHS };
const DAYS_OF_WEEK: Field = Field { min: 1, max: 7, names: &WEEKDAYS };
const YEARS: Field = Field { min: YEAR_MIN as u32, max: YEAR_MAX as u32, names: &[] };

impl Field {
    fn value(self, text: &str) -> Option<u32> {
        if let Some(at) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Some(self.min + at as u32);
        }
        let is_number = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
        let value = is_number.then(|| text.parse().ok()).flatten()?;
        (self.min..=self.max).contains(&value).then_some(value)
    }

    fn span(self, text: &str) -> Option<Span> {
        let (range, step) = match text.split_once('/') {
            None => (text, None),
            Some((range, step)) => {
                let is_number =
                    !step.is_empty() && step.len() <= 4 && step.bytes().all(|b| b.is_ascii_digit());
                let step: u32 = is_number.then(|| step.parse().ok()).flatten()?;
                (range, Some(step).filter(|step| (1..=self.max).contains(step)))
            }
        };
        if text.contains('/') && step.is_none() {
            return None;
        }
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.min, self.max),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            None => {
                let from = self.value(range)?;
                (from, if step.is_some() { self.max } else { from })
            }
        };
        Some(Span { from, to, step: step.unwrap_or(1) })
    }

    fn bits(self, text: &str) -> Option<u64> {
        let mut bits = 0;
        for item in text.split(',') {
            bits |= self.bits_of(self.span(item)?);
        }
        Some(bits)
    }

    fn bits_of(self, span: Span) -> u64 {
        let count = self.max - self.min + 1;
        let length = (span.to + count - span.from) % count;
        let values = (0..=length).step_by(span.step as usize);
        values.fold(0, |bits, n| bits | 1 << (self.min + (span.from - self.min + n) % count))
    }
}

impl Cron {
    pub fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, day, month, weekday, year] = fields[..] else { return None };
        let days = match (day, weekday) {
            ("?", "?") => return None,
            (day, "?") => days_of_month(day)?,
            ("?", weekday) => days_of_week(weekday)?,
            _ => return None,
        };
        let years: Vec<Span> = year.split(',').map(|item| YEARS.span(item)).collect::<Option<_>>()?;
        if years.iter().any(|span| span.from > span.to) {
            return None;
        }
        Some(Self {
            minutes: MINUTES.bits(minutes)?,
            hours: HOURS.bits(hours)?,
            months: MONTHS_OF_YEAR.bits(month)?,
            days,
            years,
        })
    }

    /// The first moment after `after`.
    pub fn next(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let mut shown = zone.civil(after)?;
        // Moments that the zone's clock skips or shows a second time are passed over.
        loop {
            shown = self.next_shown(shown)?;
            match zone.instant(shown) {
                Some(moment) if moment > after => return Some(moment),
                _ => {}
            }
        }
    }

    /// The first minute after the one in which a clock shows this.
    fn next_shown(&self, after: DateTime) -> Option<DateTime> {
        let (mut year, mut month, mut day) = (after.year(), after.month(), after.day() as u32);
        // The first minute of the day that counts.
        let mut from = after.hour() as u32 * 60 + after.minute() as u32 + 1;
        while year <= YEAR_MAX {
            let is_month = self.has_year(year) && self.months & (1 << month) != 0;
            let days = if is_month { self.days_in(year, month)? & (u64::MAX << day) } else { 0 };
            if days == 0 {
                (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                if !self.has_year(year) && month > 1 {
                    (year, month) = (year + 1, 1);
                }
                (day, from) = (1, 0);
                continue;
            }
            let first = days.trailing_zeros();
            if first != day {
                (day, from) = (first, 0);
            }
            if let Some(minute) = self.minute_from(from) {
                let date = Date::new(year, month, day as i8).ok()?;
                return Some(date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0));
            }
            (day, from) = (day + 1, 0);
        }
        None
    }

    fn has_year(&self, year: i16) -> bool {
        let year = year as u32;
        self.years
            .iter()
            .any(|span| (span.from..=span.to).contains(&year) && (year - span.from).is_multiple_of(span.step))
    }

    /// The first minute of a day from this one on that is wanted.
    fn minute_from(&self, from: u32) -> Option<u32> {
        (from / 60..24).filter(|hour| self.hours & (1 << hour) != 0).find_map(|hour| {
            let first = if hour == from / 60 { from % 60 } else { 0 };
            let minutes = self.minutes & (u64::MAX << first);
            (minutes != 0).then(|| hour * 60 + minutes.trailing_zeros())
        })
    }

    /// The days of a month that are wanted.
    fn days_in(&self, year: i16, month: i8) -> Option<u64> {
        let first = Date::new(year, month, 1).ok()?;
        let length = first.days_in_month() as u32;
        // Of the first of the month; Sunday is 0.
        let offset = first.weekday().to_sunday_zero_offset() as u32;
        let weekday = |day: u32| (offset + day - 1) % 7 + 1;
        let within = (2u64 << length) - 2;
        Some(match &self.days {
            Days::OfMonth { days, is_last, nearest } => {
                let last = if *is_last { 1 << length } else { 0 };
                let near = nearest.iter().filter(|day| **day <= length).map(|day| match weekday(*day) {
                    7 if *day == 1 => 3,
                    7 => day - 1,
                    1 if *day == length => day - 2,
                    1 => day + 1,
                    _ => *day,
                });
                (near.fold(*days, |days, day| days | 1 << day) | last) & within
            }
            Days::OfWeek { days, last, nth } => (1..=length)
                .filter(|day| {
                    let of_week = weekday(*day);
                    days & (1 << of_week) != 0
                        || (last & (1 << of_week) != 0 && day + 7 > length)
                        || nth.contains(&(of_week, (day - 1) / 7 + 1))
                })
                .fold(0, |days, day| days | 1 << day),
        })
    }
}

fn days_of_month(text: &str) -> Option<Days> {
    let (mut days, mut is_last, mut nearest) = (0, false, Vec::new());
    for item in text.split(',') {
        if item.eq_ignore_ascii_case("L") {
            is_last = true;
        } else if let Some(day) = item.strip_suffix(['W', 'w']) {
            nearest.push(DAYS_OF_MONTH.value(day)?);
        } else {
            days |= DAYS_OF_MONTH.bits(item)?;
        }
    }
    Some(Days::OfMonth { days, is_last, nearest })
}

fn days_of_week(text: &str) -> Option<Days> {
    let (mut days, mut last, mut nth) = (0, 0, Vec::new());
    for item in text.split(',') {
        if item.eq_ignore_ascii_case("L") {
            // By itself it is the week's last day.
            days |= 1 << DAYS_OF_WEEK.max;
        } else if let Some((day, which)) = item.split_once('#') {
            let which = which.parse().ok().filter(|which| (1..=5).contains(which))?;
            nth.push((DAYS_OF_WEEK.value(day)?, which));
        } else if let Some(day) = item.strip_suffix(['L', 'l']) {
            last |= 1 << DAYS_OF_WEEK.value(day)?;
        } else {
            days |= DAYS_OF_WEEK.bits(item)?;
        }
    }
    Some(Days::OfWeek { days, last, nth })
}
