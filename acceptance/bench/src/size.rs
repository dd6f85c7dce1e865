//! How long a node takes to start and what memory it holds: with nothing, and with a thousand functions.

use std::path::Path;

use crate::client::Client;
use crate::functions::{Function, PYTHON, creation, wait_active, zip};
use crate::node::Node;
use crate::table::{Goal, Row, Table, median};
use crate::{Bench, Result};

const STARTS: usize = 7;
const FUNCTIONS: usize = 1_000;

pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let binary = &bench.binary;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    first_start(binary, &data).await?;
    let (ready, memory) = starts(binary, &data).await?;
    table.add(Row::new("empty node: ready after", "ms", ready, Goal::AtMost(300.0)));
    table.add(Row::new("empty node: memory (PSS)", "MiB", memory, Goal::AtMost(40.0)));
    fill(binary, &data).await?;
    let (ready, memory) = starts(binary, &data).await?;
    table.add(Row::new("1,000 functions: ready after", "ms", ready, Goal::AtMost(500.0)));
    table.add(Row::new("1,000 functions: memory (PSS)", "MiB", memory, Goal::AtMost(80.0)));
    Ok(())
}

/// The first start of a data directory looks for interpreters and compiles clients, later ones find them.
async fn first_start(binary: &Path, data: &Path) -> Result<()> {
    let node = Node::start(binary, data)?;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    node.settle().await?;
    node.stop()
}

/// Time to ready and idle memory, medians of some starts.
async fn starts(binary: &Path, data: &Path) -> Result<(f64, f64)> {
    let (mut ready, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let node = Node::start(binary, data)?;
        ready.push(node.ready_after.as_secs_f64() * 1e3);
        node.settle().await?;
        // What its first moments needed is given back by then.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        memory.push(node.memory_mib()?);
        node.stop()?;
    }
    Ok((median(&mut ready), median(&mut memory)))
}

async fn fill(binary: &Path, data: &Path) -> Result<()> {
    let node = Node::start(binary, data)?;
    let mut client = Client::connect(node.address).await?;
    for number in 0..FUNCTIONS {
        let name = format!("function-{number:04}");
        // A package each: a thousand of one would share it.
        let source = format!("{PYTHON}# {number}\n");
        let package = zip(&[("index.py", source.as_bytes())])?;
        let function = Function { memory_mb: 128, ..Function::python(&name, &package) };
        client.ask(&creation(node.address, &function)?).await?;
    }
    wait_active(&mut client, node.address, &format!("function-{:04}", FUNCTIONS - 1)).await?;
    node.stop()
}
