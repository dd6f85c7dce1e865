//! API destinations and their connections: what they are asked for, and what endpoints get.

use std::time::Duration;

use lambent_core::ports::{Answered, Unanswered};
use lambent_store::deliveries::{DeliveryStore as _, Lane};
use serde_json::{Value, json};

use crate::world::{ACCOUNT, Got, REGION, World, queue};

fn basic() -> Value {
    json!({ "BasicAuthParameters": { "Username": "u", "Password": "hidden" } })
}

fn oauth() -> Value {
    json!({ "OAuthParameters": {
        "ClientParameters": { "ClientID": "i", "ClientSecret": "hidden" },
        "AuthorizationEndpoint": "https://auth/token", "HttpMethod": "POST",
    } })
}

async fn connection(world: &World, kind: &str, parameters: Value) -> Value {
    let input = json!({ "Name": "c", "AuthorizationType": kind, "AuthParameters": parameters });
    world.done("CreateConnection", input).await
}

async fn destination(world: &World, connection: &Value, more: Value) -> String {
    let mut input = json!({
        "Name": "d", "ConnectionArn": connection["ConnectionArn"], "InvocationEndpoint": "https://h/*", "HttpMethod": "POST",
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = world.done("CreateApiDestination", input).await;
    made["ApiDestinationArn"].as_str().unwrap().to_owned()
}

async fn rule(world: &World, arn: &str, more: Value) {
    world.done("PutRule", json!({ "Name": "r", "EventPattern": r#"{"source":["app"]}"# })).await;
    let role = format!("arn:aws:iam::{ACCOUNT}:role/r");
    let mut target =
        json!({ "Id": "t", "Arn": arn, "RoleArn": role, "DeadLetterConfig": { "Arn": queue("dead") } });
    target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.target("r", target).await;
}

/// A world in which events of source `app` go to a destination with a connection of this kind.
async fn with(kind: &str, parameters: Value, target: Value) -> World {
    let world = World::new();
    let connection = connection(&world, kind, parameters).await;
    let arn = destination(&world, &connection, json!({})).await;
    rule(&world, &arn, target).await;
    world
}

async fn posted(world: &World) -> Vec<Got> {
    world.events.post_due().await.unwrap();
    world.endpoints.taken()
}

async fn waiting(world: &World) -> u64 {
    world.deliveries.count(Lane::SlowTarget).await.unwrap()
}

fn answered(status: u16, retry_after: Option<&str>) -> Result<Answered, Unanswered> {
    Ok(Answered { status, retry_after: retry_after.map(Into::into), ..Answered::default() })
}

#[tokio::test]
async fn an_event_is_a_request_with_the_parameters_of_connection_and_target() {
    let mut parameters = basic();
    parameters["InvocationHttpParameters"] = json!({
        "HeaderParameters": [{ "Key": "X-C", "Value": "c", "IsValueSecret": true }],
        "QueryStringParameters": [{ "Key": "q", "Value": "c" }],
        "BodyParameters": [{ "Key": "b", "Value": "c" }],
    });
    let http = json!({ "HttpParameters": {
        "PathParameterValues": ["$.detail.id"],
        "HeaderParameters": { "X-T": "$.source", "X-C": "t" },
        "QueryStringParameters": { "t": "1" },
    }, "InputPath": "$.detail" });
    let world = with("BASIC", parameters, http).await;
    world.put(json!({ "id": "a b" })).await;
    // It is on the disk, and goes out after a restart.
    let world = world.restarted();
    let got = posted(&world).await;
    let [got] = &got[..] else { panic!("{got:?}") };
    assert_eq!((got.method.as_str(), got.url.as_str()), ("POST", "https://h/a%20b?q=c&t=1"));
    assert_eq!(got.body, r#"{"id":"a b","b":"c"}"#);
    let header = |name: &str| got.headers[name].as_str();
    assert_eq!((header("x-c"), header("x-t"), header("authorization")), ("c", "app", "Basic dTpoaWRkZW4="));
    assert_eq!(header("content-type"), "application/json; charset=utf-8");
    assert_eq!(waiting(&world).await, 0);
    assert!(world.queued().await.is_empty());
}

#[tokio::test]
async fn an_api_key_is_a_header() {
    let key = json!({ "ApiKeyAuthParameters": { "ApiKeyName": "X-Key", "ApiKeyValue": "k" } });
    let world = with("API_KEY", key, json!({})).await;
    world.put(json!({})).await;
    assert_eq!(posted(&world).await[0].headers["x-key"], "k");
}

#[tokio::test]
async fn what_can_pass_is_tried_again_and_what_cannot_is_a_dead_letter() {
    let world = with("BASIC", basic(), json!({ "RetryPolicy": { "MaximumRetryAttempts": 2 } })).await;
    let unreachable = Err(Unanswered::Unreachable("refused".into()));
    let too_slow = Err(Unanswered::TooSlow(Duration::from_secs(5)));
    for (answer, code, retries) in [
        (answered(404, None), "SDK_CLIENT_ERROR", 0),
        (answered(301, None), "SDK_CLIENT_ERROR", 0),
        (answered(503, Some("-1")), "ERROR_FROM_TARGET", 0),
        (answered(401, None), "SDK_CLIENT_ERROR", 2),
        (answered(429, None), "THROTTLING", 2),
        (answered(500, None), "ERROR_FROM_TARGET", 2),
        (unreachable, "SDK_CLIENT_ERROR", 2),
        (too_slow, "UNKNOWN", 2),
    ] {
        world.put(json!({})).await;
        for retry in 0..=retries {
            assert_eq!(waiting(&world).await, 1, "{answer:?}");
            world.endpoints.answers.lock().unwrap().push_back(answer.clone());
            assert_eq!(posted(&world).await.len(), 1, "{answer:?} {retry}");
            // Not before the pause is over.
            assert_eq!(posted(&world).await.len(), 0, "{answer:?} {retry}");
            world.pass(1 << retry);
        }
        assert_eq!(waiting(&world).await, 0, "{answer:?}");
        let letters = world.queued().await;
        let [letter] = &letters[..] else { panic!("{answer:?} {letters:?}") };
        let said = &letter["attributes"];
        assert_eq!(
            (&said["ERROR_CODE"], &said["RETRY_ATTEMPTS"]),
            (&json!(code), &json!(retries.to_string()))
        );
        assert_eq!(said["EXHAUSTED_RETRY_CONDITION"].is_string(), retries > 0);
        let message = said["ERROR_MESSAGE"].as_str().unwrap();
        assert!(message.starts_with("Unable to invoke ApiDestination endpoint: "), "{message}");
    }
}

#[tokio::test]
async fn an_endpoint_says_how_long_it_wants_to_be_left_alone() {
    let world = with("BASIC", basic(), json!({})).await;
    world.put(json!({})).await;
    world.endpoints.answers.lock().unwrap().push_back(answered(503, Some("30")));
    assert_eq!(posted(&world).await.len(), 1);
    world.pass(29);
    assert_eq!(posted(&world).await.len(), 0);
    world.pass(1);
    assert_eq!((posted(&world).await.len(), waiting(&world).await), (1, 0));
}

#[tokio::test]
async fn no_more_a_second_than_it_is_set_to() {
    let world = World::new();
    let connection = connection(&world, "BASIC", basic()).await;
    let arn = destination(&world, &connection, json!({ "InvocationRateLimitPerSecond": 2 })).await;
    rule(&world, &arn, json!({})).await;
    for _ in 0..5 {
        world.put(json!({})).await;
    }
    let mut counts = Vec::new();
    for _ in 0..3 {
        counts.push(posted(&world).await.len());
        world.pass(1);
    }
    assert_eq!(counts, [2, 2, 1]);
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_it_is_not_believed() {
    let world = with("OAUTH_CLIENT_CREDENTIALS", oauth(), json!({})).await;
    let state =
        async || world.done("DescribeConnection", json!({ "Name": "c" })).await["ConnectionState"].clone();
    assert_eq!(state().await, "AUTHORIZING");
    // What comes before the token waits for it, and that is no attempt.
    world.put(json!({})).await;
    assert_eq!(posted(&world).await.len(), 0);
    world.endpoints.answer(200, r#"{"access_token":"one","token_type":"bearer","expires_in":3600}"#);
    assert_eq!(world.events.authorize_all().await, 0);
    assert_eq!(state().await, "AUTHORIZED");
    let asked = world.endpoints.taken();
    assert_eq!((asked.len(), asked[0].url.as_str()), (1, "https://auth/token"));
    assert_eq!(asked[0].body, "client_id=i&client_secret=hidden&grant_type=client_credentials");
    world.put(json!({})).await;
    world.pass(1);
    let got = posted(&world).await;
    let tokens: Vec<&str> = got.iter().map(|got| got.headers["authorization"].as_str()).collect();
    assert_eq!(tokens, ["Bearer one", "Bearer one"]);
    // Not believed: the next attempt has another one.
    world.put(json!({})).await;
    world.endpoints.answer(401, "");
    assert_eq!(posted(&world).await.len(), 1);
    world.pass(1);
    world.endpoints.answer(200, r#"{"access_token":"two","expires_in":3600}"#);
    let got = posted(&world).await;
    assert_eq!((got.len(), got[1].headers["authorization"].as_str()), (2, "Bearer two"));
    // About to end: asked for anew before it is used.
    world.pass(3_541);
    world.put(json!({})).await;
    world.endpoints.answer(200, r#"{"access_token":"three"}"#);
    assert_eq!(posted(&world).await[1].headers["authorization"], "Bearer three");
}

#[tokio::test]
async fn credentials_that_are_refused_make_a_destination_inactive_until_they_are_changed() {
    let world = with("OAUTH_CLIENT_CREDENTIALS", oauth(), json!({})).await;
    world.endpoints.answer(403, "");
    world.events.authorize_all().await;
    let shown = world.done("DescribeConnection", json!({ "Name": "c" })).await;
    assert_eq!(shown["ConnectionState"], "DEAUTHORIZED");
    assert!(shown["StateReason"].as_str().unwrap().contains("403"), "{shown}");
    let destination = async || world.done("DescribeApiDestination", json!({ "Name": "d" })).await;
    assert_eq!(destination().await["ApiDestinationState"], "INACTIVE");
    world.endpoints.taken();
    world.put(json!({})).await;
    assert_eq!((posted(&world).await.len(), waiting(&world).await), (0, 1));
    let changed = json!({ "OAuthParameters": { "ClientParameters": { "ClientSecret": "other" } } });
    world.done("UpdateConnection", json!({ "Name": "c", "AuthParameters": changed })).await;
    world.endpoints.answer(200, r#"{"access_token":"t"}"#);
    world.events.authorize_all().await;
    assert!(world.endpoints.taken()[0].body.contains("client_secret=other"));
    assert_eq!(destination().await["ApiDestinationState"], "ACTIVE");
    world.pass(1);
    assert_eq!((posted(&world).await.len(), waiting(&world).await), (1, 0));
}

#[tokio::test]
async fn nothing_secret_comes_out() {
    let world = World::new();
    let mut parameters = oauth();
    let list =
        json!([{ "Key": "k", "Value": "hidden", "IsValueSecret": true }, { "Key": "l", "Value": "shown" }]);
    let lists = json!({ "HeaderParameters": list, "QueryStringParameters": list, "BodyParameters": list });
    parameters["InvocationHttpParameters"] = lists.clone();
    parameters["OAuthParameters"]["OAuthHttpParameters"] = lists;
    let mut answers = vec![connection(&world, "OAUTH_CLIENT_CREDENTIALS", parameters).await];
    answers.push(world.done("DescribeConnection", json!({ "Name": "c" })).await);
    answers.push(world.done("ListConnections", json!({})).await);
    assert_eq!(
        answers[1]["AuthParameters"]["OAuthParameters"]["ClientParameters"],
        json!({ "ClientID": "i" })
    );
    let shown = json!([{ "Key": "k", "IsValueSecret": true }, { "Key": "l", "Value": "shown", "IsValueSecret": false }]);
    assert_eq!(answers[1]["AuthParameters"]["InvocationHttpParameters"]["BodyParameters"], shown);
    let secret = answers[1]["SecretArn"].as_str().unwrap();
    assert!(
        secret.starts_with("arn:aws:secretsmanager:eu-west-1:000000000000:secret:events!connection/c/"),
        "{secret}"
    );
    world
        .done(
            "UpdateConnection",
            json!({ "Name": "c", "AuthorizationType": "BASIC", "AuthParameters": basic() }),
        )
        .await;
    answers.push(world.done("DescribeConnection", json!({ "Name": "c" })).await);
    answers.push(world.done("DeauthorizeConnection", json!({ "Name": "c" })).await);
    answers.push(world.done("DescribeConnection", json!({ "Name": "c" })).await);
    assert_eq!(
        (&answers[5]["ConnectionState"], &answers[5]["SecretArn"]),
        (&json!("DEAUTHORIZED"), &Value::Null)
    );
    answers.push(world.done("DeleteConnection", json!({ "Name": "c" })).await);
    for answer in &answers {
        assert!(!answer.to_string().contains("hidden"), "{answer}");
    }
    for entry in world.events_stored() {
        assert!(!format!("{entry:?}").contains("hidden"));
    }
}

#[tokio::test]
async fn what_is_gone_or_deauthorized_gets_nothing() {
    let world = with("BASIC", basic(), json!({})).await;
    world.done("DeauthorizeConnection", json!({ "Name": "c" })).await;
    world.put(json!({})).await;
    assert_eq!((posted(&world).await.len(), waiting(&world).await), (0, 1));
    world.done("DeleteConnection", json!({ "Name": "c" })).await;
    world.pass(1);
    assert_eq!((posted(&world).await.len(), waiting(&world).await), (0, 0));
    assert_eq!(world.queued().await[0]["attributes"]["ERROR_CODE"], "NO_RESOURCE");
    world.done("DeleteApiDestination", json!({ "Name": "d" })).await;
    world.put(json!({})).await;
    assert_eq!(posted(&world).await.len(), 0);
    assert_eq!(world.queued().await[0]["attributes"]["ERROR_CODE"], "NO_RESOURCE");
    let (code, message) = world.refused("DescribeApiDestination", json!({ "Name": "d" })).await;
    assert_eq!((code.as_str(), message.contains("'d' does not exist")), ("ResourceNotFoundException", true));
    // Another of the same name is another one.
    let connection = connection(&world, "BASIC", basic()).await;
    destination(&world, &connection, json!({})).await;
    world.put(json!({})).await;
    assert_eq!((posted(&world).await.len(), world.queued().await.len()), (0, 1));
}

#[tokio::test]
async fn destinations_and_connections_are_changed_and_listed() {
    let world = World::new();
    let connection = connection(&world, "BASIC", basic()).await;
    destination(&world, &connection, json!({ "Description": "x" })).await;
    let again = json!({ "Name": "c", "AuthorizationType": "BASIC", "AuthParameters": basic() });
    assert_eq!(world.refused("CreateConnection", again).await.0, "ResourceAlreadyExistsException");
    let changed = json!({ "Name": "d", "HttpMethod": "PUT", "InvocationRateLimitPerSecond": 7, "InvocationEndpoint": "http://other/" });
    world.done("UpdateApiDestination", changed).await;
    let shown = world.done("DescribeApiDestination", json!({ "Name": "d" })).await;
    let of = |name: &str| shown[name].clone();
    assert_eq!(
        [of("Description"), of("HttpMethod"), of("InvocationEndpoint")],
        ["x", "PUT", "http://other/"]
    );
    assert_eq!((of("InvocationRateLimitPerSecond"), of("ApiDestinationState")), (json!(7), json!("ACTIVE")));
    for (filter, count) in [
        (json!({}), 1),
        (json!({ "NamePrefix": "d" }), 1),
        (json!({ "NamePrefix": "e" }), 0),
        (json!({ "ConnectionArn": connection["ConnectionArn"] }), 1),
        (json!({ "ConnectionArn": format!("arn:aws:events:{REGION}:{ACCOUNT}:connection/o/1") }), 0),
    ] {
        let found = world.done("ListApiDestinations", filter.clone()).await;
        assert_eq!(found["ApiDestinations"].as_array().unwrap().len(), count, "{filter}");
    }
    for (filter, count) in [
        (json!({ "ConnectionState": "AUTHORIZED" }), 1),
        (json!({ "ConnectionState": "DEAUTHORIZED" }), 0),
        (json!({ "NamePrefix": "x" }), 0),
    ] {
        let found = world.done("ListConnections", filter.clone()).await;
        assert_eq!(found["Connections"].as_array().unwrap().len(), count, "{filter}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_name() {
    let world = World::new();
    let made = connection(&world, "BASIC", basic()).await;
    let arn = destination(&world, &made, json!({})).await;
    for (parameters, kind, word) in [
        (
            json!({ "ApiKeyAuthParameters": { "ApiKeyName": "n", "ApiKeyValue": "v" } }),
            "BASIC",
            "ApiKeyAuthParameters",
        ),
        (json!({ "BasicAuthParameters": { "Username": "u" } }), "BASIC", "Password"),
        (json!({ "BasicAuthParameters": { "Username": "u:", "Password": "p" } }), "BASIC", "username"),
        (json!({}), "API_KEY", "ApiKeyName"),
        (oauth(), "OTHER", "authorizationType"),
        (json!({ "ConnectivityParameters": {} }), "BASIC", "ConnectivityParameters"),
    ] {
        let input = json!({ "Name": "x", "AuthorizationType": kind, "AuthParameters": parameters });
        let (code, message) = world.refused("CreateConnection", input).await;
        assert_eq!((code.as_str(), message.contains(word)), ("ValidationException", true), "{message}");
    }
    for (endpoint, connection, code) in [
        ("ftp://h/", made["ConnectionArn"].clone(), "ValidationException"),
        ("h", made["ConnectionArn"].clone(), "ValidationException"),
        (
            "https://h/",
            json!(format!("arn:aws:events:{REGION}:{ACCOUNT}:connection/o/1")),
            "ResourceNotFoundException",
        ),
        (
            "https://h/",
            json!(format!("arn:aws:events:{REGION}:111111111111:connection/c/1")),
            "ResourceNotFoundException",
        ),
    ] {
        let input = json!({ "Name": "x", "ConnectionArn": connection, "InvocationEndpoint": endpoint, "HttpMethod": "GET" });
        assert_eq!(world.refused("CreateApiDestination", input).await.0, code, "{endpoint}");
    }
    world.done("PutRule", json!({ "Name": "r", "EventPattern": r#"{"source":["app"]}"# })).await;
    let role = format!("arn:aws:iam::{ACCOUNT}:role/r");
    let foreign = arn.replace(ACCOUNT, "111111111111");
    for (target, word) in [
        (json!({ "Id": "t", "Arn": arn }), "RoleArn is required"),
        (json!({ "Id": "t", "Arn": foreign, "RoleArn": role }), "not of this account"),
        (json!({ "Id": "t", "Arn": queue("q"), "HttpParameters": {} }), "HttpParameters"),
        (
            json!({ "Id": "t", "Arn": arn, "RoleArn": role, "HttpParameters": { "PathParameterValues": [" "] } }),
            "pathParameterValues",
        ),
        (
            json!({ "Id": "t", "Arn": arn, "RoleArn": role, "HttpParameters": { "HeaderParameters": { "a b": "c" } } }),
            "headerParameters",
        ),
        (
            json!({ "Id": "t", "Arn": arn, "RoleArn": role, "SqsParameters": { "MessageGroupId": "g" } }),
            "SqsParameters",
        ),
    ] {
        let (code, message) = world.refused("PutTargets", json!({ "Rule": "r", "Targets": [target] })).await;
        assert_eq!((code.as_str(), message.contains(word)), ("ValidationException", true), "{message}");
    }
}
