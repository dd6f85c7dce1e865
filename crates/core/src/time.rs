//! Moments, as milliseconds since 1970-01-01T00:00:00Z. Reading the clock is a port ([`crate::ports::Clock`]).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, to the millisecond: the resolution of every AWS timestamp that Lambent answers with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(u64);

impl Timestamp {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }

    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long `self` lies after `earlier`; nothing when it does not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Year, month, day, hour, minute, second in UTC.
    pub fn civil(self) -> (i64, u32, u32, u32, u32, u32) {
        let secs = self.as_secs();
        // Days to civil date with eras of 400 years that begin on 1 March, so that the leap day comes last.
        let days = (secs / 86_400) as i64 + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * month_index + 2) / 5 + 1) as u32;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 } as u32;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let in_day = (secs % 86_400) as u32;
        (year, month, day, in_day / 3_600, in_day / 60 % 60, in_day % 60)
    }

    /// The moment of a UTC date and time; `None` before 1970 or for a field out of range.
    pub fn from_civil(year: i64, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> Option<Self> {
        let in_range = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !in_range {
            return None;
        }
        let shifted_year = year - i64::from(month <= 2);
        let era = shifted_year.div_euclid(400);
        let year_of_era = shifted_year.rem_euclid(400);
        let month_index = i64::from(if month > 2 { month - 3 } else { month + 9 });
        let day_of_year = (153 * month_index + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let secs = u64::try_from(days).ok()? * 86_400 + u64::from(hour * 3_600 + minute * 60 + second);
        let moment = Self(secs * 1000);
        // A day such as 31 April rolls over into May: it reads back differently, so it was never a date.
        (moment.civil() == (year, month, day, hour, minute, second)).then_some(moment)
    }

    /// `2026-11-20T23:45:01.123+0000`, the form of Lambda's LastModified.
    pub fn lambda_format(self) -> String {
        let (y, mo, d, h, mi, s) = self.civil();
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{:03}+0000", self.0 % 1000)
    }

    /// `20261120T234501Z`, the form of X-Amz-Date.
    pub fn amz_date(self) -> String {
        let (y, mo, d, h, mi, s) = self.civil();
        // One number for each group: every request's signature is checked against this.
        let (day, second) = (y * 10_000 + i64::from(mo * 100 + d), h * 10_000 + mi * 100 + s);
        format!("{day:08}T{second:06}Z")
    }

    /// `Fri, 20 Nov 2026 23:45:01 GMT`, the form of HTTP's Date.
    pub fn http_date(self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (y, mo, d, h, mi, s) = self.civil();
        // The first of January 1970 was a Thursday.
        let weekday = DAYS[(self.as_secs() / 86_400 % 7) as usize];
        format!("{weekday}, {d:02} {} {y:04} {h:02}:{mi:02}:{s:02} GMT", MONTHS[mo as usize - 1])
    }

    /// Reads `20261120T234501Z`.
    pub fn parse_amz_date(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        if b.len() != 16 || b[8] != b'T' || b[15] != b'Z' {
            return None;
        }
        let number = |range: std::ops::Range<usize>| -> Option<u32> {
            let part = text.get(range)?;
            part.bytes().all(|c| c.is_ascii_digit()).then(|| part.parse().ok()).flatten()
        };
        Self::from_civil(
            i64::from(number(0..4)?),
            number(4..6)?,
            number(6..8)?,
            number(9..11)?,
            number(11..13)?,
            number(13..15)?,
        )
    }
}

/// `2026-11-20T23:45:01.123Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, mo, d, h, mi, s) = self.civil();
        write!(f, "{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{:03}Z", self.0 % 1000)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments_have_their_dates() {
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(951_782_399_999).to_string(), "2000-02-28T23:59:59.999Z");
        assert_eq!(Timestamp::from_millis(951_782_400_000).to_string(), "2000-02-29T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(1_440_938_160_000).amz_date(), "20150830T123600Z");
        // RFC 9110, section 5.6.7.
        assert_eq!(Timestamp::from_millis(784_111_777_000).http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(Timestamp::from_millis(0).http_date(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn impossible_dates_are_refused() {
        for (m, d) in [(2, 29), (4, 31), (0, 1), (13, 1), (1, 0), (1, 32)] {
            assert_eq!(Timestamp::from_civil(2023, m, d, 0, 0, 0), None, "{m}-{d}");
        }
        for bad in ["", "20150830T123600", "20150830t123600Z", "2015083+T123600Z", "20150230T123600Z"] {
            assert_eq!(Timestamp::parse_amz_date(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_reads_back(secs in 0u64..250_000_000_000) {
            let moment = Timestamp::from_millis(secs * 1000);
            let (y, mo, d, h, mi, s) = moment.civil();
            prop_assert_eq!(Timestamp::from_civil(y, mo, d, h, mi, s), Some(moment));
        }
    }
}
