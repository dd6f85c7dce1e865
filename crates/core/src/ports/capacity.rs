use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{BoxFuture, ThrottleReason};
use crate::function::FunctionSpec;
use crate::ids::{AccountId, Region, Version};
use crate::time::Timestamp;

/// Keeps environments initialised ahead of their calls, and knows who uses how many.
pub trait Capacity: Send + Sync {
    /// From now on so many environments of these versions of the function are kept initialised, and of no other
    /// version of it. The whole of what is wanted, each time: an empty list ends it all.
    fn provision(&self, function_arn: &str, wanted: Vec<(Arc<FunctionSpec>, u32)>);

    /// What became of the provision of this version.
    fn provisioned(&self, spec: &FunctionSpec) -> Provisioned;

    /// Resolves when the provision of these versions stands, has failed, or `within` is over.
    fn provision_settled<'a>(
        &'a self,
        wanted: &'a [(Arc<FunctionSpec>, u32)],
        within: Duration,
    ) -> BoxFuture<'a, ()>;

    /// Has `count` environments of a version that nobody calls yet started and initialised. Resolves when they
    /// wait for calls, or have failed, or `within` is over; what is still on its way then goes on.
    fn warm(&self, spec: Arc<FunctionSpec>, count: u32, within: Duration) -> BoxFuture<'_, ()>;

    /// How many environments of this version were busy at one time within the last minutes.
    fn recent(&self, spec: &FunctionSpec) -> u32;

    /// Who uses what now.
    fn usage(&self) -> CapacityUse;
}

/// The provision of one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provisioned {
    /// Environments that are initialised, busy ones among them.
    pub ready: u32,
    /// Why the last attempt to make one failed, while fewer stand than are wanted.
    pub failure: Option<String>,
}

/// The capacity in use, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapacityUse {
    pub functions: Vec<FunctionUse>,
}

/// What one function of one account in one region uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionUse {
    pub arn: String,
    pub account: AccountId,
    pub region: Region,
    pub name: String,
    /// Calls in flight, those that wait for an environment among them.
    pub in_use: u32,
    /// The part of `in_use` that counts against what the account's reservations leave.
    pub in_use_unreserved: u32,
    /// The reservation that its last call came with.
    pub reserved: Option<u32>,
    /// By version: environments wanted, initialised, and running a call.
    pub provisioned: Vec<(Version, u32, u32, u32)>,
    /// By version: its environments, those on their way among them. None where there are none.
    pub environments: BTreeMap<Version, u32>,
    pub throttled: Option<Throttling>,
}

/// The last time that a function's call was throttled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throttling {
    pub at: Timestamp,
    pub reason: ThrottleReason,
    /// Who held the capacity that the call found missing, the greatest first; a few of them at the most.
    pub held_by: Vec<Held>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub function: String,
    pub in_use: u32,
}
