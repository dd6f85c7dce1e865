/// What the machine that the node runs on has left.
pub trait Host: Send + Sync {
    /// `None` where the machine doesn't tell.
    fn memory(&self) -> Option<HostMemory>;
}

/// The machine's memory at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HostMemory {
    /// What programs can still be given without taking it from others.
    pub available_bytes: u64,
    /// For what share of the last seconds no program could go on for want of memory, in percent; 0 where that can't
    /// be told.
    pub stalled_percent: f32,
}
