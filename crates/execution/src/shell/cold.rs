//! Why a call found no environment.
//!
//! The plan knows whether others stand in its pool. What else there is to know is what became of the ones before: so
//! much is remembered of each version that was called, and no more.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lambent_core::ids::{RevisionId, Version};
use lambent_core::ports::ColdReason;

use crate::plan::PoolKey;

/// Ours: versions that are remembered. When there are more, all are forgotten: a reason is then `First` once too often.
const REMEMBERED_MAX: usize = 20_000;

#[derive(Default)]
pub struct ColdReasons(Mutex<HashMap<(std::sync::Arc<str>, Version), Last>>);

/// What is known of a version's last environment.
struct Last {
    revision: RevisionId,
    failed: bool,
}

impl ColdReasons {
    /// An environment is started for a call of this pool, which has `others` beside it.
    pub fn why(&self, pool: &PoolKey, others: usize) -> ColdReason {
        let last = Last { revision: pool.revision.clone(), failed: false };
        let mut known = self.lock();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        let before = known.insert((pool.function_arn.clone(), pool.version), last);
        match before {
            _ if others > 0 => ColdReason::Burst,
            None => ColdReason::First,
            Some(before) if before.revision != pool.revision => ColdReason::Update,
            Some(before) if before.failed => ColdReason::Failure,
            Some(_) => ColdReason::Idle,
        }
    }

    /// An environment of the pool is of no more use after what its call did.
    pub fn failed(&self, pool: &PoolKey) {
        if let Some(last) = self.lock().get_mut(&(pool.function_arn.clone(), pool.version)) {
            last.failed = true;
        }
    }

    /// The function was deleted.
    pub fn forget(&self, function_arn: &str) {
        self.lock().retain(|(of, _), _| &**of != function_arn);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(std::sync::Arc<str>, Version), Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_follows_from_what_was_there_before() {
        let pool = |revision: char| PoolKey {
            function_arn: "f".into(),
            version: Version::Latest,
            revision: RevisionId::new(format!("0000000{revision}-0000-4000-8000-000000000001")).unwrap(),
        };
        let reasons = ColdReasons::default();
        assert_eq!(reasons.why(&pool('1'), 0), ColdReason::First);
        assert_eq!(reasons.why(&pool('1'), 2), ColdReason::Burst);
        assert_eq!(reasons.why(&pool('1'), 0), ColdReason::Idle);
        reasons.failed(&pool('1'));
        assert_eq!(reasons.why(&pool('1'), 0), ColdReason::Failure);
        assert_eq!(reasons.why(&pool('1'), 0), ColdReason::Idle);
        assert_eq!(reasons.why(&pool('2'), 0), ColdReason::Update);
        reasons.forget("f");
        assert_eq!(reasons.why(&pool('2'), 0), ColdReason::First);
    }
}
