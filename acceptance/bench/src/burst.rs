//! Two hundred calls at the same moment of a function that has no environment. Each says when it started.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::client::{Client, Prepared};
use crate::functions::{Function, create, zip};
use crate::node::Node;
use crate::stages::Spent;
use crate::table::{Goal, Row, Table, median};
use crate::{Bench, Result};

const CALLS: usize = 200;
const BURSTS: usize = 3;

const SOURCE: &str = "import time\ndef handler(event, context):\n    began = time.time()\n    time.sleep(1)\n    \
                      return began\n";

pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let (mut last, mut middle, mut refused, mut spent) = (Vec::new(), Vec::new(), 0, Spent::default());
    for _ in 0..BURSTS {
        let (mut starts, failed) = burst(bench, &mut spent).await?;
        refused += failed;
        last.push(starts.iter().copied().fold(f64::NAN, f64::max));
        middle.push(median(&mut starts));
    }
    let row = |text: &str, unit, value, goal| Row::new(text, unit, value, goal);
    table.add(row("burst 0 -> 200: calls not served", "calls", refused as f64, Goal::AtMost(0.0)));
    let row_last = row("burst 0 -> 200: last one started", "ms", median(&mut last), Goal::AtMost(1_000.0));
    table.add(row_last.spent(spent));
    table.add(row("burst 0 -> 200: middle one started", "ms", median(&mut middle), Goal::None));
    Ok(())
}

/// Milliseconds until each call's code ran, and how many calls failed. A node that never saw the function.
async fn burst(bench: &Bench, spent: &mut Spent) -> Result<(Vec<f64>, usize)> {
    let node = Node::fresh(&bench.binary, &[])?;
    let mut control = Client::connect(node.address).await?;
    let package = zip(&[("index.py", SOURCE.as_bytes())])?;
    create(&mut control, node.address, &Function::python("sleeper", &package)).await?;
    let mut clients = Vec::new();
    for _ in 0..CALLS {
        clients.push(Client::connect(node.address).await?);
    }
    node.quiet().await?;
    let request = Prepared::invoke(node.address, "sleeper", b"{}".to_vec())?;
    let began = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let calls = clients.into_iter().map(|mut client| {
        let request = request.clone();
        tokio::spawn(async move { client.ask(&request).await })
    });
    let calls: Vec<_> = calls.collect();
    let (mut starts, mut failed) = (Vec::new(), 0);
    for call in calls {
        match call.await? {
            Ok(reply) => {
                let started: f64 = String::from_utf8_lossy(&reply.body).parse()?;
                starts.push((started - began) * 1e3);
                spent.add(reply.millis(), &reply.stages);
            }
            Err(error) => {
                if failed == 0 {
                    eprintln!("a call failed: {error}");
                }
                failed += 1;
            }
        }
    }
    node.stop()?;
    Ok((starts, failed))
}
