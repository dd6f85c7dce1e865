//! What messages that wait cost in memory: the node with very many, beside itself with ten thousand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::node::Node;
use crate::queues::{Queue, none_failed};
use crate::table::{Goal, Row, Table};
use crate::{Bench, Result};

const FEW: usize = 10_000;
const MANY: usize = 1_000_000;
/// What is there by then has to do; the row says how many that were.
const FILL_WITHIN: Duration = Duration::from_secs(20);
const CLIENTS: usize = 32;
/// As in the other goals. Ten thousand fill the caches of the database already, which are bounded.
const BYTES: usize = 1_024;

pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let node = Node::fresh(&bench.binary, &["--parked-memory", "0"])?;
    node.settle().await?;
    let mut control = Client::connect(node.address).await?;
    let queue = Queue::create(&mut control, node.address, "waiting").await?;
    fill(&node, &queue, FEW).await?;
    node.quiet().await?;
    let floor = node.memory_mib()?;
    let added = fill(&node, &queue, MANY - FEW).await?;
    node.quiet().await?;
    let memory = node.memory_mib()?;
    let name = format!("{} messages wait: memory, beside 10,000", FEW + added);
    table.add(Row::new(&name, "MiB", memory, Goal::RatioAtMost(1.1)).over(floor));
    node.stop()
}

/// Sends so many, or as many as there is time for.
async fn fill(node: &Node, queue: &Queue, count: usize) -> Result<usize> {
    let send = queue.send_batch(10, BYTES)?;
    let sent = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::connect(node.address).await?;
        let (send, sent) = (send.clone(), sent.clone());
        tasks.push(tokio::spawn(async move {
            let mut mine = 0;
            while began.elapsed() < FILL_WITHIN && sent.fetch_add(10, Ordering::Relaxed) < count {
                none_failed(&client.ask(&send).await?.value()?)?;
                mine += 10;
            }
            Ok::<usize, Box<dyn std::error::Error + Send + Sync>>(mine)
        }));
    }
    let mut total = 0;
    for task in tasks {
        total += task.await??;
    }
    Ok(total)
}
