//! Environments ahead of their calls: provisioned concurrency, and the warming of what is about to get calls.
//!
//! Nothing here may fail an update: what is not warm in time is started by its first call.

use std::sync::Arc;
use std::time::Duration;

use lambent_core::arn;
use lambent_core::function::FunctionSpec;
use lambent_core::ids::Version;
use lambent_core::limits::INIT_TIMEOUT;
use lambent_store::functions::{AliasRecord, FunctionKey, FunctionRecord};

use crate::Functions;
use crate::api::target::Target;
use crate::engine::{provisioned, versions};
use crate::error::Error;

/// Ours: how long UpdateAlias waits for the environments that its version will need. The longest init.
const ALIAS_WAIT_MAX: Duration = INIT_TIMEOUT;

/// Ours: how long an update of `$LATEST` waits for those of its new state. Shorter: who edits wants to see the error
/// of an init that hangs, and the first call shows it.
const LATEST_WAIT_MAX: Duration = Duration::from_secs(3);

type Wanted = Vec<(Arc<FunctionSpec>, u32)>;

impl Functions {
    /// Has all provisioned concurrency made that the store remembers. For a node that has just started.
    pub fn provision_all(&self) {
        for key in self.deps.store.provisioned_functions() {
            self.provision(&key);
        }
    }

    /// Has the provisioned concurrency made that the function's record asks for.
    pub(crate) fn provision(&self, key: &FunctionKey) {
        // The record is read under the lock, so that of two changes the later one is what stands.
        let _turn = self.provisioning.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let wanted = self.deps.store.function(key).map(|record| self.wanted(&record)).unwrap_or_default();
        self.deps.capacity.provision(&arn::function(&key.region, &key.account, &key.name), wanted);
    }

    fn wanted(&self, record: &FunctionRecord) -> Wanted {
        let wanted = provisioned::wanted(record).into_iter();
        wanted
            .filter_map(|(number, count)| Some((self.spec_of(record, Version::Published(number))?, count)))
            .collect()
    }

    fn spec_of(&self, record: &FunctionRecord, version: Version) -> Option<Arc<FunctionSpec>> {
        let version = versions::find(record, version)?;
        self.specs.of(record, &version).ok()
    }

    /// Makes ready for an alias that is about to become another: as many environments of each version that gets
    /// more calls as the versions behind the alias were busy with lately, its share of them.
    pub(crate) async fn warm_alias(&self, before: &FunctionRecord, after: &FunctionRecord, name: &str) {
        let (Some(old), Some(new)) = (before.aliases.get(name), after.aliases.get(name)) else { return };
        if (old.version, old.routing) == (new.version, new.routing) {
            return;
        }
        if before.provisioned.contains_key(name) {
            return self.provision_ahead(before, after).await;
        }
        let recent: u32 = targets(old)
            .into_iter()
            .filter_map(|(version, _)| self.spec_of(before, version))
            .map(|spec| self.deps.capacity.recent(&spec))
            .sum();
        let rising = targets(new).into_iter().filter(|(version, share)| {
            let had = targets(old).into_iter().find(|(v, _)| v == version).map_or(0.0, |(_, share)| share);
            *share > had
        });
        let warming = rising.filter_map(|(version, share)| {
            let count = (f64::from(recent) * share).ceil() as u32;
            let spec = self.spec_of(after, version)?;
            (count > 0).then(|| self.deps.capacity.warm(spec, count, ALIAS_WAIT_MAX))
        });
        futures_util::future::join_all(warming).await;
    }

    /// Both what is provisioned now and what will be, until the change is made.
    async fn provision_ahead(&self, before: &FunctionRecord, after: &FunctionRecord) {
        let coming = self.wanted(after);
        let mut both = coming.clone();
        for (spec, count) in self.wanted(before) {
            match both.iter_mut().find(|(other, _)| other.version == spec.version) {
                Some((_, other)) => *other = count.max(*other),
                None => both.push((spec, count)),
            }
        }
        let FunctionKey { account, region, name } = &before.key;
        self.deps.capacity.provision(&arn::function(region, account, name), both);
        self.deps.capacity.provision_settled(&coming, ALIAS_WAIT_MAX).await;
    }

    /// Changes `$LATEST`: as many environments as it was busy with lately are made from what it becomes, before
    /// it does; the older ones end when it has.
    pub(crate) async fn change_latest<T>(
        &self,
        target: &Target,
        decide: impl Fn(&FunctionRecord) -> Result<(FunctionRecord, T), Error>,
    ) -> Result<T, Error> {
        self.settle_function(&target.key).await;
        let before = self.record(target)?;
        let (after, _) = decide(&before)?;
        self.warm_latest(&before, &after).await;
        let outcome = self
            .change(target, |record| decide(record).map(|(changed, answer)| (Some(changed), answer)))
            .await;
        if let Ok(current) = self.record(target) {
            // Whether the change was made or not: what was made ready for another revision goes.
            self.retire_older(&current);
        }
        outcome
    }

    async fn warm_latest(&self, before: &FunctionRecord, after: &FunctionRecord) {
        let Ok(old) = self.specs.of(before, &before.latest) else { return };
        let recent = self.deps.capacity.recent(&old);
        if recent > 0
            && let Ok(new) = crate::spec::make(after, &after.latest)
        {
            self.deps.capacity.warm(Arc::new(new), recent, LATEST_WAIT_MAX).await;
        }
    }
}

/// The versions of an alias, `$LATEST` too, and the share of the calls that each gets.
fn targets(alias: &AliasRecord) -> Vec<(Version, f64)> {
    match alias.version {
        Version::Latest => vec![(Version::Latest, 1.0)],
        _ => provisioned::targets(alias).into_iter().map(|(n, s)| (Version::Published(n), s)).collect(),
    }
}
