//! FilterLogEvents.

use super::*;

async fn filter(bench: &Bench, extra: Value) -> Value {
    let mut input = json!({"logGroupName": "g"});
    input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    bench.ok("FilterLogEvents", input).await
}

async fn filled() -> Bench {
    let bench = Bench::new();
    bench.make("g", "a1").await;
    for stream in ["a2", "b"] {
        bench.ok("CreateLogStream", json!({"logGroupName": "g", "logStreamName": stream})).await;
    }
    bench.put("g", "a1", &[(1, "ERROR 1"), (4, r#"{"level": "ERROR", "ms": 4}"#)]).await;
    bench.put("g", "a2", &[(2, "info 2"), (5, "ERROR 5")]).await;
    bench.put("g", "b", &[(3, "ERROR 3")]).await;
    bench
}

#[tokio::test]
async fn streams_are_interleaved_by_time_whatever_the_request_says() {
    let bench = filled().await;
    for interleaved in [true, false] {
        let answer =
            filter(&bench, json!({"filterPattern": "ERROR -level", "interleaved": interleaved})).await;
        assert_eq!(messages(&answer), ["ERROR 1", "ERROR 3", "ERROR 5"]);
        assert_eq!(answer["searchedLogStreams"], json!([]));
        assert_eq!(answer.get("nextToken"), None);
    }
    let answer = filter(&bench, json!({"filterPattern": "{ $.ms >= 4 }"})).await;
    let event = &answer["events"][0];
    assert_eq!((&event["logStreamName"], &event["timestamp"]), (&json!("a1"), &json!(bench.at(4))));
    assert_eq!(event["ingestionTime"], bench.now());
    assert_eq!(event["eventId"].as_str().unwrap().len(), 56);
}

#[tokio::test]
async fn streams_are_chosen_by_name_or_prefix() {
    let bench = filled().await;
    let answer = filter(&bench, json!({"logStreamNames": ["b", "a2"]})).await;
    assert_eq!(messages(&answer), ["info 2", "ERROR 3", "ERROR 5"]);
    let answer = filter(&bench, json!({"logStreamNamePrefix": "a", "filterPattern": "ERROR"})).await;
    assert_eq!(messages(&answer).len(), 3);
    let both = json!({"logGroupName": "g", "logStreamNamePrefix": "a", "logStreamNames": ["b"]});
    assert_eq!(bench.fault("FilterLogEvents", both).await.0, "InvalidParameterException");
}

#[tokio::test]
async fn both_ends_of_the_range_are_inside() {
    let bench = filled().await;
    let answer = filter(&bench, json!({"startTime": bench.at(2), "endTime": bench.at(3)})).await;
    assert_eq!(messages(&answer), ["info 2", "ERROR 3"]);
}

#[tokio::test]
async fn pages_join_without_gap_or_repetition() {
    let bench = filled().await;
    for limit in 1..5 {
        let mut found = Vec::new();
        let mut token = Value::Null;
        loop {
            let input = json!({"filterPattern": "ERROR", "limit": limit, "nextToken": token});
            let page = filter(&bench, input).await;
            assert!(messages(&page).len() <= limit);
            found.extend(messages(&page).into_iter().map(str::to_owned));
            token = page["nextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        assert_eq!(found.len(), 4, "by {limit}: {found:?}");
    }
    let bad = json!({"logGroupName": "g", "nextToken": "made up"});
    assert_eq!(bench.fault("FilterLogEvents", bad).await.1, "The specified nextToken is invalid.");
}

#[tokio::test]
async fn a_pattern_that_is_none_is_refused() {
    let bench = filled().await;
    let input = json!({"logGroupName": "g", "filterPattern": "foo.bar"});
    let (code, message) = bench.fault("FilterLogEvents", input).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("InvalidParameterException", "Invalid character(s) in term 'foo.bar'")
    );
    let long = json!({"logGroupName": "g", "filterPattern": "x".repeat(1025)});
    assert!(bench.fault("FilterLogEvents", long).await.1.contains("at 'filterPattern'"));
}

#[tokio::test]
async fn a_search_that_finds_little_gives_up_in_time_and_says_where_to_go_on() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    let text = "x".repeat(1_000_000);
    for offset in 0..40 {
        bench.put("g", "s", &[(offset, &text)]).await;
    }
    bench.put("g", "s", &[(41, "needle")]).await;
    let first = filter(&bench, json!({"filterPattern": "needle"})).await;
    assert_eq!(messages(&first), [""; 0]);
    let second = filter(&bench, json!({"filterPattern": "needle", "nextToken": first["nextToken"]})).await;
    assert_eq!(messages(&second), ["needle"]);
    assert_eq!(second.get("nextToken"), None);
}
