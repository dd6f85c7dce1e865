//! The promises of a sandbox, each tried by code inside that means to break it.
//!
//! Full isolation needs root and writable control groups. Where they are missing, a test says loudly what it did not
//! exercise, and passes.

mod assigned;
mod beside;
mod booted;
mod copies;
mod files;
mod layers;
mod lifetime;
mod limits;
mod network;
mod preforked;
mod privileges;
mod process_level;
mod processes;
mod rootless;
mod runtimes;
mod support;
mod volumes;
