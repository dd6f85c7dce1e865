//! Tells of what has become of functions. A change that nobody can be told of is a change all the same.

use lambent_core::arn;
use lambent_core::ports::{Change, ChangeKind};
use lambent_store::functions::FunctionKey;
use serde_json::json;

use crate::Functions;
use crate::api::answer;

impl Functions {
    /// Tells that `operation` has changed the function, or its version or alias `qualifier`.
    pub(crate) async fn announce(
        &self,
        key: &FunctionKey,
        kind: ChangeKind,
        operation: &'static str,
        qualifier: Option<&str>,
    ) {
        let function_arn = arn::function(&key.region, &key.account, &key.name);
        let mut detail = json!({
            "operation": operation, "functionName": key.name.as_str(), "functionArn": function_arn,
        });
        if let Some(qualifier) = qualifier {
            detail["qualifier"] = qualifier.into();
        }
        // As it is by now: another change may have come between, and tells of itself too.
        if let Some(record) = self.deps.store.function(key).filter(|_| kind != ChangeKind::FunctionDeleted) {
            detail["runtime"] = record.latest.runtime.clone().into();
            detail["codeSha256"] = answer::code_sha256(&record.latest.code).into();
            detail["revisionId"] = record.latest.revision.as_str().into();
        }
        let (account, region) = (key.account.clone(), key.region.clone());
        let change = Change { account, region, kind, resource: function_arn, detail: detail.to_string() };
        self.deps.changes.tell(change).await;
    }

    pub(crate) async fn announce_update(
        &self,
        key: &FunctionKey,
        operation: &'static str,
        qualifier: Option<&str>,
    ) {
        self.announce(key, ChangeKind::FunctionUpdated, operation, qualifier).await;
    }
}
