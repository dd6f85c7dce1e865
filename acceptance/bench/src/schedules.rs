//! Ten thousand schedules, which fire within some seconds, many of them at the same second: how much later than its
//! moment each one's message is in the queue.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::Method;
use lambent_core::time::Timestamp;
use serde_json::{Value, json};

use crate::client::{Client, Prepared};
use crate::node::Node;
use crate::queues::{Queue, messages};
use crate::table::{Goal, Row, Table, median, quantile};
use crate::{Bench, Result};

const SCHEDULES: usize = 10_000;
/// Their moments: at each of so many seconds, as many.
const SECONDS: usize = 10;
const CLIENTS: usize = 16;
/// In which all of them are made.
const LEAD: Duration = Duration::from_secs(10);
const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:fires";

pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let node = Node::fresh(&bench.binary, &["--parked-memory", "0"])?;
    node.settle().await?;
    let mut control = Client::connect(node.address).await?;
    let queue = Queue::create(&mut control, node.address, "fires").await?;
    let first = since_epoch()?.as_secs() + LEAD.as_secs();
    let began = Instant::now();
    make(node.address, first).await?;
    let rate = SCHEDULES as f64 / began.elapsed().as_secs_f64();
    if since_epoch()?.as_secs() >= first {
        table.skip("schedule jitter", &format!("making 10,000 took too long ({rate:.0} a second)"));
        return node.stop();
    }
    let last = Duration::from_secs(first + SECONDS as u64);
    tokio::time::sleep(last.saturating_sub(since_epoch()?)).await;
    let mut late = read(&mut control, &queue).await?;
    table.add(Row::new("10,000 schedules: made", "1/s", rate, Goal::None));
    table.add(Row::new("10,000 schedules: jitter p50", "ms", median(&mut late), Goal::None));
    let p99 = quantile(&mut late, 0.99);
    table.add(Row::new("10,000 schedules: jitter p99", "ms", p99, Goal::AtMost(100.0)));
    node.stop()
}

fn since_epoch() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

async fn make(address: SocketAddr, first: u64) -> Result<()> {
    let mut tasks = Vec::new();
    for part in 0..CLIENTS {
        let mut client = Client::connect(address).await?;
        tasks.push(tokio::spawn(async move {
            for n in (part..SCHEDULES).step_by(CLIENTS) {
                let at = first + (n % SECONDS) as u64;
                client.ask(&creation(address, n, at)?).await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

fn creation(address: SocketAddr, n: usize, at: u64) -> Result<Prepared> {
    let moment = Timestamp::from_millis(at * 1_000).amz_date();
    // 20261121T101112Z
    let (date, time) = moment.trim_end_matches('Z').split_once('T').ok_or("a date without a time")?;
    let expression = format!(
        "at({}-{}-{}T{}:{}:{})",
        &date[..4],
        &date[4..6],
        &date[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    );
    let body = json!({
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": { "Mode": "OFF" },
        "Target": {
            "Arn": ARN, "RoleArn": "arn:aws:iam::000000000000:role/any", "Input": at.to_string(),
        },
    });
    let headers = [("content-type", "application/json")];
    let path = format!("/schedules/s{n}");
    Prepared::with(address, "scheduler", (Method::POST, &path), &headers, body.to_string().into_bytes())
}

/// Milliseconds from each message's moment until it was in the queue.
async fn read(client: &mut Client, queue: &Queue) -> Result<Vec<f64>> {
    let receive = queue.receive(10, 5)?;
    let mut late = Vec::new();
    while late.len() < SCHEDULES {
        let answer = client.ask(&receive).await?.value()?;
        if messages(&answer).is_empty() {
            return Err(format!("{} of {SCHEDULES} schedules fired", late.len()).into());
        }
        for message in messages(&answer) {
            late.push(number(&message["Attributes"]["SentTimestamp"])? - number(&message["Body"])? * 1e3);
        }
    }
    Ok(late)
}

fn number(text: &Value) -> Result<f64> {
    Ok(text.as_str().ok_or("a message says no number")?.parse()?)
}
