//! Where a function may open connections to, as its tag `lambent:egress` says.
//!
//! AWS has no member for it in the Lambda API, and a member of our own would be dropped by unmodified SDKs, so
//! it is a tag: `none`, `services` or `internet`. Without the tag it is `internet`, as AWS has it.

use std::collections::BTreeMap;

use lambent_core::function::Egress;

use crate::error::Error;

pub const TAG: &str = "lambent:egress";

/// Refuses a value of the tag that is none of the three.
pub fn check(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    match tags.get(TAG) {
        Some(value) if Egress::parse(value).is_none() => Err(Error::InvalidTag {
            detail: format!("The tag {TAG} takes one of none, services and internet, and not '{value}'."),
        }),
        _ => Ok(()),
    }
}

/// The policy of a function with these tags.
pub fn of(tags: &BTreeMap<String, String>) -> Egress {
    tags.get(TAG).and_then(|value| Egress::parse(value)).unwrap_or(Egress::Internet)
}
