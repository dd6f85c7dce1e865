//! First calls of new functions, beside the bare start of their language's program.

use std::time::Duration;

use crate::client::{Client, Prepared, Reply};
use crate::functions::{Function, WHOLE_VCPU_MB, creation, delete, wait_active};
use crate::languages::{self, Language};
use crate::node::Node;
use crate::stages::Spent;
use crate::table::{Goal, Row, Table, median, quantile};
use crate::{Bench, Result};

/// The slowest of a hundred may take this many times the middle one.
const TAIL: f64 = 3.0;

/// Leaves a node that keeps no cell ahead.
pub const NO_PARKED_CELLS: [&str; 2] = ["--parked-memory", "0"];

/// Each language, its pool filled before every call. The parts of one run take turns with the floor.
pub async fn first_calls(bench: &Bench, table: &mut Table) -> Result<()> {
    let node = Node::fresh(&bench.binary, &[])?;
    let mut client = Client::connect(node.address).await?;
    for language in languages::all(bench, node.scratch(), |what, why| table.skip(what, why))? {
        let mut taken = Taken::default();
        for round in 0..bench.rounds + 1 {
            let reply = first_call(&node, &mut client, &language, round).await?;
            node.quiet().await?;
            let bare = language.bare_start()?;
            // The first round fills the page cache.
            if round > 0 {
                taken.add(&reply, bare);
            }
        }
        taken.tell(&language, table);
    }
    node.stop()
}

#[derive(Default)]
struct Taken {
    calls_ms: Vec<f64>,
    bare_ms: Vec<f64>,
    spent: Spent,
}

impl Taken {
    fn add(&mut self, reply: &Reply, bare: Duration) {
        self.calls_ms.push(reply.millis());
        self.bare_ms.push(bare.as_secs_f64() * 1e3);
        self.spent.add(reply.millis(), &reply.stages);
    }

    fn tell(&mut self, language: &Language, table: &mut Table) {
        let name = &language.name;
        let (p50, p99) = (median(&mut self.calls_ms), quantile(&mut self.calls_ms, 0.99));
        let row = |text: String, value, goal| Row::new(&text, "ms", value, goal).spent(self.spent);
        table.add(row(format!("first call, {name}: p50"), p50, Goal::AtMost(language.p50_goal_ms)));
        table.add(row(format!("first call, {name}: p99 / p50"), p99, Goal::RatioAtMost(TAIL)).over(p50));
        let goal = language.ratio_goal.map_or(Goal::None, Goal::RatioAtMost);
        let bare = median(&mut self.bare_ms);
        table.add(row(format!("first call, {name} / bare start"), p50, goal).over(bare));
    }
}

/// Python when nothing waits: forked from the zygote, or started from nothing.
pub async fn empty_pool(bench: &Bench, table: &mut Table) -> Result<()> {
    const WHAT: &str = "first call, Python, empty pool";
    if !Node::knows(&bench.binary, NO_PARKED_CELLS[0]) {
        table.skip(WHAT, "this program has no --parked-memory, and keeps its pool filled");
        return Ok(());
    }
    let node = Node::fresh(&bench.binary, &NO_PARKED_CELLS)?;
    let mut client = Client::connect(node.address).await?;
    let languages = languages::all(bench, node.scratch(), |_, _| {})?;
    let Some(python) = languages.iter().find(|language| language.name == "Python") else {
        table.skip(WHAT, "the node serves no Python here");
        return Ok(());
    };
    let (mut calls, mut spent) = (Vec::new(), Spent::default());
    for round in 0..bench.rounds + 1 {
        let reply = first_call(&node, &mut client, python, round).await?;
        if round > 0 {
            calls.push(reply.millis());
            spent.add(reply.millis(), &reply.stages);
        }
    }
    table.add(Row::new(WHAT, "ms", median(&mut calls), Goal::AtMost(6.0)).spent(spent));
    node.stop()
}

async fn first_call(node: &Node, client: &mut Client, language: &Language, round: usize) -> Result<Reply> {
    let name = format!("cold-{}-{round}", language.runtime.replace('.', "-"));
    // Each package is another one: nothing of the last function's helps this one's.
    let package = language.package(&round.to_string())?;
    let function = Function {
        name: &name,
        runtime: &language.runtime,
        handler: language.handler,
        memory_mb: WHOLE_VCPU_MB,
        zip: &package,
    };
    client.ask(&creation(node.address, &function)?).await?;
    wait_active(client, node.address, &name).await?;
    node.quiet().await?;
    let request = Prepared::invoke(node.address, &name, b"{}".to_vec())?;
    let reply = client.ask(&request).await?.cold()?;
    delete(client, node.address, &name).await?;
    Ok(reply)
}
