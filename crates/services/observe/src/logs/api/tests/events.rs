//! PutLogEvents and GetLogEvents.

use super::*;

async fn get(bench: &Bench, extra: Value) -> Value {
    let mut input = json!({"logGroupName": "g", "logStreamName": "s"});
    input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    bench.ok("GetLogEvents", input).await
}

async fn put_fault(bench: &Bench, events: Value) -> String {
    let input = json!({"logGroupName": "g", "logStreamName": "s", "logEvents": events});
    let (code, message) = bench.fault("PutLogEvents", input).await;
    assert_eq!(code, "InvalidParameterException");
    message
}

#[tokio::test]
async fn events_are_there_as_soon_as_they_are_acknowledged() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    let answer = bench.put("g", "s", &[(-2, "one"), (-1, "two")]).await;
    assert!(answer["nextSequenceToken"].is_string());
    let events = get(&bench, json!({})).await["events"].clone();
    assert_eq!(
        events,
        json!([
            {"timestamp": bench.at(-2), "message": "one", "ingestionTime": bench.now()},
            {"timestamp": bench.at(-1), "message": "two", "ingestionTime": bench.now()},
        ])
    );
}

#[tokio::test]
async fn a_functions_line_is_there_as_soon_as_it_was_taken() {
    let bench = Bench::new();
    bench.say("g", "s", "hello").await;
    assert_eq!(messages(&get(&bench, json!({})).await), ["hello"]);
    bench.say("g", "s", "again").await;
    assert_eq!(
        messages(&bench.ok("FilterLogEvents", json!({"logGroupName": "g"})).await),
        ["hello", "again"]
    );
}

#[tokio::test]
async fn events_can_be_put_into_a_stream_that_only_waiting_lines_have_made() {
    let bench = Bench::new();
    bench.say("g", "s", "a").await;
    bench.put("g", "s", &[(1, "b")]).await;
    bench.say("g", "t", "c").await;
    bench.put("g", "t", &[(1, "d")]).await;
    assert_eq!(messages(&get(&bench, json!({})).await), ["a", "b"]);
}

#[tokio::test]
async fn a_deleted_group_does_not_come_back_with_lines_from_before() {
    let bench = Bench::new();
    bench.say("g", "s", "before").await;
    bench.ok("DeleteLogGroup", json!({"logGroupName": "g"})).await;
    assert!(bench.logs.flush().await);
    assert_eq!(bench.ok("DescribeLogGroups", json!({})).await, json!({"logGroups": []}));
}

#[tokio::test]
async fn a_batch_is_judged_by_the_references_limits() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    let event = |time: u64, text: &str| json!({"timestamp": time, "message": text});
    let now = bench.now();
    assert_eq!(
        put_fault(&bench, json!([event(now, "a"), event(now - 1, "b")])).await,
        "Log events in a single PutLogEvents request must be in chronological order."
    );
    assert_eq!(
        put_fault(&bench, json!([event(now - 86_400_001, "a"), event(now, "b")])).await,
        "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
    );
    let large = "x".repeat(1_048_576 - 25);
    assert_eq!(
        put_fault(&bench, json!([event(now, &large)])).await,
        "Upload too large: 1048577 bytes exceeds limit of 1048576"
    );
    assert!(put_fault(&bench, json!([])).await.contains("at 'logEvents'"));
    assert!(put_fault(&bench, json!([event(now, "")])).await.contains("at 'logEvents.1.member.message'"));
    assert!(put_fault(&bench, json!([{"message": "x"}])).await.contains("at 'logEvents.1.member.timestamp'"));
    let all_wrong: Vec<_> = (0..10_000).map(|_| json!({})).collect();
    assert!(put_fault(&bench, json!(all_wrong)).await.len() < 10_000);
    let unknown = json!([{"timestamp": now, "message": "x", "extra": 1}]);
    assert!(put_fault(&bench, unknown).await.contains("'logEvents.1.member.extra' is not supported"));
    let many: Vec<_> = (0..10_001).map(|_| event(now, "x")).collect();
    assert!(put_fault(&bench, json!(many)).await.contains("less than or equal to 10000"));
    assert_eq!(messages(&get(&bench, json!({})).await), [""; 0], "nothing of them was stored");
    let exact = "x".repeat(1_048_576 - 26);
    bench.put("g", "s", &[(0, &exact)]).await;
    assert_eq!(messages(&get(&bench, json!({})).await), [exact.as_str()]);
}

#[tokio::test]
async fn events_too_old_or_too_new_are_rejected_and_the_others_kept() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    let (hour, day) = (3_600_000, 86_400_000);
    let answer = bench
        .put(
            "g",
            "s",
            &[
                (-15 * day, "old"),
                (-14 * day - 1, "old"),
                (0, "kept"),
                (2 * hour, "kept too"),
                (2 * hour + 1, "new"),
            ],
        )
        .await;
    assert_eq!(
        answer["rejectedLogEventsInfo"],
        json!({"tooOldLogEventEndIndex": 2, "tooNewLogEventStartIndex": 4})
    );
    assert_eq!(messages(&get(&bench, json!({})).await), ["kept", "kept too"]);
    bench.ok("PutRetentionPolicy", json!({"logGroupName": "g", "retentionInDays": 3})).await;
    let answer = bench.put("g", "s", &[(-4 * day, "expired"), (1, "third")]).await;
    assert_eq!(answer["rejectedLogEventsInfo"], json!({"expiredLogEventEndIndex": 1}));
    let answer = bench.put("g", "s", &[(-20 * day, "only")]).await;
    assert_eq!(
        answer["rejectedLogEventsInfo"],
        json!({"tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 1})
    );
    assert_eq!(messages(&get(&bench, json!({})).await), ["kept", "third", "kept too"]);
}

#[tokio::test]
async fn any_sequence_token_is_accepted_and_an_entity_is_rejected_as_the_reference_rejects_one() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    let answer = bench
        .ok(
            "PutLogEvents",
            json!({"logGroupName": "g", "logStreamName": "s", "sequenceToken": "whatever",
            "logEvents": [{"timestamp": bench.now(), "message": "x"}],
            "entity": {"keyAttributes": {"Type": "Service", "Name": "n"}}}),
        )
        .await;
    assert_eq!(answer["rejectedEntityInfo"]["errorType"], "UnsupportedLogGroupType");
    assert_eq!(messages(&get(&bench, json!({})).await), ["x"]);
}

#[tokio::test]
async fn a_stream_is_walked_forward_to_its_end_and_followed() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    bench.put("g", "s", &[(1, "1"), (2, "2"), (2, "3"), (2, "4"), (5, "5")]).await;
    let page = get(&bench, json!({"startFromHead": true, "limit": 2})).await;
    assert_eq!(messages(&page), ["1", "2"]);
    let page = get(&bench, json!({"nextToken": page["nextForwardToken"], "limit": 2})).await;
    assert_eq!(messages(&page), ["3", "4"]);
    let last = get(&bench, json!({"nextToken": page["nextForwardToken"]})).await;
    assert_eq!(messages(&last), ["5"]);
    let end = get(&bench, json!({"nextToken": last["nextForwardToken"]})).await;
    assert_eq!(messages(&end), [""; 0]);
    assert_eq!(end["nextForwardToken"], last["nextForwardToken"], "the end gives the same token back");
    bench.put("g", "s", &[(6, "6")]).await;
    let more = get(&bench, json!({"nextToken": end["nextForwardToken"]})).await;
    assert_eq!(messages(&more), ["6"]);
    let back = get(&bench, json!({"nextToken": more["nextBackwardToken"], "limit": 2})).await;
    assert_eq!(messages(&back), ["4", "5"]);
}

#[tokio::test]
async fn a_stream_is_walked_backward_from_its_end() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    bench.put("g", "s", &[(1, "1"), (2, "2"), (3, "3")]).await;
    let page = get(&bench, json!({"limit": 2})).await;
    assert_eq!(messages(&page), ["2", "3"]);
    let page = get(&bench, json!({"nextToken": page["nextBackwardToken"]})).await;
    assert_eq!(messages(&page), ["1"]);
    let end = get(&bench, json!({"nextToken": page["nextBackwardToken"]})).await;
    assert_eq!(messages(&end), [""; 0]);
    assert_eq!(end["nextBackwardToken"], page["nextBackwardToken"]);
    let forward = get(&bench, json!({"nextToken": end["nextForwardToken"]})).await;
    assert_eq!(messages(&forward), ["1", "2", "3"]);
}

#[tokio::test]
async fn an_empty_stream_gives_a_token_that_sees_what_comes() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    for from_head in [true, false] {
        let empty = get(&bench, json!({"startFromHead": from_head})).await;
        let again = get(&bench, json!({"nextToken": empty["nextForwardToken"]})).await;
        assert_eq!(again["nextForwardToken"], empty["nextForwardToken"]);
        bench.put("g", "s", &[(-1000, "x")]).await;
        let page = get(&bench, json!({"nextToken": again["nextForwardToken"]})).await;
        assert!(messages(&page).contains(&"x"));
    }
}

#[tokio::test]
async fn the_start_is_inside_the_range_and_the_end_is_not() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    bench.put("g", "s", &[(1, "1"), (2, "2"), (3, "3")]).await;
    let page = get(&bench, json!({"startTime": bench.at(2), "endTime": bench.at(3)})).await;
    assert_eq!(messages(&page), ["2"]);
    let page = get(&bench, json!({"startTime": bench.at(3), "endTime": bench.at(1)})).await;
    assert_eq!(messages(&page), [""; 0]);
}

#[tokio::test]
async fn a_page_holds_one_megabyte_at_the_most() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    let text = "x".repeat(400_000);
    for offset in 0..4 {
        bench.put("g", "s", &[(offset, &text)]).await;
    }
    let page = get(&bench, json!({"startFromHead": true})).await;
    assert_eq!(messages(&page).len(), 2);
    let page = get(&bench, json!({"nextToken": page["nextForwardToken"]})).await;
    assert_eq!(messages(&page).len(), 2);
}

#[tokio::test]
async fn a_group_is_named_once_by_name_or_identifier() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    bench.put("g", "s", &[(1, "1")]).await;
    for identifier in ["g", "arn:aws:logs:eu-west-1:000000000000:log-group:g"] {
        let page =
            bench.ok("GetLogEvents", json!({"logGroupIdentifier": identifier, "logStreamName": "s"})).await;
        assert_eq!(messages(&page), ["1"]);
    }
    for bad in [
        json!({"logStreamName": "s"}),
        json!({"logGroupName": "g", "logGroupIdentifier": "g", "logStreamName": "s"}),
        json!({"logGroupIdentifier": "arn:aws:s3:::g", "logStreamName": "s"}),
        json!({"logGroupName": "g", "logStreamName": "s", "nextToken": "f/1"}),
        json!({"logGroupName": "g", "logStreamName": "s", "limit": 10_001}),
        json!({"logGroupName": "g", "logStreamName": "a:b"}),
    ] {
        assert_eq!(bench.fault("GetLogEvents", bad).await.0, "InvalidParameterException");
    }
}
