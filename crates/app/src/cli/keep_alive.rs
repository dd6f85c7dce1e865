//! How long an environment waits for its next call, as it is typed: `adaptive`, `10m`.

use std::time::Duration;

use lambent_execution::plan::keep_alive::Policy;
use lambent_execution::shell::AGE_MAX;

/// See [`parse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    Adaptive,
    For(Duration),
}

impl KeepAlive {
    pub fn policy(self) -> Policy {
        match self {
            Self::Adaptive => Policy::ADAPTIVE,
            Self::For(time) => Policy::Fixed(time),
        }
    }
}

pub fn parse(text: &str) -> Result<KeepAlive, String> {
    if text == "adaptive" {
        return Ok(KeepAlive::Adaptive);
    }
    let time = super::logs::duration(text).map_err(|_| "adaptive and times such as 10m are".to_owned())?;
    // No environment becomes older: a longer time would be taken and not kept.
    if time > AGE_MAX {
        return Err(format!("at most {}h: environments end at that age", AGE_MAX.as_secs() / 3_600));
    }
    Ok(KeepAlive::For(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_a_name_or_a_time_that_environments_can_reach() {
        assert_eq!(parse("adaptive"), Ok(KeepAlive::Adaptive));
        assert_eq!(parse("10m"), Ok(KeepAlive::For(Duration::from_secs(600))));
        assert_eq!(parse("0s"), Ok(KeepAlive::For(Duration::ZERO)));
        assert_eq!(parse("6h"), Ok(KeepAlive::For(AGE_MAX)));
        for bad in ["", "7h", "1d", "ten", "10", "Adaptive", "-1m"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
