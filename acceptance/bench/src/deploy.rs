//! A deployment of ten megabytes: from the request to the first answer.

use std::time::Instant;

use crate::client::{Client, Prepared};
use crate::functions::{Function, PYTHON, creation, delete, zip};
use crate::node::Node;
use crate::table::{Goal, Row, Table, median};
use crate::{Bench, Result};

const DEPLOYS: usize = 7;
const PACKAGE_BYTES: usize = 10 * 1024 * 1024;

/// A package that nothing can make smaller.
pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let node = Node::fresh(&bench.binary, &[])?;
    let mut client = Client::connect(node.address).await?;
    let mut times = Vec::new();
    for round in 0..DEPLOYS {
        let name = format!("large-{round}");
        let noise = noise(round as u64 + 1);
        let package = zip(&[("index.py", PYTHON.as_bytes()), ("noise", &noise)])?;
        let create = creation(node.address, &Function::python(&name, &package))?;
        let call = Prepared::invoke(node.address, &name, b"{}".to_vec())?;
        let began = Instant::now();
        client.ask(&create).await?;
        client.ask(&call).await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        delete(&mut client, node.address, &name).await?;
    }
    table.add(Row::new("deploy of 10 MB to first answer", "ms", median(&mut times), Goal::AtMost(1_000.0)));
    node.stop()
}

/// Bytes that don't compress (xorshift).
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::with_capacity(PACKAGE_BYTES);
    while bytes.len() < PACKAGE_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}
