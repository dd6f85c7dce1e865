//! The service with neighbours that remember what they were asked.

mod attributes;
mod delivery;
mod fifo;
mod http;
mod model;
mod publish;
mod world;
