//! A message to a topic with a hundred queues: the time from publishing it until the last queue's waiting receiver has
//! it; beside a hundred messages that are sent to the queues themselves, at once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, Prepared};
use crate::node::Node;
use crate::queues::{Queue, messages};
use crate::table::{Goal, Row, Table, median};
use crate::{Bench, Result};

const QUEUES: usize = 100;
const ROUNDS: usize = 15;
/// Until all receivers wait: they say nothing when they do.
const SETTLE: Duration = Duration::from_millis(200);
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:fan-out";

pub async fn measure(bench: &Bench, table: &mut Table) -> Result<()> {
    let node = Node::fresh(&bench.binary, &["--parked-memory", "0"])?;
    let mut control = Client::connect(node.address).await?;
    let queues = set_up(&node, &mut control).await?;
    let mut clients = Vec::new();
    for _ in &queues {
        clients.push((Client::connect(node.address).await?, Client::connect(node.address).await?));
    }
    let publish = [("Action", "Publish"), ("Version", "2010-03-31"), ("TopicArn", TOPIC), ("Message", "x")];
    let publish = Prepared::query(node.address, "sns", &publish)?;
    let (mut times, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for by_topic in [false, true] {
            let (waiting, senders) = wait_on_all(&queues, std::mem::take(&mut clients))?;
            tokio::time::sleep(SETTLE).await;
            let began = Instant::now();
            let mut sending = Vec::new();
            let mut idle = Vec::new();
            match by_topic {
                true => {
                    control.ask(&publish).await?;
                    idle = senders;
                }
                false => {
                    for (mut sender, queue) in senders.into_iter().zip(&queues) {
                        let send = queue.send(1)?;
                        sending.push(tokio::spawn(async move { sender.ask(&send).await.map(|_| sender) }));
                    }
                }
            }
            let (mut last, mut receivers) = (began, Vec::new());
            for task in waiting {
                let (receiver, at) = task.await??;
                last = last.max(at);
                receivers.push(receiver);
            }
            for task in sending {
                idle.push(task.await??);
            }
            clients = receivers.into_iter().zip(idle).collect();
            let took = last.duration_since(began).as_secs_f64() * 1e3;
            if by_topic { times.push(took) } else { floors.push(took) }
        }
    }
    let row =
        Row::new("topic, 100 queues: the last has it, median", "ms", median(&mut times), Goal::AtMost(50.0));
    table.add(row.over(median(&mut floors)));
    let worst = times.iter().copied().fold(f64::NAN, f64::max);
    table.add(Row::new("topic, 100 queues: the last has it, worst", "ms", worst, Goal::None));
    node.stop()
}

async fn set_up(node: &Node, control: &mut Client) -> Result<Vec<Queue>> {
    let address = node.address;
    let create = [("Action", "CreateTopic"), ("Version", "2010-03-31"), ("Name", "fan-out")];
    control.ask(&Prepared::query(address, "sns", &create)?).await?;
    let mut queues = Vec::new();
    for n in 0..QUEUES {
        let queue = Queue::create(control, address, &format!("q{n}")).await?;
        let arn = format!("arn:aws:sqs:us-east-1:000000000000:q{n}");
        let policy = json!({ "Statement": {
            "Effect": "Allow", "Principal": { "Service": "sns.amazonaws.com" }, "Action": "sqs:SendMessage",
            "Resource": arn,
        } });
        let attributes = json!({ "Attributes": { "Policy": policy.to_string() } });
        control.ask(&queue.request("SetQueueAttributes", attributes)?).await?;
        let subscribe = [
            ("Action", "Subscribe"),
            ("Version", "2010-03-31"),
            ("TopicArn", TOPIC),
            ("Protocol", "sqs"),
            ("Endpoint", &arn),
        ];
        control.ask(&Prepared::query(address, "sns", &subscribe)?).await?;
        queues.push(queue);
    }
    Ok(queues)
}

type Waiting = tokio::task::JoinHandle<Result<(Client, Instant)>>;

/// A receiver waits at each queue. Gives back those who send.
fn wait_on_all(queues: &[Queue], clients: Vec<(Client, Client)>) -> Result<(Vec<Waiting>, Vec<Client>)> {
    let (mut waiting, mut senders) = (Vec::new(), Vec::new());
    for (queue, (mut receiver, sender)) in queues.iter().zip(clients) {
        let receive = queue.receive(1, 20)?;
        waiting.push(tokio::spawn(async move {
            let answer = receiver.ask(&receive).await?;
            let at = Instant::now();
            match messages(&answer.value()?).len() {
                1 => Ok((receiver, at)),
                count => Err(format!("a queue has {count} messages").into()),
            }
        }));
        senders.push(sender);
    }
    Ok((waiting, senders))
}
