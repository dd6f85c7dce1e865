//! What every implementation of a port or a store must do, written once. An implementation's own tests call
//! these; the one in memory is the specification and keeps them too.

pub mod archive;
pub mod deliveries;
pub mod events;
pub mod functions;
pub mod logs;
pub mod queues;
pub mod topics;
pub mod traces;
