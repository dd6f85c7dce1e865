//! Memory of environments that wait for their next call.

use crate::client::{Client, Prepared};
use crate::functions::{Function, create};
use crate::languages::{self, Language};
use crate::node::Node;
use crate::processes;
use crate::table::{Goal, Row, Table, median};
use crate::{Bench, Result};

const PYTHONS: usize = 20;
const MIXED: usize = 180;

/// What a small function has, as most are.
const MEMORY_MB: u32 = 256;

/// What the processes of one idle Python environment have for themselves: pages of its interpreter that others
/// share, its zygote among them, are not in it.
pub async fn of_python(bench: &Bench, table: &mut Table) -> Result<()> {
    let node = Node::fresh(&bench.binary, &[])?;
    let languages = languages::all(bench, node.scratch(), |_, _| {})?;
    let Some(python) = languages.iter().find(|language| language.name == "Python") else {
        table.skip("idle Python environment", "the node serves no Python here");
        return Ok(());
    };
    call_once_each(&node, &[python], PYTHONS).await?;
    node.quiet().await?;
    let environments = node.environments();
    let by_sandbox = sandboxes(&environments);
    if by_sandbox.len() != PYTHONS {
        let text = format!("{} of {PYTHONS} environments are there", by_sandbox.len());
        table.skip("idle Python environment", &text);
        return node.stop();
    }
    let sizes = by_sandbox.iter().map(|pids| processes::memory_of_all(pids));
    let (mut own, mut proportional): (Vec<f64>, Vec<f64>) =
        sizes.map(|memory| (mib(memory.own), mib(memory.proportional))).unzip();
    let row = Row::new("idle Python environment: own memory", "MiB", median(&mut own), Goal::AtMost(1.5));
    table.add(row);
    let pss = median(&mut proportional);
    table.add(Row::new("idle Python environment: PSS", "MiB", pss, Goal::None));
    node.stop()
}

/// As many functions of all languages in turn, each called once and then left alone.
pub async fn of_many(bench: &Bench, table: &mut Table) -> Result<()> {
    let node = Node::fresh(&bench.binary, &[])?;
    let languages = languages::all(bench, node.scratch(), |what, why| table.skip(what, why))?;
    let languages: Vec<&Language> = languages.iter().collect();
    let mut names: Vec<&str> = languages.iter().map(|language| language.name.as_str()).collect();
    names.sort_unstable();
    node.settle().await?;
    node.quiet().await?;
    let before = processes::memory_of_all(&node.family());
    call_once_each(&node, &languages, MIXED).await?;
    node.quiet().await?;
    let all = node.family();
    let after = processes::memory_of_all(&all);
    let alive = sandboxes(&node.environments()).len();
    eprintln!("languages: {}; {alive} of {MIXED} environments are still there", names.join(", "));
    let grown = mib(after.own.saturating_sub(before.own));
    table.add(Row::new("180 idle functions: own memory", "MiB", grown, Goal::AtMost(200.0)));
    let grown = mib(after.proportional.saturating_sub(before.proportional));
    table.add(Row::new("180 idle functions: PSS", "MiB", grown, Goal::None));
    table.add(Row::new("180 idle functions: environments kept", "", alive as f64, Goal::None));
    node.stop()
}

async fn call_once_each(node: &Node, languages: &[&Language], count: usize) -> Result<()> {
    let mut client = Client::connect(node.address).await?;
    for (number, language) in languages.iter().cycle().take(count).enumerate() {
        let name = format!("idle-{number}");
        let package = language.package(&name)?;
        let (runtime, handler) = (language.runtime.as_str(), language.handler);
        let function = Function { name: &name, runtime, handler, memory_mb: MEMORY_MB, zip: &package };
        create(&mut client, node.address, &function).await?;
        client.ask(&Prepared::invoke(node.address, &name, b"{}".to_vec())?).await?;
    }
    Ok(())
}

/// Processes by the sandbox that they are in, which is their namespace of process ids.
fn sandboxes(pids: &[u32]) -> Vec<Vec<u32>> {
    let mut found: std::collections::BTreeMap<_, Vec<u32>> = Default::default();
    for pid in pids {
        if let Ok(namespace) = std::fs::read_link(format!("/proc/{pid}/ns/pid")) {
            found.entry(namespace).or_default().push(*pid);
        }
    }
    found.into_values().collect()
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
