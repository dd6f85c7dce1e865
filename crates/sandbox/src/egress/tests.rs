//! The NAT under test: its rules by table, its packets by hand, and its flows through real kernels.

mod answers;
mod flows;
mod forged;
mod network;
mod rules;
mod support;
