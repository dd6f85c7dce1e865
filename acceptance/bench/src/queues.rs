//! Queues: a lone send beside one flush of the disk, messages one by one, and the whole way of many in batches, both
//! beside the store without a node. Nothing is answered before it is on the disk, and every signature is checked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, Prepared};
use crate::node::Node;
use crate::store::{Flushes, Load, Store};
use crate::table::{Goal, Row, Table, median, quantile};
use crate::{Bench, Result};

const BYTES: usize = 1_024;
const LONE_SENDS: usize = 500;
const CLIENTS: usize = 16;
const SPAN: Duration = Duration::from_secs(3);
/// In batches of ten, as the goal says it.
const WHOLE: Load = Load { producers: 32, consumers: 8, batch: 10, messages: 40_000, bytes: BYTES };
/// One message a call. As many as take some seconds.
const SINGLE: Load = Load { producers: CLIENTS, consumers: 0, batch: 1, messages: 20_000, bytes: BYTES };

pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let node = Node::fresh(&bench.binary, &["--parked-memory", "0"])?;
    node.settle().await?;
    node.quiet().await?;
    lone_sends(&node, table).await?;
    single(&node, table).await?;
    whole(&node, table).await?;
    node.stop()
}

/// A queue, as its clients ask for it.
#[derive(Clone)]
pub struct Queue {
    address: SocketAddr,
    pub url: String,
}

impl Queue {
    pub async fn create(client: &mut Client, address: SocketAddr, name: &str) -> Result<Self> {
        let body = json!({ "QueueName": name, "Attributes": { "VisibilityTimeout": "600" } });
        let made =
            client.ask(&Prepared::json(address, "sqs", "AmazonSQS.CreateQueue", &body)?).await?.value()?;
        let url = made["QueueUrl"].as_str().ok_or("the queue has no URL")?.to_owned();
        Ok(Self { address, url })
    }

    pub fn request(&self, operation: &str, mut body: Value) -> Result<Prepared> {
        body["QueueUrl"] = self.url.clone().into();
        Prepared::json(self.address, "sqs", &format!("AmazonSQS.{operation}"), &body)
    }

    pub fn send(&self, bytes: usize) -> Result<Prepared> {
        self.request("SendMessage", json!({ "MessageBody": "x".repeat(bytes) }))
    }

    pub fn send_batch(&self, count: usize, bytes: usize) -> Result<Prepared> {
        let entry = |n| json!({ "Id": format!("e{n}"), "MessageBody": "x".repeat(bytes) });
        let entries: Vec<Value> = (0..count).map(entry).collect();
        self.request("SendMessageBatch", json!({ "Entries": entries }))
    }

    /// Up to ten.
    pub fn receive(&self, count: usize, wait_secs: u32) -> Result<Prepared> {
        self.request("ReceiveMessage", json!({
            "MaxNumberOfMessages": count, "WaitTimeSeconds": wait_secs, "AttributeNames": ["SentTimestamp"],
        }))
    }

    /// Signed when it is known what to delete: inside of what is measured.
    async fn delete(&self, client: &mut Client, messages: &[Value]) -> Result<()> {
        if let [message] = messages {
            let one = json!({ "ReceiptHandle": message["ReceiptHandle"] });
            client.ask(&self.request("DeleteMessage", one)?).await?;
            return Ok(());
        }
        let entry = |(n, message): (usize, &Value)| json!({ "Id": format!("e{n}"), "ReceiptHandle": message["ReceiptHandle"] });
        let entries: Vec<Value> = messages.iter().enumerate().map(entry).collect();
        let all = self.request("DeleteMessageBatch", json!({ "Entries": entries }))?;
        none_failed(&client.ask(&all).await?.value()?)
    }
}

pub fn none_failed(answer: &Value) -> Result<()> {
    match answer["Failed"].as_array() {
        Some(failed) if !failed.is_empty() => Err(format!("of a batch failed: {}", failed[0]).into()),
        _ => Ok(()),
    }
}

pub fn messages(answer: &Value) -> &[Value] {
    answer["Messages"].as_array().map_or(&[], Vec::as_slice)
}

/// One client that waits for each answer, in turn with flushes of as many bytes.
async fn lone_sends(node: &Node, table: &mut Table) -> Result<()> {
    let mut client = Client::connect(node.address).await?;
    let queue = Queue::create(&mut client, node.address, "lone").await?;
    let body = json!({ "QueueUrl": queue.url, "MessageBody": "x" });
    let forged = Prepared::forged(node.address, "sqs", "AmazonSQS.SendMessage", &body)?;
    if client.ask(&forged).await.is_ok() {
        return Err("the node took a forged signature: what it checks is not what is measured here".into());
    }
    let send = queue.send(BYTES)?;
    let bytes = vec![b'x'; BYTES];
    let mut flushes = Flushes::new(node.scratch())?;
    let (mut sends, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..LONE_SENDS {
        floor.push(flushes.one(&bytes)?);
        sends.push(client.ask(&send).await?.millis() * 1e3);
    }
    let row = Row::new("queue, lone send: p50, beside a flush's", "us", median(&mut sends), Goal::None);
    table.add(row.over(median(&mut floor)));
    let p99 = quantile(&mut sends, 0.99);
    let row = Row::new("queue, lone send: p99, beside a flush's", "us", p99, Goal::RatioAtMost(3.0));
    table.add(row.over(quantile(&mut floor, 0.99)));
    Ok(())
}

/// One message a request.
async fn single(node: &Node, table: &mut Table) -> Result<()> {
    let mut control = Client::connect(node.address).await?;
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path()).await?;
    let floor = store.rate(SINGLE).await?;
    let queue = Queue::create(&mut control, node.address, "sends").await?;
    let sends = flood(node.address, &queue, false).await?;
    let name = format!("queue, {CLIENTS} clients, one message each: sends");
    table.add(Row::new(&name, "1/s", sends, Goal::AtLeast(20_000.0)).over(floor));
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path()).await?;
    let floor = store.rate(Load { producers: CLIENTS / 2, consumers: CLIENTS / 2, ..SINGLE }).await?;
    let queue = Queue::create(&mut control, node.address, "cycles").await?;
    let cycles = flood(node.address, &queue, true).await?;
    let name = format!("queue, {CLIENTS} clients, one message each: cycles");
    table.add(Row::new(&name, "1/s", cycles, Goal::AtLeast(12_000.0)).over(floor));
    Ok(())
}

/// Sends a second; or messages that were sent, received and deleted.
async fn flood(address: SocketAddr, queue: &Queue, whole: bool) -> Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Client::connect(address).await?);
    }
    let (send, receive) = (queue.send(BYTES)?, queue.receive(1, 0)?);
    let began = Instant::now();
    let tasks = clients.into_iter().map(|mut client| {
        let (queue, send, receive) = (queue.clone(), send.clone(), receive.clone());
        tokio::spawn(async move {
            let mut count = 0;
            while began.elapsed() < SPAN {
                client.ask(&send).await?;
                if whole {
                    let answer = client.ask(&receive).await?.value()?;
                    // There is one for each who has sent one.
                    queue.delete(&mut client, messages(&answer).get(..1).ok_or("received nothing")?).await?;
                }
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

/// Producers and consumers at the same time, until the last message is deleted.
async fn whole(node: &Node, table: &mut Table) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let floor = Store::open(folder.path()).await?.rate(WHOLE).await?;
    let mut control = Client::connect(node.address).await?;
    let queue = Queue::create(&mut control, node.address, "whole").await?;
    let (mut producers, mut consumers) = (Vec::new(), Vec::new());
    for _ in 0..WHOLE.producers {
        producers.push(Client::connect(node.address).await?);
    }
    for _ in 0..WHOLE.consumers {
        consumers.push(Client::connect(node.address).await?);
    }
    let (send, receive) = (queue.send_batch(WHOLE.batch, BYTES)?, queue.receive(WHOLE.batch, 0)?);
    let (sent, deleted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let began = Instant::now();
    let mut tasks = Vec::new();
    for mut client in producers {
        let (sent, send) = (sent.clone(), send.clone());
        tasks.push(tokio::spawn(async move {
            while sent.fetch_add(WHOLE.batch, Ordering::Relaxed) < WHOLE.messages {
                none_failed(&client.ask(&send).await?.value()?)?;
            }
            Ok(())
        }));
    }
    for mut client in consumers {
        let (queue, deleted, receive) = (queue.clone(), deleted.clone(), receive.clone());
        tasks.push(tokio::spawn(async move {
            while deleted.load(Ordering::Relaxed) < WHOLE.messages {
                let answer = client.ask(&receive).await?.value()?;
                let messages = messages(&answer);
                if !messages.is_empty() {
                    queue.delete(&mut client, messages).await?;
                    deleted.fetch_add(messages.len(), Ordering::Relaxed);
                }
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    let rate = WHOLE.messages as f64 / began.elapsed().as_secs_f64();
    let goal = Goal::AtLeastOrRatio(30_000.0, 0.5);
    table.add(Row::new("queue, 32 producers, 8 consumers: whole way", "1/s", rate, goal).over(floor));
    Ok(())
}
