//! Groups, streams, retention, tags.

use std::time::Duration;

use super::*;

fn names(answer: &Value, list: &str, name: &str) -> Vec<String> {
    answer[list].as_array().unwrap().iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_group_is_described_as_the_reference_does() {
    let bench = Bench::new();
    bench.ok("CreateLogGroup", json!({"logGroupName": "/a/b", "tags": {"k": "v"}})).await;
    bench.ok("PutRetentionPolicy", json!({"logGroupName": "/a/b", "retentionInDays": 7})).await;
    let answer = bench.ok("DescribeLogGroups", json!({})).await;
    let arn = "arn:aws:logs:eu-west-1:000000000000:log-group:/a/b";
    assert_eq!(
        answer,
        json!({"logGroups": [{
            "logGroupName": "/a/b", "creationTime": bench.now(), "retentionInDays": 7, "metricFilterCount": 0,
            "arn": format!("{arn}:*"), "logGroupArn": arn, "storedBytes": 0, "logGroupClass": "STANDARD"
        }]})
    );
    let answer = bench.ok("DescribeLogGroups", json!({"logGroupNamePattern": "b"})).await;
    let brief = json!({"logGroupName": "/a/b", "creationTime": bench.now(), "arn": format!("{arn}:*")});
    assert_eq!(answer, json!({"logGroups": [brief]}));
    bench.ok("DeleteRetentionPolicy", json!({"logGroupName": "/a/b"})).await;
    let answer = bench.ok("DescribeLogGroups", json!({})).await;
    assert_eq!(answer["logGroups"][0].get("retentionInDays"), None);
}

#[tokio::test]
async fn names_that_begin_as_the_references_own_are_refused() {
    let bench = Bench::new();
    let (code, message) = bench.fault("CreateLogGroup", json!({"logGroupName": "AWS/x"})).await;
    assert_eq!(code, "InvalidParameterException");
    assert_eq!(message, "Log groups starting with AWS/ are reserved for AWS.");
    bench.ok("CreateLogGroup", json!({"logGroupName": "/aws/lambda/x"})).await;
}

#[tokio::test]
async fn groups_are_listed_by_prefix_pattern_identifier_and_page() {
    let bench = Bench::new();
    for name in ["/x/1", "/x/2", "/y/1", "Z"] {
        bench.ok("CreateLogGroup", json!({"logGroupName": name})).await;
    }
    let list =
        async |input: Value| names(&bench.ok("DescribeLogGroups", input).await, "logGroups", "logGroupName");
    assert_eq!(list(json!({"logGroupNamePrefix": "/x"})).await, ["/x/1", "/x/2"]);
    assert_eq!(list(json!({"logGroupNamePattern": "/1"})).await, ["/x/1", "/y/1"]);
    assert_eq!(list(json!({"logGroupNamePattern": "z"})).await, [""; 0]);
    assert_eq!(list(json!({"logGroupClass": "STANDARD"})).await.len(), 4);
    assert_eq!(list(json!({"logGroupClass": "DELIVERY"})).await, [""; 0]);
    let arn = "arn:aws:logs:eu-west-1:000000000000:log-group:/y/1";
    assert_eq!(list(json!({"logGroupIdentifiers": ["Z", arn, "none"]})).await, ["/y/1", "Z"]);
    let page = bench.ok("DescribeLogGroups", json!({"limit": 3})).await;
    assert_eq!(names(&page, "logGroups", "logGroupName"), ["/x/1", "/x/2", "/y/1"]);
    let rest = bench.ok("DescribeLogGroups", json!({"nextToken": page["nextToken"]})).await;
    assert_eq!(names(&rest, "logGroups", "logGroupName"), ["Z"]);
    assert_eq!(rest.get("nextToken"), None);
    for bad in [
        json!({"logGroupNamePrefix": "a", "logGroupNamePattern": "b"}),
        json!({"nextToken": "?"}),
        json!({"limit": 0}),
    ] {
        assert_eq!(bench.fault("DescribeLogGroups", bad).await.0, "InvalidParameterException");
    }
}

#[tokio::test]
async fn regions_and_accounts_do_not_see_each_other() {
    let mut bench = Bench::new();
    bench.make("g", "s").await;
    bench.caller.region = Region::new("us-east-1").unwrap();
    assert_eq!(bench.ok("DescribeLogGroups", json!({})).await, json!({"logGroups": []}));
    let arn = "arn:aws:logs:eu-west-1:000000000000:log-group:g";
    let read = json!({"logGroupIdentifier": arn, "logStreamName": "s"});
    assert_eq!(bench.fault("GetLogEvents", read).await.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn what_is_missing_and_what_is_there_already_is_said_in_the_references_words() {
    let bench = Bench::new();
    let group = || json!({"logGroupName": "g"});
    let stream = || json!({"logGroupName": "g", "logStreamName": "s"});
    let missing = |what: &str| {
        ("ResourceNotFoundException".to_owned(), format!("The specified log {what} does not exist."))
    };
    let exists = |what: &str| {
        ("ResourceAlreadyExistsException".to_owned(), format!("The specified log {what} already exists"))
    };
    for (operation, input) in [
        ("DeleteLogGroup", group()),
        ("CreateLogStream", stream()),
        ("DeleteLogStream", stream()),
        ("DescribeLogStreams", group()),
        ("GetLogEvents", stream()),
        ("FilterLogEvents", group()),
        ("DeleteRetentionPolicy", group()),
        ("ListTagsLogGroup", group()),
    ] {
        assert_eq!(bench.fault(operation, input).await, missing("group"), "{operation}");
    }
    bench.make("g", "s").await;
    assert_eq!(bench.fault("CreateLogGroup", group()).await, exists("group"));
    assert_eq!(bench.fault("CreateLogStream", stream()).await, exists("stream"));
    bench.ok("DeleteLogStream", stream()).await;
    assert_eq!(bench.fault("DeleteLogStream", stream()).await, missing("stream"));
    assert_eq!(bench.fault("GetLogEvents", stream()).await, missing("stream"));
    let named = json!({"logGroupName": "g", "logStreamNames": ["s"]});
    assert_eq!(bench.fault("FilterLogEvents", named).await, missing("stream"));
    bench.ok("DeleteLogGroup", group()).await;
    assert_eq!(bench.fault("DeleteLogGroup", group()).await, missing("group"));
}

#[tokio::test]
async fn streams_are_described_and_ordered() {
    let bench = Bench::new();
    bench.make("g", "b").await;
    bench.put("g", "b", &[(-5, "x"), (-2, "y")]).await;
    bench.say("g", "a", "a function's line").await;
    bench.ok("CreateLogStream", json!({"logGroupName": "g", "logStreamName": "c"})).await;
    let answer =
        bench.ok("DescribeLogStreams", json!({"logGroupName": "g", "logStreamNamePrefix": "b"})).await;
    let stream = &answer["logStreams"][0];
    assert_eq!(stream["firstEventTimestamp"], bench.at(-5));
    assert_eq!(stream["lastEventTimestamp"], bench.at(-2));
    assert_eq!(stream["lastIngestionTime"], bench.now());
    assert_eq!(stream["arn"], "arn:aws:logs:eu-west-1:000000000000:log-group:g:log-stream:b");
    let mut pages = Vec::new();
    let mut token = Value::Null;
    loop {
        let input = json!({"logGroupIdentifier": "g", "orderBy": "LastEventTime", "descending": true, "limit": 1,
            "nextToken": token});
        let page = bench.ok("DescribeLogStreams", input).await;
        pages.extend(names(&page, "logStreams", "logStreamName"));
        token = page["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(pages, ["a", "b", "c"]);
    let both = json!({"logGroupName": "g", "orderBy": "LastEventTime", "logStreamNamePrefix": "a"});
    assert_eq!(
        bench.fault("DescribeLogStreams", both).await.1,
        "Cannot order by LastEventTime with a logStreamNamePrefix."
    );
}

#[tokio::test]
async fn retention_takes_the_references_days_only_and_hides_what_has_expired() {
    let bench = Bench::new();
    bench.make("g", "s").await;
    for days in [0, 2, 8, -1, 10_000] {
        let (code, message) =
            bench.fault("PutRetentionPolicy", json!({"logGroupName": "g", "retentionInDays": days})).await;
        assert_eq!(code, "InvalidParameterException");
        assert!(message.contains(&format!("Value '{days}' at 'retentionInDays'")), "{message}");
    }
    bench.put("g", "s", &[(-1000, "old"), (0, "young")]).await;
    bench.ok("PutRetentionPolicy", json!({"logGroupName": "g", "retentionInDays": 1})).await;
    let read = json!({"logGroupName": "g", "logStreamName": "s"});
    assert_eq!(messages(&bench.ok("GetLogEvents", read.clone()).await), ["old", "young"]);
    bench.clock.advance(Duration::from_secs(86_400));
    assert_eq!(messages(&bench.ok("GetLogEvents", read).await), ["young"]);
    assert_eq!(messages(&bench.ok("FilterLogEvents", json!({"logGroupName": "g"})).await), ["young"]);
}

#[tokio::test]
async fn tags_are_kept_under_both_families_of_operations() {
    let bench = Bench::new();
    bench.ok("CreateLogGroup", json!({"logGroupName": "g", "tags": {"a": "1"}})).await;
    let arn = "arn:aws:logs:eu-west-1:000000000000:log-group:g";
    bench.ok("TagResource", json!({"resourceArn": arn, "tags": {"b": "2"}})).await;
    bench.ok("TagLogGroup", json!({"logGroupName": "g", "tags": {"c": "3"}})).await;
    let list = json!({"resourceArn": format!("{arn}:*")});
    let tags = bench.ok("ListTagsForResource", list).await;
    assert_eq!(tags, json!({"tags": {"a": "1", "b": "2", "c": "3"}}));
    bench.ok("UntagResource", json!({"resourceArn": arn, "tagKeys": ["a", "none"]})).await;
    bench.ok("UntagResource", json!({"resourceArn": arn, "tagKeys": []})).await;
    bench.ok("UntagLogGroup", json!({"logGroupName": "g", "tags": ["b"]})).await;
    assert_eq!(bench.ok("ListTagsLogGroup", json!({"logGroupName": "g"})).await, json!({"tags": {"c": "3"}}));
    let many: serde_json::Map<_, _> = (0..50).map(|n| (n.to_string(), json!("v"))).collect();
    let (code, _) = bench.fault("TagResource", json!({"resourceArn": arn, "tags": many})).await;
    assert_eq!(code, "TooManyTagsException");
    for bad in [
        json!({"resourceArn": arn, "tags": {"aws:x": "1"}}),
        json!({"resourceArn": arn, "tags": {"x!": "1"}}),
        json!({"resourceArn": arn, "tags": {"": "1"}}),
        json!({"resourceArn": "g", "tags": {"x": "1"}}),
        json!({"resourceArn": arn}),
    ] {
        assert_eq!(bench.fault("TagResource", bad).await.0, "InvalidParameterException");
    }
}
