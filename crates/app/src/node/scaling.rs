//! Tells how many environments a version has, each time that it is another number than was told.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambent_core::ids::{AccountId, Region, Version};
use lambent_core::limits::SCALING_PERIOD;
use lambent_core::ports::{Capacity, CapacityUse, Change, ChangeKind, Changes, Clock};
use serde_json::json;

pub struct Scaling {
    pub capacity: Arc<dyn Capacity>,
    pub changes: Arc<dyn Changes>,
    pub clock: Arc<dyn Clock>,
}

impl Scaling {
    /// Looks once in the period by which growth is limited: a burst and its end within it are no news. Until the node
    /// stops.
    pub async fn run(self) {
        let mut told = Environments::default();
        let mut awake = self.clock.awake();
        loop {
            let usage = self.capacity.usage();
            for scaled in told.follow(&usage) {
                self.changes.tell(scaled.change()).await;
            }
            let nap = self.clock.sleep_until(self.clock.now().plus(SCALING_PERIOD));
            drop(awake);
            awake = nap.await;
        }
    }
}

/// What was told last of each version that has environments.
#[derive(Default)]
struct Environments(BTreeMap<(String, Version), Known>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    account: AccountId,
    region: Region,
    name: String,
    count: u32,
}

#[derive(Debug, PartialEq, Eq)]
struct Scaled {
    function_arn: String,
    version: Version,
    before: u32,
    now: Known,
}

impl Environments {
    /// What is another number now.
    fn follow(&mut self, usage: &CapacityUse) -> Vec<Scaled> {
        let mut found = BTreeMap::new();
        for function in &usage.functions {
            for (version, count) in &function.environments {
                let known = Known {
                    account: function.account.clone(),
                    region: function.region.clone(),
                    name: function.name.clone(),
                    count: *count,
                };
                found.insert((function.arn.clone(), *version), known);
            }
        }
        let mut scaled = Vec::new();
        for ((function_arn, version), now) in &found {
            let before = self.0.remove(&(function_arn.clone(), *version)).map_or(0, |known| known.count);
            if before != now.count {
                scaled.push(Scaled {
                    function_arn: function_arn.clone(),
                    version: *version,
                    before,
                    now: now.clone(),
                });
            }
        }
        for ((function_arn, version), known) in std::mem::replace(&mut self.0, found) {
            let before = known.count;
            scaled.push(Scaled { function_arn, version, before, now: Known { count: 0, ..known } });
        }
        scaled
    }
}

impl Scaled {
    fn change(self) -> Change {
        let Self { function_arn, version, before, now } = self;
        let detail = json!({
            "functionName": now.name, "functionArn": function_arn, "version": version.to_string(),
            "environments": now.count, "environmentsBefore": before,
        });
        Change {
            account: now.account,
            region: now.region,
            kind: ChangeKind::FunctionScaled,
            resource: function_arn,
            detail: detail.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambent_core::ports::FunctionUse;

    fn usage(functions: &[(&str, &[(Version, u32)])]) -> CapacityUse {
        let function = |(name, environments): &(&str, &[(Version, u32)])| FunctionUse {
            arn: format!("arn:aws:lambda:us-east-1:000000000000:function:{name}"),
            account: AccountId::new("000000000000").unwrap(),
            region: Region::new("us-east-1").unwrap(),
            name: (*name).to_owned(),
            in_use: 0,
            in_use_unreserved: 0,
            reserved: None,
            provisioned: Vec::new(),
            environments: environments.iter().copied().collect(),
            throttled: None,
        };
        CapacityUse { functions: functions.iter().map(function).collect() }
    }

    #[test]
    fn a_number_is_told_once_and_so_is_that_there_is_none() {
        let mut told = Environments::default();
        let mut follow = |functions: &[(&str, &[(Version, u32)])]| -> Vec<String> {
            let scaled = told.follow(&usage(functions));
            let text = |s: &Scaled| format!("{}:{} {}>{}", s.now.name, s.version, s.before, s.now.count);
            scaled.iter().map(text).collect()
        };
        let (latest, one) = (Version::Latest, Version::Published(1));
        assert_eq!(follow(&[("f", &[])]), [""; 0]);
        assert_eq!(follow(&[("f", &[(latest, 2), (one, 1)]), ("g", &[(latest, 1)])]).len(), 3);
        assert_eq!(follow(&[("f", &[(latest, 2), (one, 1)]), ("g", &[(latest, 1)])]), [""; 0]);
        assert_eq!(
            follow(&[("f", &[(latest, 5), (one, 1)]), ("g", &[])]),
            ["f:$LATEST 2>5", "g:$LATEST 1>0"]
        );
        assert_eq!(follow(&[]), ["f:$LATEST 5>0", "f:1 1>0"]);
        assert_eq!(follow(&[]), [""; 0]);
    }
}
