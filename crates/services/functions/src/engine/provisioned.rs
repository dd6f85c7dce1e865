//! Provisioned concurrency: who may ask for how much, and how many environments of which version that makes.
//!
//! Invariants:
//! - a version is provisioned by itself or through aliases, never both ways;
//! - what a function with a reservation provisions fits into it;
//! - nothing is provisioned for `$LATEST`.

use std::collections::BTreeMap;

use lambent_core::arn;
use lambent_core::ids::Version;
use lambent_core::time::Timestamp;
use lambent_store::functions::{AliasRecord, FunctionKey, FunctionRecord, ProvisionedRecord, State};

use super::{alias, next, snap_start, versions};
use crate::error::Error;

const LATEST: &str = "$LATEST";

/// The qualifier of a version or an alias that is there and can have provisioned concurrency.
pub fn find_qualifier<'a>(record: &FunctionRecord, qualifier: Option<&'a str>) -> Result<&'a str, Error> {
    match qualifier {
        None | Some(LATEST) => Err(Error::ProvisionedOnLatest),
        Some(qualifier) if is_number(qualifier) => {
            versions::resolve(record, Some(qualifier), || 1.0)?;
            Ok(qualifier)
        }
        Some(qualifier) => {
            alias::find(record, qualifier)?;
            Ok(qualifier)
        }
    }
}

/// GetProvisionedConcurrencyConfig.
pub fn get(record: &FunctionRecord, qualifier: &str) -> Result<ProvisionedRecord, Error> {
    record.provisioned.get(qualifier).copied().ok_or(Error::NoProvisionedConcurrency)
}

/// PutProvisionedConcurrencyConfig, as far as the function itself decides: the account's share is a
/// precondition of the store.
pub fn put(
    record: &FunctionRecord,
    qualifier: Option<&str>,
    requested: u32,
    now: Timestamp,
) -> Result<FunctionRecord, Error> {
    if matches!(qualifier, None | Some(LATEST)) {
        return Err(Error::ProvisionedUnpublished);
    }
    let qualifier = find_qualifier(record, qualifier)?;
    match record.aliases.get(qualifier) {
        Some(alias) => check_alias(record, alias)?,
        None => {
            let points_here = |a: &AliasRecord| {
                targets(a).iter().any(|(number, _)| number.to_string() == qualifier)
                    && record.provisioned.contains_key(&a.name)
            };
            if record.aliases.values().any(points_here) {
                return Err(Error::VersionOfProvisionedAlias);
            }
        }
    }
    check_state(record, qualifier)?;
    let mut changed = next(record);
    let asked = ProvisionedRecord { requested, last_modified: now };
    changed.provisioned.insert(qualifier.to_owned(), asked);
    if let Some(reserved) = changed.reserved_concurrency
        && changed.provisioned_concurrency() > u64::from(reserved)
    {
        return Err(Error::ProvisionedOverReserved);
    }
    Ok(changed)
}

/// DeleteProvisionedConcurrencyConfig. `None` when there is none: nothing is left to do.
pub fn delete(record: &FunctionRecord, qualifier: &str) -> Option<FunctionRecord> {
    record.provisioned.get(qualifier)?;
    let mut record = next(record);
    record.provisioned.remove(qualifier);
    Some(record)
}

/// Whether an alias that has provisioned concurrency may become this.
pub fn check_moved(record: &FunctionRecord, alias: &AliasRecord) -> Result<(), Error> {
    if !record.provisioned.contains_key(&alias.name) {
        return Ok(());
    }
    if alias.version == Version::Latest {
        return Err(Error::ProvisionedAlias);
    }
    check_targets(record, alias)
}

fn check_alias(record: &FunctionRecord, alias: &AliasRecord) -> Result<(), Error> {
    if alias.version == Version::Latest {
        return Err(Error::ProvisionedUnpublished);
    }
    // One that has it may be given weights, and then shares it out; one with weights is not given it.
    if alias.routing.is_some() && !record.provisioned.contains_key(&alias.name) {
        return Err(Error::ProvisionedAlias);
    }
    check_targets(record, alias)
}

fn check_targets(record: &FunctionRecord, alias: &AliasRecord) -> Result<(), Error> {
    targets(alias).iter().try_for_each(|(number, _)| snap_start::check_provisioned(record, *number))?;
    let provisioned = |number: &u64| record.provisioned.contains_key(&number.to_string());
    match targets(alias).iter().any(|(number, _)| provisioned(number)) {
        true => Err(Error::AliasOnProvisionedVersion),
        false => Ok(()),
    }
}

fn check_state(record: &FunctionRecord, qualifier: &str) -> Result<(), Error> {
    let found = versions::resolve(record, Some(qualifier), || 1.0)?;
    if let Version::Published(number) = found.version.version {
        snap_start::check_provisioned(record, number)?;
    }
    match &found.version.state {
        State::Active => Ok(()),
        State::Pending { .. } => Err(Error::NotInvocable { state: "Pending", reason: None }),
        State::Failed { reason, .. } => {
            Err(Error::NotInvocable { state: "Failed", reason: Some(reason.clone()) })
        }
    }
}

/// The published versions of an alias and the share of the calls that each gets.
pub fn targets(alias: &AliasRecord) -> Vec<(u64, f64)> {
    let Version::Published(first) = alias.version else { return Vec::new() };
    match alias.routing {
        Some((second, share)) => vec![(first, 1.0 - share), (second, share)],
        None => vec![(first, 1.0)],
    }
}

/// How many environments of each version a qualifier asks for.
pub fn shares(record: &FunctionRecord, qualifier: &str) -> Vec<(u64, u32)> {
    let Some(asked) = record.provisioned.get(qualifier) else { return Vec::new() };
    let requested = asked.requested;
    if let Ok(number) = qualifier.parse::<u64>() {
        return vec![(number, requested)];
    }
    let Some(alias) = record.aliases.get(qualifier) else { return Vec::new() };
    match targets(alias).as_slice() {
        [(only, _)] => vec![(*only, requested)],
        [(first, _), (second, share)] => {
            let part = split(requested, *share);
            vec![(*first, requested - part), (*second, part)]
        }
        _ => Vec::new(),
    }
}

/// The second version's part: its share of the whole, and at least one environment for whoever gets calls.
fn split(requested: u32, share: f64) -> u32 {
    let part = (f64::from(requested) * share).round() as u32;
    if share <= 0.0 {
        0
    } else if share >= 1.0 {
        requested
    } else {
        part.clamp(1.min(requested / 2), requested - 1.min(requested / 2))
    }
}

/// How many environments of each version all qualifiers together ask for.
pub fn wanted(record: &FunctionRecord) -> BTreeMap<u64, u32> {
    let mut wanted = BTreeMap::new();
    for qualifier in record.provisioned.keys() {
        for (number, count) in shares(record, qualifier) {
            if count > 0 && record.versions.contains_key(&number) {
                let sum: &mut u32 = wanted.entry(number).or_default();
                *sum = sum.saturating_add(count);
            }
        }
    }
    wanted
}

/// How many of the environments that stand are this qualifier's. Where several ask for the same version, the
/// first in their order are served first.
pub fn allotted(record: &FunctionRecord, qualifier: &str, ready: impl Fn(u64) -> u32) -> u32 {
    let mut own = 0u32;
    for (number, count) in shares(record, qualifier) {
        let before: u32 = record
            .provisioned
            .keys()
            .take_while(|other| other.as_str() != qualifier)
            .flat_map(|other| shares(record, other))
            .filter(|(version, _)| *version == number)
            .map(|(_, count)| count)
            .sum();
        own = own.saturating_add(ready(number).saturating_sub(before).min(count));
    }
    own
}

/// The ARN that lists show.
pub fn arn(record: &FunctionRecord, qualifier: &str) -> String {
    let FunctionKey { account, region, name } = &record.key;
    arn::function_qualified(region, account, name, qualifier)
}

fn is_number(qualifier: &str) -> bool {
    qualifier.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weighted_alias_shares_its_environments_out() {
        for (requested, share, second) in [
            (10, 0.1, 1),
            (10, 0.25, 3),
            (1, 0.5, 1),
            (1, 0.1, 0),
            (2, 0.01, 1),
            (2, 0.99, 1),
            (5, 0.0, 0),
            (5, 1.0, 5),
        ] {
            assert_eq!(split(requested, share), second, "{requested} {share}");
        }
    }
}
