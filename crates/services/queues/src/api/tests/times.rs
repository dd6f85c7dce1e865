//! What takes minutes and days, on a clock that is told.

use std::time::Duration;

use lambent_core::ports::Clock as _;
use lambent_core::time::Timestamp;

use super::*;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[tokio::test]
async fn a_message_is_kept_as_long_as_its_queue_says() {
    let bench = Bench::new();
    let url = bench.make("q", json!({ "MessageRetentionPeriod": "120", "VisibilityTimeout": "0" })).await;
    bench.send(&url, "old").await;
    bench.clock.advance(secs(119));
    assert_eq!(bench.receive(&url).await.len(), 1);
    bench.clock.advance(secs(1));
    assert_eq!(bench.receive(&url).await.len(), 0);
    // A shorter time is for what waits already, too.
    bench.send(&url, "young").await;
    bench.clock.advance(secs(61));
    let change = json!({ "QueueUrl": url, "Attributes": { "MessageRetentionPeriod": "60" } });
    bench.ok("SetQueueAttributes", change).await;
    let all = json!({ "QueueUrl": url, "AttributeNames": ["ApproximateNumberOfMessages"] });
    let shown = bench.ok("GetQueueAttributes", all).await;
    assert_eq!(shown["Attributes"]["ApproximateNumberOfMessages"], "0");
    assert_eq!(bench.receive(&url).await.len(), 0);
}

#[tokio::test]
async fn a_name_is_free_again_after_a_minute() {
    let bench = Bench::new();
    let url = bench.make("q", json!({})).await;
    bench.send(&url, "of the old queue").await;
    bench.ok("DeleteQueue", json!({ "QueueUrl": url })).await;
    bench.clock.advance(secs(59));
    assert_eq!(bench.fault("CreateQueue", json!({ "QueueName": "q" })).await, "QueueDeletedRecently");
    bench.clock.advance(secs(1));
    bench.make("q", json!({})).await;
    assert_eq!(bench.receive(&url).await.len(), 0);
}

#[tokio::test]
async fn a_queue_is_purged_once_a_minute() {
    let bench = Bench::new();
    let url = bench.make("q", json!({})).await;
    let purge = || bench.call("PurgeQueue", json!({ "QueueUrl": url }));
    assert_eq!(purge().await.0, 200);
    bench.clock.advance(secs(59));
    assert_eq!(purge().await.1["__type"], "com.amazonaws.sqs#PurgeQueueInProgress");
    bench.clock.advance(secs(1));
    assert_eq!(purge().await.0, 200);
}

#[tokio::test]
async fn a_repeated_message_is_one_for_five_minutes() {
    let bench = Bench::new();
    let fifo = json!({ "FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "0" });
    let url = bench.make("q.fifo", fifo).await;
    let send = json!({ "QueueUrl": url, "MessageBody": "m", "MessageGroupId": "g" });
    let first = bench.ok("SendMessage", send.clone()).await;
    bench.clock.advance(secs(299));
    assert_eq!(bench.ok("SendMessage", send.clone()).await["MessageId"], first["MessageId"]);
    bench.clock.advance(secs(1));
    assert_ne!(bench.ok("SendMessage", send).await["MessageId"], first["MessageId"]);
}

#[tokio::test]
async fn nothing_is_in_flight_for_more_than_twelve_hours() {
    let bench = Bench::new();
    let url = bench.make("q", json!({ "VisibilityTimeout": "43200" })).await;
    bench.send(&url, "m").await;
    let handle = bench.receive(&url).await[0]["ReceiptHandle"].clone();
    bench.clock.advance(secs(1));
    let change = |secs| json!({ "QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": secs });
    let code = bench.fault("ChangeMessageVisibility", change(43_200)).await;
    assert_eq!(code, "InvalidParameterValueException");
    bench.ok("ChangeMessageVisibility", change(43_199)).await;
}

#[tokio::test]
async fn a_message_keeps_its_time_in_the_dead_letters() {
    let bench = Bench::new();
    let dead = bench.make("dead", json!({ "MessageRetentionPeriod": "120" })).await;
    let policy =
        json!({ "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:000000000000:dead", "maxReceiveCount": 1 });
    let redrive = json!({ "RedrivePolicy": policy.to_string(), "VisibilityTimeout": "0" });
    let url = bench.make("q", redrive).await;
    bench.send(&url, "m").await;
    bench.receive(&url).await;
    bench.clock.advance(secs(100));
    assert_eq!(bench.receive(&url).await.len(), 0);
    bench.clock.advance(secs(20));
    assert_eq!(bench.receive(&dead).await.len(), 0);
}

#[tokio::test]
async fn a_receive_that_waits_is_woken_and_one_that_stops_is_answered() {
    let bench = Bench::new();
    let url = bench.make("q", json!({})).await;
    let input = json!({ "QueueUrl": url, "WaitTimeSeconds": 20 });
    let (got, ()) = tokio::join!(bench.ok("ReceiveMessage", input.clone()), bench.send(&url, "m"));
    assert_eq!(got["Messages"][0]["Body"], "m");
    let (got, ()) = tokio::join!(bench.ok("ReceiveMessage", input), async { bench.queues.stop() });
    assert_eq!(got, json!({}));
}

#[tokio::test]
async fn a_clock_that_jumps_loses_no_message_and_keeps_the_order_of_groups() {
    for name in ["q", "q.fifo"] {
        let bench = Bench::new();
        let is_fifo = name.ends_with(".fifo");
        let fifo = json!({ "FifoQueue": "true", "ContentBasedDeduplication": "true" });
        let url = bench.make(name, if is_fifo { fifo } else { json!({}) }).await;
        let began = bench.clock.now();
        let mut sent = Vec::new();
        // An hour on, ten minutes back, a day on, and back to where it began.
        for (n, millis) in [0, 3_600_000, 3_000_000, 86_400_000, 0].into_iter().enumerate() {
            bench.clock.set(Timestamp::from_millis(began.as_millis() + millis));
            let mut message = json!({ "QueueUrl": url, "MessageBody": n.to_string() });
            if is_fifo {
                message["MessageGroupId"] = "g".into();
            }
            bench.ok("SendMessage", message).await;
            sent.push(n.to_string());
            // What is in flight at the jump comes back.
            bench.receive(&url).await;
        }
        bench.clock.advance(secs(2 * 86_400));
        let mut found = Vec::new();
        loop {
            let asked = json!({ "QueueUrl": url, "VisibilityTimeout": 43_200 });
            let answer = bench.ok("ReceiveMessage", asked).await;
            let Some(messages) = answer["Messages"].as_array() else { break };
            for message in messages {
                found.push(message["Body"].as_str().unwrap().to_owned());
                let receipt = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
                bench.ok("DeleteMessage", receipt).await;
            }
        }
        if !is_fifo {
            found.sort();
        }
        assert_eq!(found, sent, "{name}");
    }
}
