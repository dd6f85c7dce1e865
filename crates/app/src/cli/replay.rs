//! `lambent replay`: a call or an event again, with the payload that its trace kept.

use bytes::Bytes;
use http::Method;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::args::{self, Replay};
use super::client::functions::{lambda, path};
use super::client::{Call, Client};
use super::failure::Failure;
use super::output::{Output, Role};
use super::{invoke, trace};

/// What is sent again, and to whom it was.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    function: String,
    payload: String,
}

pub async fn run(client: &Client, replay: Replay, output: &Output) -> Result<(), Failure> {
    let call = Call::new("lambda", Method::GET, trace::PATH).query("of", &replay.id);
    let report = client.send(call).await?.json()?;
    let kept = kept(&replay.id, &report)?;
    let function = replay.to.unwrap_or(kept.function);
    if replay.wait {
        let again = args::Invoke {
            name: function,
            payload: kept.payload,
            qualifier: None,
            tail: false,
            client_context: None,
        };
        return invoke::run(client, again, output).await;
    }
    let mut call = lambda(Method::POST, path(&function, "/invocations"))
        .header("content-type", "application/json")
        .header("x-amz-invocation-type", "Event");
    call.body = Bytes::from(kept.payload);
    let reply = match client.send(call).await {
        Ok(reply) => reply,
        Err(failure) => return Err(client.suggest(&function, failure).await),
    };
    let id = reply.header("x-amzn-requestid").unwrap_or_default();
    if output.json {
        return output.document(&json!({ "replayed": replay.id, "function": function, "requestId": id }));
    }
    output.line(output.paint(Role::Strong, id))?;
    output.note(format!("sent to {function}; follow it with: lambent trace {id}"));
    Ok(())
}

/// The first hop of this id that has a payload is what came in.
fn kept(id: &str, report: &Value) -> Result<Kept, Failure> {
    let nothing = |what: &str| {
        Err(Failure::usage(format!("{what} of {id}"))
            .hint("lambent up --trace-payloads BYTES keeps the first bytes of what calls and events bring, from then on"))
    };
    let hops = report["hops"].as_array().map(Vec::as_slice).unwrap_or_default();
    let own = || hops.iter().filter(|hop| hop["id"] == id);
    let Some(hop) = own().find(|hop| hop["payload"].is_string()) else {
        return nothing(if own().next().is_some() {
            "no payload was kept"
        } else {
            "there is no call or event"
        });
    };
    let payload = hop["payload"].as_str().unwrap_or_default();
    // Whether its end is there can be told of what has a last sign: a number that was cut is a number still.
    let is_whole = serde_json::from_str::<&RawValue>(payload).is_ok()
        && payload.trim_end().ends_with(['}', ']', '"', 'e', 'l']);
    if !is_whole {
        return nothing("only the beginning was kept of the payload");
    }
    let mut function = hop["subject"].as_str().unwrap_or_default().to_owned();
    if let Some(version) = hop["version"].as_str().filter(|version| !version.is_empty()) {
        function = format!("{function}:{version}");
    }
    Ok(Kept { function, payload: payload.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(id: &str, payload: Option<&str>) -> Value {
        json!({ "id": id, "subject": "arn:f", "version": "3", "payload": payload })
    }

    #[test]
    fn what_came_in_is_sent_again_to_where_it_went() {
        let report = json!({ "hops": [hop("b", Some("1")), hop("a", None), hop("a", Some("{\"n\":1}")), hop("a", Some("2"))] });
        let found = kept("a", &report).unwrap();
        assert_eq!(found, Kept { function: "arn:f:3".into(), payload: "{\"n\":1}".into() });
    }

    #[test]
    fn what_was_not_kept_whole_is_refused() {
        for (payload, said) in [
            (None, "no payload was kept of a"),
            (Some("{\"n\":"), "only the beginning was kept of the payload of a"),
            (Some("12"), "only the beginning was kept of the payload of a"),
        ] {
            let failure = kept("a", &json!({ "hops": [hop("a", payload)] })).unwrap_err();
            assert!(failure.message.contains(said), "{failure:?}");
        }
        let failure = kept("c", &json!({ "hops": [hop("a", None)] })).unwrap_err();
        assert!(failure.message.contains("there is no call or event of c"), "{failure:?}");
    }
}
