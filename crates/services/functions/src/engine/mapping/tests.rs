use std::collections::BTreeMap;
use std::collections::HashSet;
use std::time::Duration;

use lambent_core::ids::{AccountId, FunctionName, Region};
use lambent_core::limits::SYNC_PAYLOAD_BYTES_MAX;
use lambent_core::ports::{Pulled, QueueFacts};
use lambent_core::time::Timestamp;
use lambent_store::functions::{FunctionKey, MappingRecord, MappingState, PollersRecord};
use serde_json::json;

use super::filter::Filters;
use super::gather::Gather;
use super::judge::{Item, failed};
use super::scale::Scale;
use super::*;
use crate::error::Error;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + ms)
}

fn called() -> Called {
    let key = FunctionKey {
        account: AccountId::new("000000000000").unwrap(),
        region: Region::new("eu-west-1").unwrap(),
        name: FunctionName::new("f").unwrap(),
    };
    Called { key, qualifier: None, timeout_secs: 30 }
}

fn made(asked: &Asked) -> MappingRecord {
    create("id".into(), &called(), "arn:aws:sqs:eu-west-1:0:q".into(), BTreeMap::new(), asked, at(0))
}

const STANDARD: QueueFacts = QueueFacts { is_fifo: false, visibility: Duration::from_secs(30) };
const FIFO: QueueFacts = QueueFacts { is_fifo: true, ..STANDARD };

#[test]
fn a_mapping_comes_to_rest_where_it_was_sent() {
    let rest = |record: &MappingRecord| match settle(record) {
        Settled::Becomes(settled) => settled,
        other => panic!("{other:?}"),
    };
    let on = rest(&made(&Asked::default()));
    assert_eq!((on.state, on.generation), (MappingState::Enabled, 2));
    assert_eq!(settle(&on), Settled::Rests);
    let off = Asked { enabled: Some(false), ..Asked::default() };
    assert_eq!(rest(&made(&off)).state, MappingState::Disabled);
    let going = update(&on, None, &off, at(1)).unwrap();
    assert_eq!(going.state, MappingState::Disabling);
    for refused in [update(&going, None, &Asked::default(), at(2)), delete(&going, at(2))] {
        assert!(matches!(refused, Err(Error::MappingInUse { .. })), "{refused:?}");
    }
    let off = rest(&going);
    let larger = Asked { batch_size: Some(7), ..Asked::default() };
    let changed = update(&off, None, &larger, at(3)).unwrap();
    assert_eq!((changed.state, changed.batch_size), (MappingState::Updating { enabled: false }, 7));
    assert_eq!(rest(&changed).state, MappingState::Disabled);
    let enabled = Asked { enabled: Some(true), ..Asked::default() };
    assert_eq!(update(&off, None, &enabled, at(3)).unwrap().state, MappingState::Enabling);
    let gone = delete(&on, at(4)).unwrap();
    assert_eq!((gone.state, settle(&gone)), (MappingState::Deleting, Settled::Goes));
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let asked = Asked::default;
    let pollers = |minimum, maximum| Asked {
        provisioned: Some(Some(PollersRecord { minimum, maximum })),
        ..Asked::default()
    };
    let eleven = Asked { batch_size: Some(11), ..asked() };
    let windowed = Asked { window_secs: Some(1), ..eleven.clone() };
    let both = Asked { maximum_concurrency: Some(Some(2)), ..pollers(None, Some(5)) };
    let cases = [
        (eleven.clone(), STANDARD, Some(Error::WindowNeeded)),
        (windowed.clone(), STANDARD, None),
        (eleven, FIFO, Some(Error::BatchTooLargeForFifo)),
        (Asked { window_secs: Some(1), ..asked() }, FIFO, Some(Error::WindowOnFifo)),
        (Asked { batch_size: Some(10), ..asked() }, FIFO, None),
        (both, STANDARD, Some(Error::ConcurrencyWithPollers)),
        (pollers(Some(9), Some(8)), STANDARD, Some(Error::PollersReversed { minimum: 9, maximum: 8 })),
        (pollers(Some(8), None), STANDARD, None),
    ];
    for (asked, queue, refusal) in cases {
        assert_eq!(check(&made(&asked), queue, 30).err(), refusal, "{asked:?}");
    }
    let short = Error::VisibilityTooShort { visibility_secs: 30, timeout_secs: 31 };
    assert_eq!(check(&made(&asked()), STANDARD, 31), Err(short));
}

#[test]
fn a_batch_is_full_by_number_by_size_or_by_time() {
    let mut gather = Gather::new(3, Duration::from_secs(2));
    assert!(gather.add(1, 10, at(0)).is_empty() && gather.add(2, 10, at(500)).is_empty());
    assert_eq!(gather.add(3, 10, at(600)), [vec![1, 2, 3]]);
    assert_eq!((gather.due(), gather.len()), (None, 0));
    assert!(gather.add(4, 10, at(1_000)).is_empty());
    assert_eq!(gather.due(), Some(at(3_000)), "the first message opens the window");
    assert!(gather.add(5, 10, at(2_000)).is_empty());
    assert_eq!(gather.take_due(at(2_999)), None);
    assert_eq!(gather.take_due(at(3_000)), Some(vec![4, 5]));
    let half = SYNC_PAYLOAD_BYTES_MAX / 2;
    assert!(gather.add(6, half, at(0)).is_empty());
    assert_eq!(gather.add(7, half, at(0)), [vec![6]], "both would not fit into a payload");
    gather.set(1, Duration::ZERO);
    assert_eq!(gather.take_due(at(0)), Some(vec![7]), "a smaller number is for the open batch too");
    assert_eq!(gather.add(8, 2 * SYNC_PAYLOAD_BYTES_MAX, at(0)), [vec![8]]);
}

#[test]
fn pollers_come_with_messages_that_wait_and_go_again() {
    let mut scale = Scale::new(&made(&Asked::default()), false);
    assert_eq!(scale.now(), 5);
    assert_eq!(scale.is_short(at(0)), Some(at(200)), "300 a minute");
    scale.is_short(at(199));
    assert_eq!(scale.now(), 5);
    scale.is_short(at(200));
    assert_eq!(scale.now(), 6);
    scale.is_short(at(60_000));
    assert_eq!(scale.now(), 305);
    assert_eq!(scale.is_short(at(600_000)), None);
    assert_eq!(scale.now(), 1_250);
    scale.is_ample(at(600_000));
    scale.is_ample(at(660_000));
    assert_eq!(scale.now(), 950);
    scale.is_ample(at(6_600_000));
    assert_eq!(scale.now(), 5);
}

#[test]
fn there_are_as_many_pollers_as_the_settings_say() {
    let with = |asked: Asked, is_fifo| {
        let mut scale = Scale::new(&made(&asked), is_fifo);
        let first = scale.now();
        scale.is_short(at(0));
        scale.is_short(at(6_000_000));
        (first, scale.now())
    };
    let limit = |most| Asked { maximum_concurrency: Some(Some(most)), ..Asked::default() };
    assert_eq!(with(limit(2), false), (2, 2));
    assert_eq!(with(limit(30), false), (5, 30));
    assert_eq!(with(limit(30), true), (30, 30), "a FIFO queue's groups say how many");
    assert_eq!(with(Asked::default(), true), (1_250, 1_250));
    let pollers = PollersRecord { minimum: Some(3), maximum: Some(4) };
    let provisioned = Asked { provisioned: Some(Some(pollers)), ..Asked::default() };
    assert_eq!(with(provisioned, false), (30, 40));
}

#[test]
fn where_there_is_no_room_there_are_fewer_pollers() {
    let mut scale = Scale::new(&made(&Asked::default()), false);
    scale.is_short(at(0));
    scale.is_short(at(20_000));
    assert_eq!(scale.now(), 105);
    scale.found_no_room(10, at(20_000));
    assert_eq!(scale.now(), 10);
    scale.is_short(at(21_000));
    assert_eq!(scale.now(), 15);
    scale.found_no_room(0, at(21_000));
    assert_eq!(scale.now(), 1);
}

#[test]
fn an_answer_says_which_messages_failed() {
    let batch = ["a", "b", "c"].map(|id| Item { id, group: None });
    let of = |answer: &str| failed(answer.as_bytes(), &batch);
    for all_well in ["null", "{}", "{\"batchItemFailures\":null}", "{\"batchItemFailures\":[]}", "{\"x\":1}"]
    {
        assert_eq!(of(all_well), Ok(HashSet::new()), "{all_well}");
    }
    let two = "{\"batchItemFailures\":[{\"itemIdentifier\":\"c\"},{\"itemIdentifier\":\"a\"}]}";
    assert_eq!(of(two), Ok(HashSet::from([0, 2])));
    for all_failed in [
        "",
        "nothing",
        "5",
        "\"ok\"",
        "[]",
        "{\"batchItemFailures\":{}}",
        "{\"batchItemFailures\":[\"a\"]}",
        "{\"batchItemFailures\":[{\"itemIdentifier\":\"\"}]}",
        "{\"batchItemFailures\":[{\"itemIdentifier\":null}]}",
        "{\"batchItemFailures\":[{\"itemIdentifier\":5}]}",
        "{\"batchItemFailures\":[{\"itemidentifier\":\"a\"}]}",
        "{\"batchItemFailures\":[{\"itemIdentifier\":\"a\"},{\"itemIdentifier\":\"stranger\"}]}",
    ] {
        assert!(of(all_failed).is_err(), "{all_failed}");
    }
}

#[test]
fn nothing_of_a_group_overtakes_a_message_that_failed() {
    let batch = [("1", "g"), ("2", "h"), ("3", "g"), ("4", "h"), ("5", "g")]
        .map(|(id, group)| Item { id, group: Some(group) });
    let answer = b"{\"batchItemFailures\":[{\"itemIdentifier\":\"3\"}]}";
    assert_eq!(failed(answer, &batch), Ok(HashSet::from([2, 4])));
}

fn pulled(body: &str) -> Pulled {
    Pulled {
        id: "m-1".into(),
        receipt_handle: "r-1".into(),
        body: body.into(),
        body_md5: "5d41402abc4b2a76b9719d911017c592".into(),
        system: BTreeMap::from([("ApproximateReceiveCount".into(), "1".into())]),
        attributes: BTreeMap::from([
            ("kind".into(), ("String".into(), "order".into())),
            ("image".into(), ("Binary.png".into(), "AQI=".into())),
        ]),
        attributes_md5: Some("d".into()),
        sent: at(0),
        receives: 1,
        group: None,
    }
}

#[test]
fn a_record_is_as_the_reference_writes_it() {
    let queue = "arn:aws:sqs:eu-west-1:000000000000:q";
    let shown = record::record(&pulled("hello"), queue, "eu-west-1");
    let expected = json!({
        "messageId": "m-1", "receiptHandle": "r-1", "body": "hello",
        "attributes": { "ApproximateReceiveCount": "1" },
        "messageAttributes": {
            "kind": {
                "stringValue": "order", "stringListValues": [], "binaryListValues": [], "dataType": "String",
            },
            "image": {
                "binaryValue": "AQI=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary.png",
            },
        },
        "md5OfMessageAttributes": "d", "md5OfBody": "5d41402abc4b2a76b9719d911017c592",
        "eventSource": "aws:sqs", "eventSourceARN": queue, "awsRegion": "eu-west-1",
    });
    assert_eq!(shown, expected);
    let plain = record::record(&Pulled { attributes_md5: None, ..pulled("") }, queue, "eu-west-1");
    assert!(plain.get("md5OfMessageAttributes").is_none());
    assert_eq!(record::event(["1", "2"]), b"{\"Records\":[1,2]}");
}

#[test]
fn filters_see_what_a_body_says() {
    let want = |pattern: &str, body: &str| {
        let filters = Filters::parse(&[pattern.to_owned()]).unwrap();
        filters.want(&record::record(&pulled(body), "arn", "eu-west-1"))
    };
    let json = "{\"body\":{\"n\":[{\"numeric\":[\">\",5]}]}}";
    assert!(want(json, "{\"n\":6}") && !want(json, "{\"n\":5}"));
    assert!(!want(json, "n"), "a text where JSON is wanted");
    assert!(!want("{\"body\":{\"n\":[{\"exists\":false}]}}", "n"));
    let text = "{\"body\":[{\"prefix\":\"ab\"}]}";
    assert!(want(text, "abc") && !want(text, "bc"));
    assert!(!want("{\"body\":[\"a\"]}", "[\"a\"]"), "JSON where a text is wanted");
    let attribute = "{\"messageAttributes\":{\"kind\":{\"stringValue\":[\"order\"]}}}";
    assert!(want(attribute, "x") && want(attribute, "{}"));
    assert!(!want("{\"messageAttributes\":{\"kind\":{\"stringValue\":[\"bill\"]}}}", "x"));
    let two = [text.to_owned(), json.to_owned()];
    let record = record::record(&pulled("{\"n\":6}"), "arn", "eu-west-1");
    assert!(Filters::parse(&two).unwrap().want(&record), "one of them is enough");
    assert!(Filters::parse(&[]).unwrap().want(&record));
    for bad in ["", "{", "[]", "{\"body\":5}", "{\"body\":[{\"none\":1}]}"] {
        assert_eq!(Filters::parse(&[bad.to_owned()]).err(), Some(Error::InvalidFilter), "{bad}");
    }
}
