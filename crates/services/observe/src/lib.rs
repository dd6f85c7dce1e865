//! What the node tells about itself and its functions: logs, metrics and traces, later alarms.
pub mod logs;
pub mod metrics;
pub mod otlp;
pub mod traces;
