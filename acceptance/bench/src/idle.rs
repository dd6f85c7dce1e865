//! What the platform costs when nobody calls: the time that the node, its spawner and all parked cells run.

use std::time::{Duration, Instant};

use crate::client::{Client, Prepared};
use crate::functions::{Function, WHOLE_VCPU_MB, create};
use crate::languages;
use crate::node::Node;
use crate::processes::Cpu;
use crate::table::{Goal, Row, Table};
use crate::{Bench, Result};

const SPAN: Duration = Duration::from_secs(20);
/// Cold starts at once of each language before, so that its pool is as full as it gets.
const BURST: usize = 8;

pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let node = Node::fresh(&bench.binary, &[])?;
    let mut control = Client::connect(node.address).await?;
    for language in languages::all(bench, node.scratch(), |what, why| table.skip(what, why))? {
        let name = format!("idle-{}", language.runtime.replace('.', "-"));
        let package = language.package(&name)?;
        let function = Function {
            name: &name,
            runtime: &language.runtime,
            handler: language.handler,
            memory_mb: WHOLE_VCPU_MB,
            zip: &package,
        };
        create(&mut control, node.address, &function).await?;
        let mut calls = Vec::new();
        for _ in 0..BURST {
            let mut client = Client::connect(node.address).await?;
            let request = Prepared::invoke(node.address, &name, b"{}".to_vec())?;
            calls.push(tokio::spawn(async move { client.ask(&request).await }));
        }
        for call in calls {
            call.await??;
        }
    }
    node.settle().await?;
    node.quiet().await?;
    let family = node.family();
    let cells = family.len() - node.environments().len();
    let before = Cpu::of(&family);
    let began = Instant::now();
    tokio::time::sleep(SPAN).await;
    let ran = Cpu::of(&node.family()).ran_since(&before);
    let share = ran.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    eprintln!("{} processes, {cells} of them not an environment's", family.len());
    table.add(Row::new("platform CPU while idle, full pools", "% of a core", share, Goal::AtMost(0.5)));
    node.stop()
}
