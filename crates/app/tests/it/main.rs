//! Tests of the workspace as a whole.

mod compat;
mod house_rules;
