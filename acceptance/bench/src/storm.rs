//! Cold starts without end: functions that were never called, called once each as fast as the node takes them, and
//! deleted behind, so that making and ending environments go on side by side.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::client::{Client, Prepared};
use crate::functions::{Function, WHOLE_VCPU_MB, creation, deletion, wait_active};
use crate::languages::{self, Language};
use crate::node::Node;
use crate::stages::Spent;
use crate::table::{Goal, Row, Table, median, quantile};
use crate::{Bench, Result};

const CLIENTS: usize = 16;
/// Functions made ahead of the clock; the storm ends when all were called, or when its time is over.
const FUNCTIONS: usize = 3_000;
const SPAN: Duration = Duration::from_secs(10);
const PER_CORE: f64 = 250.0;

pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let languages = languages::all(bench, scratch.path(), |_, _| {})?;
    for name in ["Python", "native"] {
        match languages.iter().find(|language| language.name == name) {
            Some(language) => storm(bench, language, table).await?,
            None => table.skip(&format!("cold starts/s, {name}"), "the function can't be made here"),
        }
    }
    Ok(())
}

type Queue = Arc<Mutex<VecDeque<String>>>;

#[derive(Default)]
struct Seen {
    times_ms: Vec<f64>,
    spent: Spent,
    warm: usize,
    failed: usize,
}

async fn storm(bench: &Bench, language: &Language, table: &mut Table) -> Result<()> {
    let node = Node::fresh(&bench.binary, &[])?;
    let names = create_all(&node, language).await?;
    node.quiet().await?;
    let (waiting, called) = (Queue::new(Mutex::new(names.into())), Queue::default());
    let deadline = Instant::now() + SPAN;
    let began = Instant::now();
    let mut callers = Vec::new();
    for _ in 0..CLIENTS {
        let client = Client::connect(node.address).await?;
        callers.push(tokio::spawn(call_each(
            client,
            node.address,
            waiting.clone(),
            called.clone(),
            deadline,
        )));
    }
    let sweeper = tokio::spawn(delete_each(Client::connect(node.address).await?, node.address, called));
    let mut all = Seen::default();
    for caller in callers {
        let seen = caller.await??;
        all.times_ms.extend(seen.times_ms);
        all.spent.merge(&seen.spent);
        all.warm += seen.warm;
        all.failed += seen.failed;
    }
    let took = began.elapsed().as_secs_f64();
    sweeper.abort();
    let cores = std::thread::available_parallelism()?.get() as f64;
    let rate = all.times_ms.len() as f64 / took / cores;
    let name = &language.name;
    let row = Row::new(&format!("cold starts/s a core, {name}"), "/s", rate, Goal::AtLeast(PER_CORE));
    table.add(row.spent(all.spent));
    let failures = (all.failed + all.warm) as f64;
    table.add(Row::new(&format!("cold starts, {name}: failures"), "", failures, Goal::AtMost(0.0)));
    table.add(Row::new(&format!("cold starts, {name}: p50"), "ms", median(&mut all.times_ms), Goal::None));
    let p99 = quantile(&mut all.times_ms, 0.99);
    table.add(Row::new(&format!("cold starts, {name}: p99"), "ms", p99, Goal::None));
    node.stop()
}

/// One package for all: the storm is of starts, not of deployments.
async fn create_all(node: &Node, language: &Language) -> Result<Vec<String>> {
    let package = language.package("storm")?;
    let mut client = Client::connect(node.address).await?;
    let names: Vec<String> = (0..FUNCTIONS).map(|number| format!("storm-{number}")).collect();
    for name in &names {
        let (runtime, handler) = (language.runtime.as_str(), language.handler);
        let function = Function { name, runtime, handler, memory_mb: WHOLE_VCPU_MB, zip: &package };
        client.ask(&creation(node.address, &function)?).await?;
    }
    for name in &names {
        wait_active(&mut client, node.address, name).await?;
    }
    Ok(names)
}

fn next(queue: &Queue) -> Option<String> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

async fn call_each(
    mut client: Client,
    address: SocketAddr,
    waiting: Queue,
    called: Queue,
    deadline: Instant,
) -> Result<Seen> {
    let mut seen = Seen::default();
    while Instant::now() < deadline
        && let Some(name) = next(&waiting)
    {
        let request = Prepared::invoke(address, &name, b"{}".to_vec())?;
        match client.ask(&request).await {
            Ok(reply) if reply.stages.cold => {
                seen.times_ms.push(reply.millis());
                seen.spent.add(reply.millis(), &reply.stages);
            }
            Ok(_) => seen.warm += 1,
            Err(error) => {
                if seen.failed == 0 {
                    eprintln!("a call failed: {error}");
                }
                seen.failed += 1;
                client = Client::connect(address).await?;
            }
        }
        called.lock().unwrap_or_else(PoisonError::into_inner).push_back(name);
    }
    Ok(seen)
}

async fn delete_each(mut client: Client, address: SocketAddr, called: Queue) -> Result<()> {
    loop {
        match next(&called) {
            Some(name) => {
                client.ask(&deletion(address, &name)?).await?;
            }
            None => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}
