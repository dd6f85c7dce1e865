use serde_json::{Value, json};

use crate::world::{ACCOUNT, REGION, World, function, queue};

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

fn asked(expression: &str, name: &str) -> Value {
    json!({
        "ScheduleExpression": expression, "FlexibleTimeWindow": { "Mode": "OFF" },
        "Target": { "Arn": function(name), "RoleArn": ROLE },
    })
}

fn with(mut asked: Value, path: &str, value: Value) -> Value {
    match path.split_once('.') {
        Some((outer, inner)) => asked[outer][inner] = value,
        None => asked[path] = value,
    }
    asked
}

async fn create(world: &World, name: &str, input: Value) -> Value {
    world.rest("POST", &format!("/schedules/{name}"), input).await
}

async fn fired(world: &World) -> Vec<String> {
    world.events.fire_due_once().await.unwrap();
    world.called().await
}

#[tokio::test]
async fn a_schedule_is_made_shown_changed_listed_and_deleted() {
    let world = World::new();
    let now = world.now().as_millis() as f64 / 1000.0;
    let input = json!({
        "ScheduleExpression": "cron(0 9 * * ? *)", "ScheduleExpressionTimezone": "Europe/Berlin",
        "StartDate": now, "EndDate": now + 86_400.0, "Description": "d", "State": "DISABLED",
        "FlexibleTimeWindow": { "Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5 }, "ActionAfterCompletion": "DELETE",
        "Target": { "Arn": function("f"), "RoleArn": ROLE, "Input": "{}",
            "RetryPolicy": { "MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 3 } },
    });
    let arn = format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/s");
    assert_eq!(create(&world, "s", input.clone()).await, json!({ "ScheduleArn": arn }));
    let mut wanted = input;
    for (member, value) in [
        ("Arn", json!(arn)),
        ("Name", json!("s")),
        ("GroupName", json!("default")),
        ("CreationDate", json!(now)),
        ("LastModificationDate", json!(now)),
    ] {
        wanted[member] = value;
    }
    assert_eq!(world.rest("GET", "/schedules/s", Value::Null).await, wanted);
    world.pass(10);
    world.rest("PUT", "/schedules/s", asked("rate(1 hour)", "g")).await;
    let shown = world.rest("GET", "/schedules/s?groupName=default", Value::Null).await;
    assert_eq!(
        (&shown["State"], &shown["Description"], &shown["ActionAfterCompletion"]),
        (&json!("ENABLED"), &Value::Null, &json!("NONE"))
    );
    assert_eq!(
        (&shown["ScheduleExpressionTimezone"], &shown["FlexibleTimeWindow"]),
        (&json!("UTC"), &json!({ "Mode": "OFF" }))
    );
    assert_eq!((&shown["CreationDate"], &shown["LastModificationDate"]), (&json!(now), &json!(now + 10.0)));
    assert_eq!(
        shown["Target"]["RetryPolicy"],
        json!({ "MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185 })
    );
    for name in ["t", "u"] {
        create(&world, name, with(asked("rate(1 hour)", "f"), "State", json!("DISABLED"))).await;
    }
    let names = |page: &Value| {
        let all = page["Schedules"].as_array().unwrap().iter();
        all.map(|schedule| schedule["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = world.rest("GET", "/schedules?MaxResults=2", Value::Null).await;
    assert_eq!(names(&first), ["s", "t"]);
    let next = format!("/schedules?MaxResults=2&NextToken={}", first["NextToken"].as_str().unwrap());
    assert_eq!(names(&world.rest("GET", &next, Value::Null).await), ["u"]);
    assert_eq!(names(&world.rest("GET", "/schedules?State=ENABLED", Value::Null).await), ["s"]);
    assert_eq!(
        names(&world.rest("GET", "/schedules?NamePrefix=t&ScheduleGroup=default", Value::Null).await),
        ["t"]
    );
    world.rest("DELETE", "/schedules/s?clientToken=x", Value::Null).await;
    for (method, path, input) in [
        ("GET", "/schedules/s", Value::Null),
        ("DELETE", "/schedules/s", Value::Null),
        ("PUT", "/schedules/s", asked("rate(1 hour)", "g")),
    ] {
        let refused = world.rest_refused(method, path, input).await;
        assert_eq!(refused, (404, "ResourceNotFoundException".into(), "Schedule s does not exist.".into()));
    }
}

#[tokio::test]
async fn the_same_request_twice_makes_one_schedule() {
    let world = World::new();
    let input = with(asked("rate(1 hour)", "f"), "ClientToken", json!("token"));
    assert_eq!(create(&world, "s", input.clone()).await, create(&world, "s", input.clone()).await);
    for other in [with(input, "ClientToken", json!("other")), asked("rate(1 hour)", "f")] {
        let refused = world.rest_refused("POST", "/schedules/s", other).await;
        assert_eq!(refused, (409, "ConflictException".into(), "Schedule s already exists.".into()));
    }
}

#[tokio::test]
async fn what_is_no_schedule_is_refused() {
    let world = World::new();
    let good = || asked("rate(1 hour)", "f");
    let now = world.now().as_secs();
    let bus = format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default");
    let on_bus = || with(good(), "Target.Arn", json!(bus));
    let parameters = |source: &str| json!({ "Source": source, "DetailType": "t" });
    for (input, message) in [
        (with(good(), "ScheduleExpression", json!("rate(x)")), "Invalid Schedule Expression rate(x)."),
        (
            with(good(), "ScheduleExpressionTimezone", json!("Mars/Base")),
            "Invalid ScheduleExpressionTimezone Mars/Base.",
        ),
        (
            with(good(), "StartDate", json!(now - 301)),
            "The StartDate you specify cannot be earlier than 5 minutes ago.",
        ),
        (
            with(good(), "EndDate", json!(now - 301)),
            "The EndDate you specify cannot be earlier than 5 minutes ago.",
        ),
        (
            with(with(good(), "EndDate", json!(now + 9)), "StartDate", json!(now + 9)),
            "The StartDate you specify must come before the EndDate.",
        ),
        (
            with(good(), "FlexibleTimeWindow.Mode", json!("FLEXIBLE")),
            "MaximumWindowInMinutes must be specified when the flexible time window is FLEXIBLE.",
        ),
        (
            with(good(), "FlexibleTimeWindow.MaximumWindowInMinutes", json!(1)),
            "MaximumWindowInMinutes must not be specified when the flexible time window is OFF.",
        ),
        (with(good(), "Target.Arn", json!("x")), "Provided Arn is not in correct format."),
        (
            with(good(), "Target.Arn", json!("arn:aws:kinesis:eu-west-1:000000000000:stream/s")),
            "Targets of kinesis are not supported: arn:aws:kinesis:eu-west-1:000000000000:stream/s.",
        ),
        (
            with(good(), "Target.RoleArn", json!("arn:aws:iam::111111111111:role/r")),
            "The execution role must be one of this account.",
        ),
        (with(good(), "Target.Input", json!("{")), "Input must be valid JSON for this target."),
        (
            with(good(), "Target.EventBridgeParameters", parameters("a")),
            "EventBridgeParameters are for targets that are event buses.",
        ),
        (on_bus(), "EventBridgeParameters must be specified for an event bus."),
        (
            with(on_bus(), "Target.EventBridgeParameters", parameters("aws.x")),
            "Source must not begin with aws.",
        ),
        (
            with(good(), "Target.Arn", json!(queue("q.fifo"))),
            "SqsParameters must be specified for a FIFO queue.",
        ),
        (
            with(good(), "Target.SqsParameters", json!({ "MessageGroupId": "g" })),
            "SqsParameters are for targets that are queues.",
        ),
        (
            with(good(), "Target.DeadLetterConfig", json!({ "Arn": function("f") })),
            "DeadLetterConfig must name a standard queue of this region, and \
             arn:aws:lambda:eu-west-1:000000000000:function:f is none.",
        ),
        (with(good(), "KmsKeyArn", json!("arn")), "The parameter 'KmsKeyArn' is not supported."),
        (
            with(good(), "Target.EcsParameters", json!({})),
            "The parameter 'Target.EcsParameters' is not supported.",
        ),
    ] {
        let refused = world.rest_refused("POST", "/schedules/s", input.clone()).await;
        assert_eq!(refused, (400, "ValidationException".into(), message.into()), "{input}");
    }
    let (_, code, message) = world.rest_refused("POST", "/schedules/s", json!({})).await;
    assert_eq!(code, "ValidationException");
    assert!(
        message.starts_with("3 validation errors detected: Value null at 'scheduleExpression'"),
        "{message}"
    );
    let refused = world.rest_refused("POST", "/schedules/s", with(good(), "GroupName", json!("g"))).await;
    assert_eq!(refused, (404, "ResourceNotFoundException".into(), "Schedule group g does not exist.".into()));
    assert_eq!(world.rest("GET", "/schedules", Value::Null).await, json!({ "Schedules": [] }));
}

#[tokio::test]
async fn groups_hold_schedules_and_tags_and_go_with_all_of_it() {
    let world = World::new();
    let arn = format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/g");
    let tag = |key: &str| json!({ "Key": key, "Value": "v" });
    let made = world.rest("POST", "/schedule-groups/g", json!({ "Tags": [tag("a")] })).await;
    assert_eq!(made, json!({ "ScheduleGroupArn": arn }));
    let refused = world.rest_refused("POST", "/schedule-groups/g", json!({})).await;
    assert_eq!((refused.0, &*refused.1), (409, "ConflictException"));
    let input = with(asked("rate(1 minute)", "f"), "GroupName", json!("g"));
    create(&world, "s", input).await;
    let shown = world.rest("GET", "/schedule-groups/g", Value::Null).await;
    assert_eq!((&shown["Arn"], &shown["State"]), (&json!(arn), &json!("ACTIVE")));
    let listed = world.rest("GET", "/schedule-groups", Value::Null).await;
    let names: Vec<&str> =
        listed["ScheduleGroups"].as_array().unwrap().iter().map(|g| g["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["default", "g"]);
    let tags = format!("/tags/{}", arn.replace(':', "%3A").replace('/', "%2F"));
    world.rest("POST", &tags, json!({ "Tags": [tag("b"), tag("c")] })).await;
    world.rest("DELETE", &format!("{tags}?TagKeys=a&TagKeys=b"), Value::Null).await;
    assert_eq!(world.rest("GET", &tags, Value::Null).await, json!({ "Tags": [tag("c")] }));
    world.rest("DELETE", "/schedule-groups/g", Value::Null).await;
    assert_eq!(world.rest_refused("GET", "/schedule-groups/g", Value::Null).await.0, 404);
    assert_eq!(world.rest_refused("GET", "/schedules/s?groupName=g", Value::Null).await.0, 404);
    world.pass(120);
    assert_eq!(fired(&world).await, [""; 0]);
    assert_eq!(world.rest_refused("DELETE", "/schedule-groups/default", Value::Null).await.0, 400);
}

#[tokio::test]
async fn a_schedule_calls_its_function_by_its_role() {
    let world = World::new();
    create(&world, "plain", asked("rate(5 minutes)", "f")).await;
    // A rate without a beginning begins at once.
    world.events.fire_due_once().await.unwrap();
    let taken = world.taken().await;
    let arn = format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/plain");
    let payload = &taken[0]["payload"];
    assert_eq!(taken[0]["by"], ACCOUNT);
    assert_eq!(
        *payload,
        json!({
            "version": "0", "id": payload["id"], "detail-type": "Scheduled Event", "source": "aws.scheduler",
            "account": ACCOUNT, "time": "2026-11-20T10:07:30Z", "region": REGION, "resources": [arn], "detail": "{}",
        })
    );
    let input = r#"{"arn": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>", "n": <aws.scheduler.attempt-number>, "id": "<aws.scheduler.execution-id>"}"#;
    create(&world, "s", with(asked("at(2026-11-20T10:08:00)", "f"), "Target.Input", json!(input))).await;
    world.pass(30);
    world.events.fire_due_once().await.unwrap();
    let payload = &world.taken().await[0]["payload"];
    let arn = format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/s");
    assert_eq!(
        (&payload["arn"], &payload["time"], &payload["n"]),
        (&json!(arn), &json!("2026-11-20T10:08:00Z"), &json!(1))
    );
    assert_eq!(payload["id"].as_str().map(str::len), Some(36));
}

#[tokio::test]
async fn a_schedule_puts_events_on_a_bus() {
    let world = World::new();
    world.rule("r", json!({ "source": ["timer"], "detail": { "n": [7] } })).await;
    let bus = format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default");
    let input = with(asked("rate(1 hour)", ""), "Target.Arn", json!(bus));
    let input =
        with(input, "Target.EventBridgeParameters", json!({ "Source": "timer", "DetailType": "tick" }));
    create(&world, "s", with(input, "Target.Input", json!("{\"n\": 7}"))).await;
    world.events.fire_due_once().await.unwrap();
    let taken = world.taken().await;
    assert_eq!((&taken[0]["to"], &taken[0]["payload"]["detail-type"]), (&json!("r"), &json!("tick")));
}

#[tokio::test]
async fn each_setting_of_time_acts() {
    let world = World::new();
    let now = world.now().as_secs();
    // 10:07:30 UTC is 11:07:30 in Berlin.
    let berlin =
        with(asked("cron(10 11 * * ? *)", "berlin"), "ScheduleExpressionTimezone", json!("Europe/Berlin"));
    create(&world, "berlin", berlin).await;
    create(&world, "disabled", with(asked("rate(1 minute)", "disabled"), "State", json!("DISABLED"))).await;
    create(&world, "start", with(asked("rate(1 minute)", "start"), "StartDate", json!(now + 150))).await;
    create(&world, "end", with(asked("rate(1 minute)", "end"), "EndDate", json!(now + 30))).await;
    let window = json!({ "Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60 });
    create(&world, "window", with(asked("at(2026-11-20T10:09:00)", "window"), "FlexibleTimeWindow", window))
        .await;
    assert_eq!(fired(&world).await, ["end"]);
    world.pass(120);
    assert_eq!(fired(&world).await, [""; 0]);
    world.pass(30);
    assert_eq!(fired(&world).await, ["berlin", "start"]);
    world.pass(3_600);
    assert!(fired(&world).await.contains(&"window".to_owned()));
}

#[tokio::test]
async fn a_schedule_that_is_over_goes_when_it_shall() {
    let world = World::new();
    for (name, action) in [("kept", "NONE"), ("gone", "DELETE")] {
        let input = with(asked("at(2026-11-20T10:08:00)", name), "ActionAfterCompletion", json!(action));
        create(&world, name, input).await;
    }
    let ending = with(asked("rate(1 minute)", "ending"), "EndDate", json!(world.now().as_secs() + 30));
    create(&world, "ending", with(ending, "ActionAfterCompletion", json!("DELETE"))).await;
    world.pass(30);
    assert_eq!(fired(&world).await, ["ending", "gone", "kept"]);
    world.pass(60);
    let world = world.restarted();
    assert_eq!(fired(&world).await, [""; 0]);
    world.rest("GET", "/schedules/kept", Value::Null).await;
    for name in ["gone", "ending"] {
        assert_eq!(
            world.rest_refused("GET", &format!("/schedules/{name}"), Value::Null).await.0,
            404,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_missed_single_moment_is_made_up_for_within_its_age() {
    let world = World::new();
    create(&world, "day", asked("at(2026-11-20T11:00:00)", "day")).await;
    let strict = with(
        asked("at(2026-11-20T11:00:00)", "strict"),
        "Target.RetryPolicy",
        json!({ "MaximumEventAgeInSeconds": 600 }),
    );
    create(&world, "strict", strict).await;
    // One that lies before its schedule was made is over, and not missed.
    create(&world, "past", asked("at(2026-11-20T09:00:00)", "past")).await;
    let world = world.restarted();
    world.pass(2 * 3_600);
    assert_eq!(fired(&world).await, ["day"]);
    assert_eq!(fired(&world.restarted()).await, [""; 0]);
}
