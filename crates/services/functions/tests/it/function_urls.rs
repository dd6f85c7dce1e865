//! Function URLs: their configurations, and the requests that come to them.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lambent_core::ids::{AccountId, Region, RequestId};
use lambent_core::ports::{Answer, InvokeRefusal, Outcome, ThrottleReason};
use lambent_functions::UrlRequest;
use lambent_testkit::SeededEntropy;
use lambent_wire::Caller;
use serde_json::{Value, json};

use crate::world::*;

const URL: &str = "/2021-10-31/functions/f/url";
const POLICY: &str = "/2015-03-31/functions/f/policy";
const NOT_FOUND: &str = "ResourceNotFoundException";
const MISSING: &str = "The resource you requested does not exist.";

async fn alias(world: &World, name: &str) {
    world.publish("f").await;
    let body = json!({ "Name": name, "FunctionVersion": "1" });
    world.post("/2015-03-31/functions/f/aliases", &body).await.ok();
}

pub fn id_of(config: &Value) -> String {
    let address = config["FunctionUrl"].as_str().unwrap();
    let rest = address.strip_prefix("http://").unwrap();
    let (id, rest) = rest.split_once('.').unwrap();
    assert_eq!(rest, format!("lambda-url.{REGION}.localhost:4566/"));
    assert_eq!(id.len(), 32);
    assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{id}");
    id.to_owned()
}

#[tokio::test]
async fn a_url_is_made_changed_and_deleted() {
    let world = World::with(&["f"]).await;
    world.get(URL).await.is_fault(404, NOT_FOUND, MISSING);
    let cors = json!({
        "AllowCredentials": true, "AllowHeaders": ["x-a"], "AllowMethods": ["GET"],
        "AllowOrigins": ["https://a.example"], "ExposeHeaders": ["x-b"], "MaxAge": 7,
    });
    let reply = world.post(URL, &json!({ "AuthType": "NONE", "Cors": cors })).await;
    assert_eq!(reply.status, 201);
    let made = reply.json();
    let id = id_of(&made);
    assert_eq!(made["FunctionArn"], arn("f"));
    assert_eq!((&made["AuthType"], &made["InvokeMode"]), (&json!("NONE"), &json!("BUFFERED")));
    assert_eq!(made["Cors"], cors);
    assert_eq!(made.get("LastModifiedTime"), None);
    assert!(made["CreationTime"].as_str().unwrap().ends_with("000Z"), "{made}");
    let again = world.post(URL, &json!({ "AuthType": "NONE" })).await;
    again.is_fault(409, "ResourceConflictException", "Error message:  FunctionUrlConfig exists for");

    world.clock.advance(Duration::from_secs(5));
    let changed = world.put(URL, &json!({ "AuthType": "AWS_IAM" })).await.ok();
    assert_eq!((changed["AuthType"].as_str(), id_of(&changed)), (Some("AWS_IAM"), id.clone()));
    assert_eq!(changed["Cors"], cors, "what is not named stays");
    assert_ne!(changed["LastModifiedTime"], changed["CreationTime"]);
    let changed = world.put(URL, &json!({ "Cors": { "MaxAge": 9 } })).await.ok();
    assert_eq!(changed["Cors"], json!({ "MaxAge": 9 }), "Cors is replaced whole");
    assert_eq!(world.put(URL, &json!({ "Cors": {} })).await.ok().get("Cors"), None);
    assert_eq!(world.get(URL).await.ok()["FunctionUrl"], made["FunctionUrl"]);

    assert_eq!(world.delete(URL).await.status, 204);
    assert!(world.functions.url(&id).is_none());
    world.delete(URL).await.is_fault(404, NOT_FOUND, MISSING);
    world.put(URL, &json!({ "AuthType": "NONE" })).await.is_fault(404, NOT_FOUND, MISSING);
    let anew = world.post(URL, &json!({ "AuthType": "NONE" })).await.ok();
    assert_ne!(id_of(&anew), id, "a deleted address never comes back");
}

#[tokio::test]
async fn every_alias_may_have_its_own_and_takes_it_along() {
    let world = World::with(&["f"]).await;
    alias(&world, "live").await;
    let qualified = format!("{URL}?Qualifier=live");
    let first = world.post(URL, &json!({ "AuthType": "NONE" })).await.ok();
    let second = world.post(&qualified, &json!({ "AuthType": "AWS_IAM" })).await.ok();
    assert_eq!(second["FunctionArn"], format!("{}:live", arn("f")));
    let by_name = world.get("/2021-10-31/functions/f:live/url").await.ok();
    assert_eq!(by_name["FunctionUrl"], second["FunctionUrl"]);
    let listed = world.get("/2021-10-31/functions/f/urls").await.ok();
    let shown: Vec<&Value> =
        listed["FunctionUrlConfigs"].as_array().unwrap().iter().map(|one| &one["FunctionUrl"]).collect();
    assert_eq!(shown, [&first["FunctionUrl"], &second["FunctionUrl"]]);
    let page = world.get("/2021-10-31/functions/f/urls?MaxItems=1").await.ok();
    let marker = page["NextMarker"].as_str().unwrap();
    let rest = world.get(&format!("/2021-10-31/functions/f/urls?Marker={marker}")).await.ok();
    assert_eq!(rest["FunctionUrlConfigs"][0]["FunctionUrl"], second["FunctionUrl"]);

    world.delete("/2015-03-31/functions/f/aliases/live").await;
    assert!(world.functions.url(&id_of(&second)).is_none());
    world.get(&qualified).await.is_fault(404, NOT_FOUND, MISSING);
    world.delete("/2015-03-31/functions/f").await;
    assert!(world.functions.url(&id_of(&first)).is_none());
}

#[tokio::test]
async fn requests_are_refused_for_what_is_wrong_with_them() {
    let world = World::with(&["f"]).await;
    let none = json!({ "AuthType": "NONE" });
    let missing = "Function does not exist";
    world.post("/2021-10-31/functions/none/url", &none).await.is_fault(404, NOT_FOUND, missing);
    world.post(&format!("{URL}?Qualifier=none"), &none).await.is_fault(404, NOT_FOUND, missing);
    world.get("/2021-10-31/functions/none/urls").await.is_fault(404, NOT_FOUND, missing);
    world.get("/2021-10-31/functions/none/url").await.is_fault(404, NOT_FOUND, MISSING);
    for qualifier in ["1", "%24LATEST"] {
        let reply = world.post(&format!("{URL}?Qualifier={qualifier}"), &none).await;
        reply.is_fault(
            400,
            "ValidationException",
            r"at 'qualifier' failed to satisfy constraint: Member must",
        );
    }
    let reply = world.post("/2021-10-31/functions/f:1/url", &none).await;
    reply.is_fault(400, "ValidationException", "functionName");
    for (body, message) in [
        (json!({}), "Value null at 'authType'"),
        (json!({ "AuthType": "OPEN" }), "Member must satisfy enum value set: [NONE, AWS_IAM]"),
        (json!({ "AuthType": "NONE", "InvokeMode": "x" }), "enum value set: [RESPONSE_STREAM, BUFFERED]"),
        (json!({ "AuthType": "NONE", "Cors": { "MaxAge": 86_401 } }), "at 'cors.maxAge'"),
        (json!({ "AuthType": "NONE", "Cors": { "AllowMethods": ["OPTIONS"] } }), "less than or equal to 6"),
        (json!({ "AuthType": "NONE", "Cors": { "AllowOrigins": [""] } }), "greater than or equal to 1"),
        (json!({ "AuthType": "NONE", "Cors": { "AllowHeaders": vec!["a"; 101] } }), "'cors.allowHeaders'"),
    ] {
        world.post(URL, &body).await.is_fault(400, "ValidationException", message);
    }
    let bad = world.post(URL, &json!({ "AuthType": "NONE", "Cors": [] })).await;
    bad.is_fault(400, "SerializationException", "START_ARRAY");
}

pub fn request(caller: Option<&str>) -> UrlRequest {
    UrlRequest {
        method: Method::GET,
        path: "/p".to_owned(),
        query: "q=1".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        scheme: "http",
        host: None,
        source_ip: "192.0.2.7".to_owned(),
        request_id: RequestId::random(&SeededEntropy::new(3)),
        caller: caller.map(|account| Caller {
            account: AccountId::new(account).unwrap(),
            region: Region::new(REGION).unwrap(),
            access_key_id: "AKIA1".to_owned(),
            principal_arn: format!("arn:aws:iam::{account}:root"),
        }),
    }
}

pub async fn ask(world: &World, id: &str, request: UrlRequest) -> Reply {
    let url = world.functions.url(id).expect("the URL is there");
    gathered(world.functions.call_url(&url, &request).await).await
}

async fn permit(world: &World, address: &str, statement: Value) {
    world.post(address, &statement).await.ok();
}

/// The two statements that the reference asks for.
async fn open_to_all(world: &World, address: &str) {
    permit(
        world,
        address,
        json!({
            "StatementId": "url", "Action": "lambda:InvokeFunctionUrl", "Principal": "*",
            "FunctionUrlAuthType": "NONE",
        }),
    )
    .await;
    permit(
        world,
        address,
        json!({
            "StatementId": "invoke", "Action": "lambda:InvokeFunction", "Principal": "*",
            "InvokedViaFunctionUrl": true,
        }),
    )
    .await;
}

#[tokio::test]
async fn an_open_url_needs_both_permissions_of_the_policy() {
    let mut world = World::with(&["f"]).await;
    let id = id_of(&world.post(URL, &json!({ "AuthType": "NONE" })).await.ok());
    let closed = async || {
        let reply = ask(&world, &id, request(None)).await;
        reply.is_fault(403, "AccessDeniedException", "Forbidden. For troubleshooting Function URL");
    };
    closed().await;
    let url = |auth: &str| {
        json!({
            "StatementId": auth, "Action": "lambda:InvokeFunctionUrl", "Principal": "*",
            "FunctionUrlAuthType": auth,
        })
    };
    let invoke = |id: &str, via: bool| {
        json!({
            "StatementId": id, "Action": "lambda:InvokeFunction", "Principal": "*", "InvokedViaFunctionUrl": via,
        })
    };
    permit(&world, POLICY, url("AWS_IAM")).await;
    permit(&world, POLICY, invoke("direct", false)).await;
    closed().await;
    permit(&world, POLICY, url("NONE")).await;
    closed().await;
    permit(&world, POLICY, invoke("via", true)).await;
    ask(&world, &id, request(None)).await.ok();
    world.delete(&format!("{POLICY}/NONE")).await;
    let reply = ask(&world, &id, request(None)).await;
    reply.is_fault(403, "AccessDeniedException", "Forbidden");
    // The statement for calls by URL is none for direct calls; the one for direct calls is.
    world.account = AccountId::new("111111111111").unwrap();
    world.call(&arn("f"), &[], "{}").await.ok();
    world.account = AccountId::new(ACCOUNT).unwrap();
    world.delete(&format!("{POLICY}/direct")).await;
    world.account = AccountId::new("111111111111").unwrap();
    world.call(&arn("f"), &[], "{}").await.is_fault(403, "AccessDeniedException", "lambda:InvokeFunction");
}

#[tokio::test]
async fn a_signed_url_lets_its_own_account_pass_and_others_by_policy() {
    let world = World::with(&["f"]).await;
    let id = id_of(&world.post(URL, &json!({ "AuthType": "AWS_IAM" })).await.ok());
    ask(&world, &id, request(Some(ACCOUNT))).await.ok();
    let event: Value = serde_json::from_slice(&world.last_call().payload).unwrap();
    assert_eq!(event["requestContext"]["authorizer"]["iam"]["accountId"], ACCOUNT);
    let stranger = "111111111111";
    ask(&world, &id, request(Some(stranger))).await.is_fault(403, "AccessDeniedException", "Forbidden");
    for (action, sid) in [("lambda:InvokeFunctionUrl", "a"), ("lambda:InvokeFunction", "b")] {
        ask(&world, &id, request(Some(stranger))).await.is_fault(403, "AccessDeniedException", "Forbidden");
        let statement = json!({ "StatementId": sid, "Action": action, "Principal": stranger });
        permit(&world, POLICY, statement).await;
    }
    ask(&world, &id, request(Some(stranger))).await.ok();
    // Nobody's request is nobody's, whatever the policy says of identities.
    ask(&world, &id, request(None)).await.is_fault(403, "AccessDeniedException", "Forbidden");
}

#[tokio::test]
async fn an_alias_has_its_own_policy_and_version() {
    let world = World::with(&["f"]).await;
    alias(&world, "live").await;
    world.update_code("f", "newer").await;
    world.functions.settle().await;
    let made = world.post(&format!("{URL}?Qualifier=live"), &json!({ "AuthType": "NONE" })).await.ok();
    let id = id_of(&made);
    open_to_all(&world, POLICY).await;
    ask(&world, &id, request(None)).await.is_fault(403, "AccessDeniedException", "Forbidden");
    open_to_all(&world, &format!("{POLICY}?Qualifier=live")).await;
    ask(&world, &id, request(None)).await.ok();
    let call = world.last_call();
    assert_eq!(call.spec.version.to_string(), "1");
    assert_eq!(call.invoked_arn, format!("{}:live", arn("f")));
}

#[tokio::test]
async fn outcomes_become_responses() {
    let world = World::with(&["f"]).await;
    let id = id_of(&world.post(URL, &json!({ "AuthType": "AWS_IAM" })).await.ok());
    let outcome = async |next: Result<Outcome, InvokeRefusal>| {
        let answer =
            next.map(|outcome| Answer { outcome, log_tail: None, cold: None, handler: Duration::ZERO });
        *world.invoke.next.lock().unwrap() = Some(answer);
        ask(&world, &id, request(Some(ACCOUNT))).await
    };
    let whole = br#"{"statusCode": 418, "headers": {"x-a": "b"}, "body": "tea"}"#;
    let reply = outcome(Ok(Outcome::Returned(Bytes::from_static(whole)))).await;
    assert_eq!((reply.status, reply.header("x-a"), &reply.bytes[..]), (418, Some("b"), &b"tea"[..]));
    assert!(reply.header("x-amzn-trace-id").unwrap().starts_with("Root=1-"));
    for failed in [
        Outcome::Failed(Bytes::from_static(b"{}")),
        Outcome::Returned(Bytes::from_static(b"{\"statusCode\":1}")),
    ] {
        let reply = outcome(Ok(failed)).await;
        assert_eq!((reply.status, &reply.bytes[..]), (502, &b"Internal Server Error"[..]));
    }
    let reason = ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded;
    let reply = outcome(Err(InvokeRefusal::Throttled(reason))).await;
    reply.is_fault(429, "TooManyRequestsException", "Rate Exceeded.");
    assert_eq!(reply.json()["Reason"], "ReservedFunctionConcurrentInvocationLimitExceeded");
    outcome(Err(InvokeRefusal::Stopping)).await.is_fault(503, "ServiceUnavailableException", "stopping");
}

#[tokio::test]
async fn an_event_beyond_the_limit_and_a_broken_query_are_refused() {
    let world = World::with(&["f"]).await;
    let id = id_of(&world.post(URL, &json!({ "AuthType": "AWS_IAM" })).await.ok());
    let mut large = request(Some(ACCOUNT));
    // In base64 it is a third larger.
    large.body = Bytes::from(vec![0; 5_000_000]);
    ask(&world, &id, large).await.is_fault(413, "RequestTooLargeException", "6291556");
    let mut broken = request(Some(ACCOUNT));
    broken.query = "a=%zz".to_owned();
    ask(&world, &id, broken).await.is_fault(400, "SerializationException", "query");
}

#[tokio::test]
async fn browsers_are_told_what_the_configuration_allows() {
    let world = World::with(&["f"]).await;
    let cors = json!({ "AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"] });
    let made = world.post(URL, &json!({ "AuthType": "AWS_IAM", "Cors": cors })).await.ok();
    let url = world.functions.url(&id_of(&made)).unwrap();
    let headers = |origin: &'static str| -> HeaderMap {
        let name = |name: &'static str| HeaderName::from_static(name);
        [
            (name("origin"), HeaderValue::from_static(origin)),
            (name("access-control-request-method"), HeaderValue::from_static("GET")),
        ]
        .into_iter()
        .collect()
    };
    let answer = url.preflight(&Method::OPTIONS, &headers("https://a.example")).unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://a.example");
    assert!(url.preflight(&Method::GET, &headers("https://a.example")).is_none());
    // Answers without permission say so to the page, too.
    let mut stranger = request(None);
    stranger.headers = headers("https://a.example");
    let reply = ask(&world, &id_of(&made), stranger).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (403, Some("https://a.example")));
    world.put(URL, &json!({ "Cors": {} })).await.ok();
    let url = world.functions.url(&id_of(&made)).unwrap();
    assert!(url.preflight(&Method::OPTIONS, &headers("https://a.example")).is_none(), "the function answers");
}
