//! Reserved concurrency.

use lambent_core::limits::UNRESERVED_CONCURRENCY_MIN;
use lambent_store::functions::FunctionRecord;

use super::next;
use crate::error::Error;

/// What all functions of an account may reserve together: the rest stays for those without a reservation.
pub fn reservable(account_concurrency: u32) -> u64 {
    u64::from(account_concurrency.saturating_sub(UNRESERVED_CONCURRENCY_MIN))
}

/// The function with this reservation, which its provisioned concurrency must fit into.
pub fn reserve(record: &FunctionRecord, reserved: u32) -> Result<FunctionRecord, Error> {
    let provisioned = record.provisioned_concurrency();
    if provisioned > u64::from(reserved) {
        return Err(Error::ReservedBelowProvisioned { reserved, provisioned });
    }
    Ok(FunctionRecord { reserved_concurrency: Some(reserved), ..next(record) })
}

/// The function without a reservation.
pub fn release(record: &FunctionRecord) -> FunctionRecord {
    FunctionRecord { reserved_concurrency: None, ..next(record) }
}
