use crate::runtime::Runtime;

/// Whether this node can run a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    Present,
    /// Not here. The text says what is here and how to add it: it becomes the function's StateReason.
    Missing {
        reason: String,
    },
}

/// What this node can run.
pub trait Runtimes: Send + Sync {
    fn availability(&self, runtime: &'static Runtime) -> Availability;
}
