//! Whether the caller may.

use lambent_core::policy::Asker;
use lambent_store::topics::TopicRecord;
use lambent_wire::Fault;

use super::{Call, fault};
use crate::engine::access;

impl Call<'_> {
    /// `context` has condition keys beside those that every request has.
    pub(super) fn check(
        &self,
        record: &TopicRecord,
        action: &str,
        context: &[(&str, &str)],
    ) -> Result<(), Fault> {
        let account = &self.caller.account;
        // The owner of a topic without a policy, as nearly all callers are.
        if record.settings.policy.is_none() && record.key.account == *account {
            return Ok(());
        }
        let asker = Asker::Identity { account, arn: &self.caller.principal_arn };
        let mut all = vec![("aws:SourceOwner", account.as_str()), ("aws:SourceAccount", account.as_str())];
        all.extend_from_slice(context);
        if access::may(record, asker, action, &all) {
            return Ok(());
        }
        Err(fault::denied(&self.caller.principal_arn, action, &record.key.arn()))
    }
}
