//! The dates that a signature may bear: ISO 8601's basic form, or HTTP's own.

use lambent_core::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads `20150830T123600Z` or `Sun, 30 Aug 2015 12:36:00 GMT`.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    Timestamp::parse_amz_date(text).or_else(|| imf_fixdate(text))
}

fn imf_fixdate(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.split_once(", ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = fields[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let clock: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = clock[..] else { return None };
    Timestamp::from_civil(
        i64::from(number(year, 4)?),
        u32::try_from(month).ok()?,
        number(day, 2)?,
        number(hour, 2)?,
        number(minute, 2)?,
        number(second, 2)?,
    )
}

fn number(text: &str, digits: usize) -> Option<u32> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_moment() {
        assert_eq!(parse("20150830T123600Z"), parse("Sun, 30 Aug 2015 12:36:00 GMT"));
        assert!(parse("20150830T123600Z").is_some());
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in ["", "Sun, 30 Aug 2015 12:36:00 CET", "30 Aug 2015 12:36:00 GMT", "2015-08-30T12:36:00Z"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
