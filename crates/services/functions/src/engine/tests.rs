//! What holds for every record, whatever is done to it in whatever order.

use std::collections::BTreeMap;

use lambent_core::ids::{AccountId, CodeDigest, FunctionName, Region, RevisionId, Version};
use lambent_core::ports::Availability;
use lambent_core::time::Timestamp;
use lambent_store::functions::{FunctionKey, FunctionRecord, StatementRecord, VersionRecord};
use proptest::prelude::*;

use super::configuration::Configuration;
use super::function::{Create, Package, UpdateCode};
use super::{Stamp, alias, concurrency, function, policy, settle, tags, versions};
use crate::error::Error;

#[derive(Debug, Clone)]
enum Step {
    Configure { timeout_secs: u32, stale: bool },
    UpdateCode { content: u8, publish: bool },
    Publish { description: bool },
    DeleteVersion { number: u64 },
    PutAlias { name: u8, version: u64, second: Option<(u64, f64)> },
    DeleteAlias { name: u8 },
    AddPermission { qualifier: Option<u64>, id: u8 },
    RemovePermission { qualifier: Option<u64>, id: u8 },
    Tag { key: u8 },
    Reserve { count: Option<u32> },
    Settle { present: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let number = 1u64..6;
    let second = proptest::option::of((1u64..6, 0.0f64..1.0));
    prop_oneof![
        3 => (1u32..4, proptest::bool::weighted(0.1))
            .prop_map(|(timeout_secs, stale)| Step::Configure { timeout_secs, stale }),
        3 => (0u8..3, any::<bool>()).prop_map(|(content, publish)| Step::UpdateCode { content, publish }),
        3 => any::<bool>().prop_map(|description| Step::Publish { description }),
        2 => number.clone().prop_map(|number| Step::DeleteVersion { number }),
        3 => (0u8..3, 0u64..6, second)
            .prop_map(|(name, version, second)| Step::PutAlias { name, version, second }),
        1 => (0u8..3).prop_map(|name| Step::DeleteAlias { name }),
        2 => (proptest::option::of(number.clone()), 0u8..3)
            .prop_map(|(qualifier, id)| Step::AddPermission { qualifier, id }),
        1 => (proptest::option::of(number), 0u8..3)
            .prop_map(|(qualifier, id)| Step::RemovePermission { qualifier, id }),
        1 => (0u8..3).prop_map(|key| Step::Tag { key }),
        1 => proptest::option::of(0u32..9).prop_map(|count| Step::Reserve { count }),
        5 => proptest::bool::weighted(0.8).prop_map(|present| Step::Settle { present }),
    ]
}

fn revision(number: u64) -> RevisionId {
    RevisionId::new(format!("{number:08x}-0000-4000-8000-000000000000")).unwrap()
}

fn stamp(at: u64) -> Stamp {
    Stamp {
        now: Timestamp::from_millis(at),
        revision: revision(at * 2),
        published_revision: revision(at * 2 + 1),
    }
}

fn package(content: u8) -> Package {
    let digest = CodeDigest::new(format!("{content:02x}").repeat(32)).unwrap();
    Package { digest, zipped_bytes: 10, unzipped_bytes: 20 }
}

fn new_record() -> FunctionRecord {
    let create = Create {
        key: FunctionKey {
            account: AccountId::new("000000000000").unwrap(),
            region: Region::new("eu-west-1").unwrap(),
            name: FunctionName::new("f").unwrap(),
        },
        configuration: Configuration {
            runtime: Some("python3.12".into()),
            handler: Some("a.b".into()),
            role: Some("arn:aws:iam::000000000000:role/r".into()),
            ..Configuration::default()
        },
        package: package(0),
        architecture: "x86_64".into(),
        tags: BTreeMap::new(),
        publish: false,
        first_version: 1,
    };
    function::create(&create, &stamp(1)).unwrap().0
}

fn statement(id: u8) -> StatementRecord {
    StatementRecord {
        id: format!("s{id}"),
        action: "lambda:InvokeFunction".into(),
        principal: "*".into(),
        source_arn: None,
        source_account: None,
        event_source_token: None,
        principal_org_id: None,
        function_url_auth_type: None,
        invoked_via_function_url: None,
    }
}

fn version_text(number: u64) -> String {
    if number == 0 { "$LATEST".into() } else { number.to_string() }
}

/// The record after the step; `None` when it changed nothing.
fn take(record: &FunctionRecord, step: &Step, at: u64) -> Result<Option<FunctionRecord>, Error> {
    let stamp = stamp(at);
    match step {
        Step::Configure { timeout_secs, stale } => {
            let change = Configuration { timeout_secs: Some(*timeout_secs), ..Configuration::default() };
            let expected = stale.then_some("stale");
            function::update_configuration(record, &change, expected, &stamp).map(Some)
        }
        Step::UpdateCode { content, publish } => {
            let update = UpdateCode {
                package: package(*content),
                architecture: None,
                publish: *publish,
                revision: None,
            };
            function::update_code(record, &update, &stamp).map(|(record, _)| Some(record))
        }
        Step::Publish { description } => {
            let request = versions::Publish {
                description: description.then(|| "described".to_owned()),
                ..versions::Publish::default()
            };
            versions::publish(record, &request, "", &stamp).map(|(record, _)| record)
        }
        Step::DeleteVersion { number } => versions::delete(record, &number.to_string()),
        Step::PutAlias { name, version, second } => {
            let weights = second.iter().map(|(n, share)| (n.to_string(), *share)).collect();
            put_alias(record, format!("a{name}"), version_text(*version), weights, stamp.revision)
        }
        Step::DeleteAlias { name } => Ok(alias::delete(record, &format!("a{name}"))),
        Step::AddPermission { qualifier, id } => {
            let qualifier = qualifier.map(|n| n.to_string());
            policy::add(record, qualifier.as_deref(), statement(*id), None, stamp.revision).map(Some)
        }
        Step::RemovePermission { qualifier, id } => {
            let qualifier = qualifier.map(|n| n.to_string());
            let id = format!("s{id}");
            policy::remove(record, qualifier.as_deref(), &id, None, stamp.revision).map(Some)
        }
        Step::Tag { key } => {
            tags::add(record, &BTreeMap::from([(format!("k{key}"), at.to_string())])).map(Some)
        }
        Step::Reserve { count } => Ok(Some(match count {
            Some(count) => concurrency::reserve(record, *count)?,
            None => concurrency::release(record),
        })),
        Step::Settle { present } => {
            let missing = Availability::Missing { reason: "not here".into() };
            let availability = if *present { Availability::Present } else { missing };
            Ok(settle::settle(record, &|_| availability.clone()))
        }
    }
}

fn put_alias(
    record: &FunctionRecord,
    name: String,
    version: String,
    weights: alias::Weights,
    revision: RevisionId,
) -> Result<Option<FunctionRecord>, Error> {
    let changed = if record.aliases.contains_key(&name) {
        let update = alias::Update {
            name,
            version: Some(version),
            description: None,
            weights: Some(weights),
            revision: None,
        };
        alias::update(record, &update, revision)?
    } else {
        alias::create(
            record,
            &alias::Create { name, version, description: String::new(), weights },
            revision,
        )?
    };
    Ok(Some(changed.0))
}

fn stateless(version: &VersionRecord) -> VersionRecord {
    VersionRecord {
        state: lambent_store::functions::State::Active,
        last_update: lambent_store::functions::LastUpdate::Successful,
        ..version.clone()
    }
}

fn hold_invariants(before: &FunctionRecord, after: &FunctionRecord) {
    assert_eq!(after.generation, before.generation + 1);
    assert!(after.next_version >= before.next_version);
    assert!(after.versions.keys().all(|number| *number < after.next_version));
    for (number, version) in &after.versions {
        assert_eq!(version.version, Version::Published(*number));
        match before.versions.get(number) {
            Some(old) => assert_eq!(stateless(old), stateless(version), "a published version changed"),
            None => assert!(*number >= before.next_version, "a number was used twice"),
        }
    }
    for alias in after.aliases.values() {
        assert!(versions::find(after, alias.version).is_some(), "an alias points nowhere");
        if let Some((second, share)) = alias.routing {
            assert!(after.versions.contains_key(&second), "an alias points nowhere");
            assert!((0.0..=1.0).contains(&share) && alias.version != Version::Published(second));
        }
    }
    for qualifier in after.policies.keys().filter(|q| !q.is_empty()) {
        assert!(versions::resolve(after, Some(qualifier), || 1.0).is_ok(), "a policy of nothing");
    }
    if stateless(&before.latest) != stateless(&after.latest) {
        assert_ne!(before.latest.revision, after.latest.revision, "a change without a new revision");
    }
}

proptest! {
    #[test]
    fn every_change_keeps_the_record_whole(steps in proptest::collection::vec(step(), 0..60)) {
        let mut record = new_record();
        for (at, step) in (2u64..).zip(&steps) {
            if let Ok(Some(changed)) = take(&record, step, at) {
                hold_invariants(&record, &changed);
                record = changed;
            }
        }
        // Whatever was done, the worker brings it to rest in one step, and then has nothing to do.
        let settled = settle::settle(&record, &|_| Availability::Present).unwrap_or(record);
        prop_assert!(settle::is_settled(&settled));
        prop_assert_eq!(settle::settle(&settled, &|_| Availability::Present), None);
    }

    #[test]
    fn only_states_and_generations_make_no_difference(steps in proptest::collection::vec(step(), 0..20)) {
        let mut record = new_record();
        for (at, step) in (2u64..).zip(&steps) {
            let Ok(Some(changed)) = take(&record, step, at) else { continue };
            let is_settling = matches!(step, Step::Settle { .. });
            prop_assert_eq!(function::same_but_for_state(&record, &changed) , is_settling || unchanged(&record, &changed));
            record = changed;
        }
    }
}

/// A reservation may be set to what it was.
fn unchanged(before: &FunctionRecord, after: &FunctionRecord) -> bool {
    FunctionRecord { generation: before.generation, ..after.clone() } == *before
}

#[test]
fn a_draw_below_the_share_goes_to_the_second_version() {
    let mut record = new_record();
    for (at, content) in [(2, 1), (4, 2)] {
        record = settle::settle(&record, &|_| Availability::Present).unwrap();
        record = take(&record, &Step::UpdateCode { content, publish: true }, at).unwrap().unwrap();
    }
    let put = Step::PutAlias { name: 0, version: 1, second: Some((2, 0.25)) };
    let record = take(&record, &put, 6).unwrap().unwrap();
    for (draw, wanted) in [(0.0, 2), (0.2499, 2), (0.25, 1), (0.99, 1)] {
        let found = versions::resolve(&record, Some("a0"), || draw).unwrap();
        assert_eq!(found.version.version, Version::Published(wanted), "{draw}");
    }
}

#[test]
fn an_update_on_an_update_in_progress_is_refused() {
    let record = settle::settle(&new_record(), &|_| Availability::Present).unwrap();
    let step = Step::Configure { timeout_secs: 2, stale: false };
    let updating = take(&record, &step, 2).unwrap().unwrap();
    assert!(matches!(take(&updating, &step, 3), Err(Error::UpdateInProgress { .. })));
    assert!(matches!(take(&new_record(), &step, 3), Err(Error::NotInvocable { state: "Pending", .. })));
}
