//! The stores as the node uses them: against their contracts, and across ends of the process.

mod archive;
mod crash;
mod deliveries;
mod events;
mod functions;
mod opening;
mod queues;
mod topics;
mod traces;
