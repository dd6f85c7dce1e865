//! An amount of memory as it is typed: `512MiB`, `5%` of the machine's, `0`.

/// See [`parse`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Memory {
    Bytes(u64),
    /// Of the machine's.
    Percent(f64),
}

/// Taken for the machine's where the kernel doesn't tell.
const MACHINE_BYTES: u64 = 4 << 30;

/// Powers of 1024 for the names with an i, of 1000 for those without.
const UNITS: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

impl Memory {
    /// In bytes, on a machine with so much.
    pub fn of(self, machine: Option<u64>) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            // Both factors are finite and not negative.
            Self::Percent(share) => (machine.unwrap_or(MACHINE_BYTES) as f64 * share / 100.0) as u64,
        }
    }
}

pub fn parse(text: &str) -> Result<Memory, String> {
    let wrong = || format!("{text:?} is no amount of memory: 512MiB, 2GB, 5% and 0 are");
    let lower = text.trim().to_ascii_lowercase();
    if let Some(share) = lower.strip_suffix('%') {
        let share: f64 = share.trim().parse().map_err(|_| wrong())?;
        return if (0.0..=100.0).contains(&share) {
            Ok(Memory::Percent(share))
        } else {
            Err(format!("{text:?} is no share of the machine's memory: 0% to 100% are"))
        };
    }
    if lower == "0" {
        return Ok(Memory::Bytes(0));
    }
    let (number, unit) =
        UNITS.iter().find_map(|(name, unit)| Some((lower.strip_suffix(name)?, *unit))).ok_or_else(wrong)?;
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(unit).map(Memory::Bytes).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_shares_and_nothing_at_all_are_amounts_of_memory() {
        let machine = Some(1_000);
        for (text, bytes) in [
            ("512MiB", 512 << 20),
            ("512 mib", 512 << 20),
            ("2GB", 2_000_000_000),
            ("100b", 100),
            ("5%", 50),
            ("0.5%", 5),
            ("100%", 1_000),
            ("0", 0),
            ("0%", 0),
        ] {
            assert_eq!(parse(text).map(|memory| memory.of(machine)), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "5", "-1MiB", "101%", "-1%", "NaN%", "inf%", "MiB", "1.5GiB", "99999999999TiB", "5 %%"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
