//! The Lambda API through its front: requests in, answers out, with false neighbours.

mod aliases;
mod async_calls;
mod changes;
mod concurrency;
mod configuration;
mod create;
mod event_source_mappings;
mod function_urls;
mod invoke;
mod layers;
mod lists;
mod members;
mod model;
mod names;
mod operations;
mod policy;
mod provisioned;
mod recursion;
mod snap_start;
mod streaming;
mod tags;
mod unset;
mod update;
mod versions;
mod worker;
mod world;
