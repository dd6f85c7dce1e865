//! Any sequence of batches has the same answers and leaves the same state as in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambent_core::ids::Version;
use lambent_store::functions::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::Subject;
use super::samples::*;
use crate::block_on;

/// One batch, or a restart of the store between two.
#[derive(Debug, Clone)]
enum Step {
    Batch(Vec<Intent>),
    Reopen,
}

/// What a writer sets out to do. It becomes a command against the state at that time, so that most of them
/// apply; `skew` makes some of them stale.
#[derive(Debug, Clone)]
enum Intent {
    Function { at: usize, change: Change, skew: u8 },
    Delete { at: usize, skew: u8 },
    Layer { at: usize, code: u64, drop_first: bool, skew: u8 },
    Require { at: usize, max: u64 },
}

#[derive(Debug, Clone)]
enum Change {
    Code(u64),
    Publish,
    Unpublish,
    LowerNumbers,
    Reserve(Option<u32>),
    AllowRecursion,
    Provision(String, Option<u32>),
    EventInvoke(String, Option<u32>),
    Alias(String),
    Policy(String),
    Url(String),
    Tag(String, String),
    Pending(bool),
    LayerUse(u64),
    PublishedState(bool),
}

const PLACES: usize = 8;
const DIGESTS: u64 = 5;

/// Two accounts, two regions, two names.
fn place(at: usize) -> FunctionKey {
    let name = if at & 4 == 0 { "f" } else { "g" };
    FunctionKey {
        account: account(at as u64 & 1),
        region: region(at as u64 >> 1 & 1),
        name: function_key(name).name,
    }
}

fn layer_place(at: usize) -> LayerKey {
    let key = place(at);
    LayerKey { account: key.account, region: key.region, name: key.name.to_string() }
}

fn intents() -> impl Strategy<Value = Intent> {
    let skew = || prop_oneof![9 => Just(0u8), 1 => 1..4u8];
    let at = || 0..PLACES;
    let change = prop_oneof![
        3 => (0..DIGESTS).prop_map(Change::Code),
        4 => Just(Change::Publish),
        2 => Just(Change::Unpublish),
        1 => Just(Change::LowerNumbers),
        2 => proptest::option::of(0..600u32).prop_map(Change::Reserve),
        1 => Just(Change::AllowRecursion),
        2 => ("[a-c]", proptest::option::of(1..600u32)).prop_map(|(q, n)| Change::Provision(q, n)),
        2 => ("[a-c]", proptest::option::of(0..3u32)).prop_map(|(q, n)| Change::EventInvoke(q, n)),
        2 => "[a-c]".prop_map(Change::Alias),
        2 => "[a-c]?".prop_map(Change::Policy),
        2 => "[a-c]?".prop_map(Change::Url),
        1 => ("[a-c]", "\\PC{0,4}").prop_map(|(k, v)| Change::Tag(k, v)),
        2 => any::<bool>().prop_map(Change::Pending),
        1 => (0..DIGESTS).prop_map(Change::LayerUse),
        1 => any::<bool>().prop_map(Change::PublishedState),
    ];
    prop_oneof![
        6 => (at(), change, skew()).prop_map(|(at, change, skew)| Intent::Function { at, change, skew }),
        1 => (at(), skew()).prop_map(|(at, skew)| Intent::Delete { at, skew }),
        2 => (at(), 0..DIGESTS, any::<bool>(), skew())
            .prop_map(|(at, code, drop_first, skew)| Intent::Layer { at, code, drop_first, skew }),
        1 => (at(), 0..1500u64).prop_map(|(at, max)| Intent::Require { at, max }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => proptest::collection::vec(intents(), 1..5).prop_map(Step::Batch),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..40)
}

/// The batch's view of the records: the model's, under what the batch has done so far.
struct Draft<'a> {
    model: &'a MemoryFunctions,
    functions: BTreeMap<FunctionKey, Option<Arc<FunctionRecord>>>,
    layers: BTreeMap<LayerKey, Arc<LayerRecord>>,
}

impl Draft<'_> {
    fn command(&mut self, intent: &Intent) -> Command {
        match intent {
            Intent::Function { at, change, skew } => self.put_function(place(*at), change, *skew),
            Intent::Delete { at, skew } => {
                let key = place(*at);
                let generation = self.function(&key).map_or(0, |record| record.generation);
                self.functions.insert(key.clone(), None);
                Command::DeleteFunction { key, expected: generation + u64::from(*skew) }
            }
            Intent::Layer { at, code, drop_first, skew } => {
                self.put_layer(layer_place(*at), *code, *drop_first, *skew)
            }
            Intent::Require { at, max } => {
                let key = place(*at);
                Command::RequireClaimedAtMost { account: key.account, region: key.region, max: *max }
            }
        }
    }

    fn function(&self, key: &FunctionKey) -> Option<Arc<FunctionRecord>> {
        self.functions.get(key).cloned().unwrap_or_else(|| self.model.function(key))
    }

    fn put_function(&mut self, key: FunctionKey, change: &Change, skew: u8) -> Command {
        let mut record = match self.function(&key) {
            Some(current) => FunctionRecord { generation: current.generation + 1, ..(*current).clone() },
            None => {
                FunctionRecord { next_version: self.model.next_version(&key), ..function(key.clone(), 1) }
            }
        };
        let expected = (record.generation - 1).wrapping_add(skew.into());
        // A skew of 3 also breaks the record's own generation, the others only what is expected.
        record.generation = record.generation.wrapping_add(if skew == 3 { 1 } else { skew.into() });
        change.make(&mut record);
        let record = Arc::new(record);
        self.functions.insert(key, Some(Arc::clone(&record)));
        Command::PutFunction { record, expected }
    }

    fn put_layer(&mut self, key: LayerKey, code: u64, drop_first: bool, skew: u8) -> Command {
        let current = self.layers.get(&key).cloned().or_else(|| self.model.layer(&key));
        let mut record = match current {
            Some(current) => LayerRecord { generation: current.generation + 1, ..(*current).clone() },
            None => layer(key.clone()),
        };
        let expected = (record.generation - 1) + u64::from(skew);
        if drop_first {
            record.versions.pop_first();
        } else {
            let number = record.next_version;
            record.versions.insert(number, Arc::new(layer_version(number, code)));
            record.next_version += 1;
        }
        let record = Arc::new(record);
        self.layers.insert(key, Arc::clone(&record));
        Command::PutLayer { record, expected }
    }
}

impl Change {
    fn make(&self, record: &mut FunctionRecord) {
        let latest = |record: &mut FunctionRecord, edit: &dyn Fn(&mut VersionRecord)| {
            edit(Arc::make_mut(&mut record.latest));
        };
        match self {
            Self::Code(code) => record.latest = Arc::new(version(Version::Latest, *code)),
            Self::Publish => *record = published(record.clone()),
            Self::Unpublish => {
                record.versions.pop_first();
            }
            Self::LowerNumbers => record.next_version = record.next_version.saturating_sub(1),
            Self::Reserve(reserved) => record.reserved_concurrency = *reserved,
            Self::AllowRecursion => record.recursive_loop = RecursiveLoop::Allow,
            Self::Provision(qualifier, Some(requested)) => {
                record.provisioned.insert(qualifier.clone(), provisioned(*requested));
            }
            Self::Provision(qualifier, None) => {
                record.provisioned.remove(qualifier);
            }
            Self::EventInvoke(qualifier, Some(retries)) => {
                record.event_invokes.insert(qualifier.clone(), event_invoke(*retries));
            }
            Self::EventInvoke(qualifier, None) => {
                record.event_invokes.remove(qualifier);
            }
            Self::Alias(name) => match record.aliases.remove(name) {
                Some(_) => {}
                None => drop(record.aliases.insert(name.clone(), alias(name, record.next_version))),
            },
            Self::Policy(qualifier) => match record.policies.remove(qualifier) {
                Some(_) => {}
                None => drop(record.policies.insert(qualifier.clone(), policy("s"))),
            },
            Self::Url(qualifier) => match record.urls.remove(qualifier) {
                Some(_) => {}
                None => drop(record.urls.insert(qualifier.clone(), url(&url_id(&record.key, qualifier)))),
            },
            Self::Tag(key, value) => drop(record.tags.insert(key.clone(), value.clone())),
            Self::Pending(on) => latest(record, &|v| v.state = state(*on)),
            Self::LayerUse(code) => latest(record, &|v| {
                v.layers = vec![LayerUse {
                    arn: format!("arn:{code}"),
                    digest: digest(*code),
                    zipped_bytes: 1,
                    unzipped_bytes: 2,
                }];
            }),
            Self::PublishedState(on) => {
                if let Some(mut entry) = record.versions.last_entry() {
                    Arc::make_mut(entry.get_mut()).state = state(*on);
                }
            }
        }
    }
}

/// An id that no other function has.
fn url_id(key: &FunctionKey, qualifier: &str) -> String {
    format!("{}-{}-{}-{qualifier}", key.account, key.region, key.name)
}

fn state(pending: bool) -> State {
    match pending {
        true => State::Pending { reason: "The function is being created.".into(), code: "Creating".into() },
        false => State::Active,
    }
}

/// Runs `cases` random sequences against the subject and the specification, and compares every answer, and
/// everything that can be read after each step.
pub fn agrees_with_memory<S: Subject>(cases: u32) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        let model = MemoryFunctions::default();
        let mut subject = S::fresh();
        for step in steps {
            match step {
                Step::Reopen => subject = subject.reopened(),
                Step::Batch(intents) => {
                    let mut draft =
                        Draft { model: &model, functions: BTreeMap::new(), layers: BTreeMap::new() };
                    let batch: Vec<_> = intents.iter().map(|intent| draft.command(intent)).collect();
                    let told = block_on(subject.store().apply(batch.clone()));
                    prop_assert_eq!(told, block_on(model.apply(batch)));
                }
            }
            same_state(subject.store(), &model)?;
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

fn same_state(store: &dyn FunctionStore, model: &MemoryFunctions) -> Result<(), TestCaseError> {
    for at in 0..PLACES {
        let key = place(at);
        let (account, region) = (&key.account, &key.region);
        prop_assert_eq!(store.function(&key), model.function(&key));
        prop_assert_eq!(store.next_version(&key), model.next_version(&key));
        for qualifier in ["", "a", "b", "c"] {
            let id = url_id(&key, qualifier);
            prop_assert_eq!(store.function_by_url(&id), model.function_by_url(&id));
        }
        prop_assert_eq!(store.layer(&layer_place(at)), model.layer(&layer_place(at)));
        prop_assert_eq!(
            store.claimed_concurrency(account, region),
            model.claimed_concurrency(account, region)
        );
        prop_assert_eq!(store.usage(account, region), model.usage(account, region));
        for after in [None, Some(&key.name)] {
            prop_assert_eq!(
                store.list_functions(account, region, after, 2),
                model.list_functions(account, region, after, 2)
            );
            let after = after.map(|name| name.as_str());
            prop_assert_eq!(
                store.list_layers(account, region, after, 2),
                model.list_layers(account, region, after, 2)
            );
        }
    }
    prop_assert_eq!(store.unsettled_functions(), model.unsettled_functions());
    prop_assert_eq!(store.provisioned_functions(), model.provisioned_functions());
    for code in 0..DIGESTS {
        prop_assert_eq!(store.is_referenced(&digest(code)), model.is_referenced(&digest(code)));
    }
    Ok(())
}
