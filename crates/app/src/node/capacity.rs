//! Who uses the capacity: what `/_lambent/metrics` and `/_lambent/top` answer.
//!
//! Both put together what three neighbours know: the plan (what is in use), the registry (what happened) and the
//! store (what is configured).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use lambent_core::ids::{AccountId, FunctionName, Region};
use lambent_core::ports::{Capacity, Clock, FunctionUse, Throttling};
use lambent_observe::metrics::{LastHour, Place, Registry, text};
use lambent_observe::traces::Traces;
use lambent_store::functions::{FunctionKey, FunctionStore};
use serde_json::{Value, json};

pub struct CapacityReport {
    pub capacity: Arc<dyn Capacity>,
    pub registry: Arc<Registry>,
    pub traces: Arc<Traces>,
    /// Of those for a collector.
    pub spans: Option<Arc<lambent_observe::otlp::Counts>>,
    pub store: Arc<dyn FunctionStore>,
    pub clock: Arc<dyn Clock>,
    pub account_concurrency: u32,
}

/// What is known of one function.
#[derive(Default)]
struct Row {
    used: Option<FunctionUse>,
    hour: LastHour,
}

impl CapacityReport {
    /// Everything of every account, as Prometheus reads it.
    pub fn metrics(&self) -> String {
        let (used, sums) = (self.capacity.usage(), self.registry.sums());
        let places: BTreeSet<(AccountId, Region)> = used
            .functions
            .iter()
            .map(|f| (f.account.clone(), f.region.clone()))
            .chain(sums.iter().map(|(counted, _)| (counted.account.clone(), counted.region.clone())))
            .collect();
        let claimed = |(account, region): (AccountId, Region)| {
            let claimed = self.store.claimed_concurrency(&account, &region);
            Place { account, region, claimed }
        };
        let places: Vec<Place> = places.into_iter().map(claimed).collect();
        text(
            &sums,
            &used,
            &places,
            self.traces.left_out(),
            self.spans.as_deref(),
            &self.registry.mappings(),
            &self.registry.events(),
        )
    }

    /// The functions of an account in a region that use capacity or did within the last hour, the greatest users
    /// first.
    pub fn top(&self, account: &AccountId, region: &Region) -> Value {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for (name, hour) in self.registry.last_hour(account, region) {
            rows.entry(name.to_string()).or_default().hour = hour;
        }
        let used = self.capacity.usage().functions.into_iter();
        for function in used.filter(|f| f.account == *account && f.region == *region) {
            let row = rows.entry(function.name.clone()).or_default();
            row.used = Some(function);
        }
        let in_use = |row: &Row| row.used.as_ref().map_or(0, |used| used.in_use);
        let unreserved: u32 =
            rows.values().filter_map(|row| Some(row.used.as_ref()?.in_use_unreserved)).sum();
        let mut rows: Vec<(String, Row)> = rows.into_iter().collect();
        rows.sort_by_key(|(_, row)| std::cmp::Reverse((in_use(row), row.hour.calls)));
        let functions: Vec<Value> =
            rows.iter().map(|(name, row)| self.function(account, region, name, row)).collect();
        let claimed = self.store.claimed_concurrency(account, region);
        json!({
            "account": account.as_str(),
            "region": region.as_str(),
            "time": self.clock.now().to_string(),
            "limit": self.account_concurrency,
            "claimed": claimed,
            "unreserved": {
                "limit": u64::from(self.account_concurrency).saturating_sub(claimed), "inUse": unreserved,
            },
            "functions": functions,
        })
    }

    fn function(&self, account: &AccountId, region: &Region, name: &str, row: &Row) -> Value {
        let key = FunctionName::new(name).map(|name| FunctionKey {
            account: account.clone(),
            region: region.clone(),
            name,
        });
        let record = key.ok().and_then(|key| self.store.function(&key));
        let sum = |pick: fn(&(lambent_core::Version, u32, u32, u32)) -> u32| -> u32 {
            row.used.iter().flat_map(|used| &used.provisioned).map(pick).sum()
        };
        let requested = record.as_ref().map_or(0, |record| record.provisioned_concurrency());
        let provisioned = (requested > 0)
            .then(|| json!({ "requested": requested, "ready": sum(|p| p.2), "inUse": sum(|p| p.3) }));
        json!({
            "function": name,
            "inUse": row.used.as_ref().map_or(0, |used| used.in_use),
            "environments": row.used.as_ref().map_or(0, |used| used.environments.values().sum::<u32>()),
            "reserved": record.as_ref().and_then(|record| record.reserved_concurrency),
            "provisioned": provisioned,
            "lastHour": last_hour(&row.hour),
            "isOftenCold": row.hour.is_often_cold(),
            "throttled": row.used.as_ref().and_then(|used| used.throttled.as_ref()).map(throttled),
        })
    }
}

/// The last hour of a function.
pub fn last_hour(hour: &LastHour) -> Value {
    let reasons: serde_json::Map<String, Value> =
        hour.cold_reasons().into_iter().map(|(why, count)| (why.as_str().to_owned(), count.into())).collect();
    json!({
        "calls": hour.calls,
        "cold": hour.cold,
        "coldShare": hour.cold_share(),
        "coldReasons": reasons,
        "throttles": hour.throttles,
    })
}

fn throttled(last: &Throttling) -> Value {
    let held_by: Vec<Value> =
        last.held_by.iter().map(|held| json!({ "function": held.function, "inUse": held.in_use })).collect();
    json!({ "at": last.at.to_string(), "reason": last.reason.as_str(), "heldBy": held_by })
}

/// Whether a request without a signature comes from this machine and from nobody behind it: over loopback, to a
/// name of loopback (a page in a browser that was sent here under another name has that name in its Host), and
/// through no proxy that says that it is one.
pub fn is_local(from: IpAddr, parts: &Parts) -> bool {
    let is_forwarded =
        ["forwarded", "x-forwarded-for", "via"].iter().any(|name| parts.headers.contains_key(*name));
    let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    from.is_loopback() && !is_forwarded && is_loopback_name(host)
}

fn is_loopback_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(from: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = http::Request::builder().uri("/_lambent/metrics");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_local(from.parse().unwrap(), &request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn only_this_machine_itself_is_local() {
        for host in ["localhost", "LOCALHOST:4566", "127.0.0.1:4566", "[::1]:4566", "127.8.9.1"] {
            assert!(local("127.0.0.1", &[("host", host)]), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1:4566", "", "a b"] {
            assert!(!local("127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(!local("10.0.0.7", &[("host", "localhost")]));
        assert!(!local("::1", &[("host", "localhost"), ("x-forwarded-for", "10.0.0.7")]));
        assert!(!local("::1", &[]));
    }
}
