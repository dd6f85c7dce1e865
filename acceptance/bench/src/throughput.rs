//! Warm calls: one after the other, and from sixteen clients at once, beside the same client's HTTP echo.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::Method;

use crate::client::{Client, Prepared};
use crate::echo::Echo;
use crate::functions::{Function, PYTHON, WHOLE_VCPU_MB, create, delete, zip};
use crate::languages;
use crate::node::Node;
use crate::stages::Spent;
use crate::table::{Goal, Row, Table, median, quantile};
use crate::{Bench, Result};

const BLOCK: usize = 50;
const CLIENTS: usize = 16;
/// Echo and functions take turns of this length.
const SPAN: Duration = Duration::from_secs(3);
const TURNS: usize = 3;

/// What is called, what it has to reach.
struct Subject {
    name: &'static str,
    ceiling_share: f64,
}

pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    // An account may call ten times a second for each unit of its concurrency; that is not what is measured here.
    let node = Node::fresh(&bench.binary, &["--account-concurrency", "100000"])?;
    let echo = Echo::start()?;
    let mut control = Client::connect(node.address).await?;
    let package = zip(&[("index.py", PYTHON.as_bytes())])?;
    let python = Function::python("Python", &package);
    create(&mut control, node.address, &python).await?;
    create(&mut control, node.address, &Function { name: "small", memory_mb: 128, ..python }).await?;
    let mut subjects = vec![Subject { name: "Python", ceiling_share: 0.2 }];
    match languages::native(bench) {
        Ok(native) => {
            let package = native.package("")?;
            let (runtime, handler) = (native.runtime.as_str(), native.handler);
            let function =
                Function { name: "native", runtime, handler, memory_mb: WHOLE_VCPU_MB, zip: &package };
            create(&mut control, node.address, &function).await?;
            subjects.push(Subject { name: "native", ceiling_share: 0.4 });
        }
        Err(error) => table.skip("warm invoke, native", &error.to_string()),
    }
    for subject in &subjects {
        one_by_one(bench, &node, &echo, subject, table).await?;
    }
    now_and_then(&node, &echo, table).await?;
    for subject in &subjects {
        at_once(&node, &echo, subject, table).await?;
        delete(&mut control, node.address, subject.name).await?;
    }
    node.stop()
}

/// A JSON text of 100 bytes, another for each number.
fn payload(number: usize) -> Vec<u8> {
    let mut text = format!("{{\"number\":1{number:07},\"text\":\"").into_bytes();
    text.resize(98, b'x');
    text.extend_from_slice(b"\"}");
    text
}

fn path(name: &str) -> String {
    format!("/2015-03-31/functions/{name}/invocations")
}

fn block(address: SocketAddr, name: &str) -> Result<Vec<Prepared>> {
    (0..BLOCK).map(|number| Prepared::new(address, Method::POST, &path(name), payload(number))).collect()
}

async fn one_by_one(
    bench: &Bench,
    node: &Node,
    echo: &Echo,
    subject: &Subject,
    table: &mut Table,
) -> Result<()> {
    let mut to_node = Client::connect(node.address).await?;
    let mut to_echo = Client::connect(echo.address).await?;
    let calls = block(node.address, subject.name)?;
    let floor = block(echo.address, subject.name)?;
    for request in calls.iter().cycle().take(200) {
        to_node.ask(request).await?;
    }
    let (mut node_times, mut echo_times, mut spent) = (Vec::new(), Vec::new(), Spent::default());
    // Blocks in turn: whatever else the machine does meets both.
    for _ in 0..bench.rounds.max(20) {
        for request in &floor {
            echo_times.push(to_echo.ask(request).await?.millis() * 1e3);
        }
        for request in &calls {
            let reply = to_node.ask(request).await?;
            node_times.push(reply.millis() * 1e3);
            spent.add(reply.millis(), &reply.stages);
        }
    }
    let name = subject.name;
    let (p50, floor) = (median(&mut node_times), median(&mut echo_times));
    let row = Row::new(&format!("warm invoke, {name}: p50"), "us", p50, Goal::RatioAtMost(3.0));
    table.add(row.over(floor).spent(spent));
    let (p99, floor) = (quantile(&mut node_times, 0.99), quantile(&mut echo_times, 0.99));
    table.add(Row::new(&format!("warm invoke, {name}: p99"), "us", p99, Goal::None).over(floor));
    Ok(())
}

/// A function whose environment was frozen since its last call.
async fn now_and_then(node: &Node, echo: &Echo, table: &mut Table) -> Result<()> {
    let mut to_node = Client::connect(node.address).await?;
    let mut to_echo = Client::connect(echo.address).await?;
    let (calls, floor) = (block(node.address, "small")?, block(echo.address, "small")?);
    let (mut node_times, mut echo_times) = (Vec::new(), Vec::new());
    to_node.ask(&calls[0]).await?;
    for (call, floor) in calls.iter().zip(&floor) {
        // Longer than an environment stays awake behind a call.
        tokio::time::sleep(Duration::from_millis(10)).await;
        echo_times.push(to_echo.ask(floor).await?.millis() * 1e3);
        node_times.push(to_node.ask(call).await?.millis() * 1e3);
    }
    let row = Row::new("warm invoke, Python, was frozen: p50", "us", median(&mut node_times), Goal::None);
    table.add(row.over(median(&mut echo_times)));
    Ok(())
}

async fn at_once(node: &Node, echo: &Echo, subject: &Subject, table: &mut Table) -> Result<()> {
    // Environments for all sixteen first: their making is measured elsewhere.
    flood(node.address, subject.name, Duration::from_secs(1)).await?;
    let (mut floors, mut rates, mut errors) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..TURNS {
        floors.push(flood(echo.address, subject.name, SPAN).await?.0);
        let (rate, failed) = flood(node.address, subject.name, SPAN).await?;
        rates.push(rate);
        errors += failed;
    }
    let name = format!("16 clients, {}", subject.name);
    let goal = Goal::RatioAtLeast(subject.ceiling_share);
    table.add(Row::new(&name, "calls/s", median(&mut rates), goal).over(median(&mut floors)));
    table.add(Row::new(&format!("{name}: errors"), "calls", errors, Goal::AtMost(0.0)));
    Ok(())
}

/// Answers a second, and how many were no answers.
async fn flood(address: SocketAddr, name: &str, span: Duration) -> Result<(f64, f64)> {
    let mut tasks = Vec::new();
    let began = Instant::now();
    for number in 0..CLIENTS {
        let request = Prepared::new(address, Method::POST, &path(name), payload(number))?;
        let mut client = Client::connect(address).await?;
        tasks.push(tokio::spawn(async move {
            let (mut answered, mut failed) = (0u64, 0u64);
            while began.elapsed() < span {
                match client.ask(&request).await {
                    Ok(_) => answered += 1,
                    Err(error) => {
                        if failed == 0 {
                            eprintln!("a call failed: {error}");
                        }
                        failed += 1;
                        match Client::connect(address).await {
                            Ok(fresh) => client = fresh,
                            Err(_) => break,
                        }
                    }
                }
            }
            (answered, failed)
        }));
    }
    let (mut answered, mut failed) = (0, 0);
    for task in tasks {
        let (ok, bad) = task.await?;
        answered += ok;
        failed += bad;
    }
    Ok((answered as f64 / began.elapsed().as_secs_f64(), failed as f64))
}
