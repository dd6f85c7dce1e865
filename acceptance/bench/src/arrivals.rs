//! Asynchronous calls: how many a second are accepted, each on the disk before its 202, while the function works on
//! those that were; beside the same client's HTTP echo.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::{Client, Prepared};
use crate::echo::Echo;
use crate::functions::{Function, PYTHON, create, zip};
use crate::node::Node;
use crate::table::{Goal, Row, Table};
use crate::{Bench, Result};

const CLIENTS: usize = 64;
const SPAN: Duration = Duration::from_secs(4);

pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    // So that two cores have time for the one who asks: one call at a time is worked on.
    let node = Node::fresh(&bench.binary, &["--account-concurrency", "1"])?;
    let echo = Echo::start()?;
    let mut control = Client::connect(node.address).await?;
    let package = zip(&[("index.py", PYTHON.as_bytes())])?;
    create(&mut control, node.address, &Function::python("async", &package)).await?;
    node.settle().await?;
    let floor = flood(echo.address).await?;
    let rate = flood(node.address).await?;
    let name = format!("async invoke, {CLIENTS} clients: accepted");
    table.add(Row::new(&name, "calls/s", rate, Goal::AtLeast(10_000.0)).over(floor));
    node.stop()
}

async fn flood(address: SocketAddr) -> Result<f64> {
    let request = Prepared::event(address, "async", br#"{"number":1}"#.to_vec())?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Client::connect(address).await?);
    }
    let began = Instant::now();
    let tasks = clients.into_iter().map(|mut client| {
        let request = request.clone();
        tokio::spawn(async move {
            let mut count = 0;
            while began.elapsed() < SPAN {
                client.ask(&request).await?;
                count += 1;
            }
            Ok::<usize, Box<dyn std::error::Error + Send + Sync>>(count)
        })
    });
    let mut count = 0;
    for task in tasks.collect::<Vec<_>>() {
        count += task.await??;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}
