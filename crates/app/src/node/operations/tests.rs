use lambent_core::ids::{AccountId, Region};

use super::*;

fn made(service: &str, action: &str, input: &str) -> Result<Request, Unfit> {
    let (account, region) = (AccountId::new("000000000000").unwrap(), Region::new("us-east-1").unwrap());
    let role_arn = "arn:aws:iam::000000000000:role/r";
    let call = OperationCall { account: &account, region: &region, role_arn, service, action, input };
    let id = RequestId::new("00000000-0000-4000-8000-000000000001").unwrap();
    request(service_named(service).unwrap(), &call, id)
}

fn text(request: &Request) -> &str {
    str::from_utf8(&request.body).unwrap()
}

#[test]
fn operations_are_found_by_the_names_of_sdks() {
    let inner = Inner::default();
    for (service, action, expected) in [
        ("sqs", "sendMessage", Ok(())),
        ("sns", "publishBatch", Ok(())),
        ("lambda", "invoke", Ok(())),
        ("lambda", "invokeWithResponseStream", Err(NoOperation::Action)),
        ("lambda", "createCapacityProvider", Err(NoOperation::Action)),
        ("eventbridge", "putEvents", Ok(())),
        ("eventbridge", "createEndpoint", Err(NoOperation::Action)),
        ("scheduler", "deleteSchedule", Ok(())),
        ("cloudwatchlogs", "createLogGroup", Ok(())),
        ("sqs", "nothing", Err(NoOperation::Action)),
        ("sqs", "", Err(NoOperation::Action)),
        ("dynamodb", "putItem", Err(NoOperation::Service)),
    ] {
        assert_eq!(inner.find(service, action), expected, "{service} {action}");
    }
}

#[test]
fn each_service_is_asked_in_its_protocol() {
    let sent = made("sqs", "sendMessage", r#"{"QueueUrl":"u"}"#).unwrap();
    assert_eq!(
        (sent.header("x-amz-target"), text(&sent)),
        (Some("AmazonSQS.SendMessage"), r#"{"QueueUrl":"u"}"#)
    );
    let published = made(
        "sns",
        "publish",
        r#"{"TopicArn":"a:b","Message":"m&","MessageAttributes":{"k":{"DataType":"String","StringValue":"v"}}}"#,
    );
    let published = published.unwrap();
    let fields: Vec<&str> = text(&published).split('&').collect();
    assert_eq!(fields[0], "Action=Publish");
    for field in ["TopicArn=a%3Ab", "Message=m%26", "MessageAttributes.entry.1.Name=k"] {
        assert!(fields.contains(&field), "{field} {fields:?}");
    }
    let invoked = made(
        "lambda",
        "invoke",
        r#"{"FunctionName":"f","InvocationType":"Event","Payload":"{}","Qualifier":"q"}"#,
    );
    let invoked = invoked.unwrap();
    assert_eq!(
        (invoked.method.as_str(), invoked.path.as_str()),
        ("POST", "/2015-03-31/functions/f/invocations")
    );
    assert_eq!((invoked.header("x-amz-invocation-type"), text(&invoked)), (Some("Event"), "{}"));
    assert_eq!(invoked.query_value("Qualifier"), Some("q"));
    let deleted = made("scheduler", "deleteSchedule", r#"{"Name":"a","GroupName":"g"}"#).unwrap();
    assert_eq!((deleted.method.as_str(), deleted.path.as_str()), ("DELETE", "/schedules/a"));
    assert_eq!((deleted.query_value("groupName"), text(&deleted)), (Some("g"), ""));
    let untagged = made("lambda", "untagResource", r#"{"Resource":"arn:x","TagKeys":["a","b"]}"#).unwrap();
    assert_eq!(untagged.path, "/2017-03-31/tags/arn%3Ax");
    assert_eq!(
        untagged.query,
        [("tagKeys".to_owned(), "a".to_owned()), ("tagKeys".to_owned(), "b".to_owned())]
    );
}

#[test]
fn an_input_that_fits_no_operation_is_told() {
    for (service, action, input, word) in [
        ("sqs", "sendMessage", "[]", "no JSON object"),
        ("sns", "publish", r#"{"Nothing":1}"#, "Nothing"),
        ("sns", "publish", r#"{"Message":1}"#, "another kind"),
        ("lambda", "invoke", "{}", "FunctionName"),
        ("lambda", "invoke", r#"{"FunctionName":"f","More":1}"#, "More"),
    ] {
        let unfit = made(service, action, input).unwrap_err();
        assert!(unfit.contains(word), "{unfit}");
    }
}

#[test]
fn a_refusal_is_read_in_any_protocol() {
    let read = |status: u16, header: Option<(&'static str, &'static str)>, body: &'static str| {
        let mut response = Response::new(Bytes::from_static(body.as_bytes()));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let OperationRefusal { code, message, may_pass } = refusal(&response);
        (code, message, may_pass)
    };
    let expected = |code: &str, message: &str, may_pass| (code.to_owned(), message.to_owned(), may_pass);
    let json = r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"m"}"#;
    let older = ("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender");
    assert_eq!(read(400, Some(older), json), expected("AWS.SimpleQueueService.NonExistentQueue", "m", false));
    assert_eq!(read(400, None, json), expected("QueueDoesNotExist", "m", false));
    let xml =
        "<ErrorResponse><Error><Code>NotFound</Code><Message>no topic</Message></Error></ErrorResponse>";
    assert_eq!(read(404, None, xml), expected("NotFound", "no topic", false));
    let kind = ("x-amzn-errortype", "TooManyRequestsException");
    assert_eq!(read(429, Some(kind), r#"{"Message":"m"}"#), expected("TooManyRequestsException", "m", true));
    assert_eq!(
        read(400, None, r#"{"__type":"ThrottlingException"}"#),
        expected("ThrottlingException", "", true)
    );
    assert_eq!(read(503, None, ""), expected("503", "", true));
}
