//! What tests ask of a node that was started for them, below `/_lambent/`: to advance its time, to have targets fail.
//!
//! Nothing of it is there unless `lambent up` was told so, which it takes on loopback addresses only; and it is for the
//! root key, from this machine.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use hyper::body::Incoming;
use lambent_core::arn::Arn;
use lambent_core::ports::Clock as _;
use lambent_wire::Fault;
use lambent_wire::route::decode_query;
use serde_json::{Value, json};

use super::capacity::is_local;
use super::faults::{Faults, Kind, SLOW_MAX};
use super::front::{Front, Visitor};
use super::virtual_clock::VirtualClock;

/// How long an answer may take: who asks asks again for what is left.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ours: the farthest that time is advanced at once.
const ADVANCE_MAX: Duration = Duration::from_secs(366 * 86_400);

pub struct Testing {
    /// Absent where time is the machine's.
    pub clock: Option<Arc<VirtualClock>>,
    /// Absent where no faults are to be had.
    pub faults: Option<Arc<Faults>>,
}

impl Testing {
    /// Whether the path, behind `/_lambent/`, is for tests.
    pub fn has(path: &str) -> bool {
        matches!(path, "clock" | "clock/advance" | "faults")
    }

    async fn answer(&self, method: &Method, path: &str, query: &[(String, String)]) -> Result<Value, Fault> {
        match (method, path) {
            (&Method::GET, "clock") => Ok(self.clock()?.shown()),
            (&Method::POST, "clock/advance") => {
                let by = millis(query).filter(|by| *by <= ADVANCE_MAX);
                let by = by.ok_or_else(|| refused("ms is a number of milliseconds, a year's at the most"))?;
                let clock = self.clock()?;
                let left = clock.advance(by, PATIENCE).await;
                let mut shown = clock.shown();
                shown["leftMs"] = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).into();
                Ok(shown)
            }
            (_, "faults") => self.fault(method, query),
            _ => Err(Fault::new(405, "MethodNotAllowedException", "This path takes another method")),
        }
    }

    fn fault(&self, method: &Method, query: &[(String, String)]) -> Result<Value, Fault> {
        let off = || refused("This node's targets are not to fail: start it with `lambent up --faults`");
        let faults = self.faults.as_deref().ok_or_else(off)?;
        match *method {
            Method::GET => Ok(faults.list()),
            Method::POST => {
                let Asked { target, kind, times } = Asked::read(query)?;
                faults.add(target, kind, times).ok_or_else(|| refused("There are too many faults already"))
            }
            Method::DELETE => match query {
                [(name, id)] if name == "id" => match id.parse().is_ok_and(|id| faults.remove(id)) {
                    true => Ok(json!({})),
                    false => {
                        let message = format!("There is no fault {id}");
                        Err(Fault::new(404, "ResourceNotFoundException", message))
                    }
                },
                _ => Err(refused("id is the number of a fault")),
            },
            _ => Err(Fault::new(405, "MethodNotAllowedException", "This path takes another method")),
        }
    }

    fn clock(&self) -> Result<&VirtualClock, Fault> {
        let real =
            || refused("This node's time is the machine's: start it with `lambent up --clock virtual`");
        self.clock.as_deref().ok_or_else(real)
    }
}

impl VirtualClock {
    fn shown(&self) -> Value {
        json!({ "time": self.now().to_string(), "aheadSeconds": self.ahead().as_secs() })
    }
}

/// A fault, as it is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    target: String,
    kind: Kind,
    times: Option<u32>,
}

impl Asked {
    fn read(query: &[(String, String)]) -> Result<Self, Fault> {
        let (mut target, mut kind, mut ms, mut times) = (None, None, None, None);
        for (name, value) in query {
            match name.as_str() {
                "target" => target = Some(value.clone()).filter(|arn| is_target(arn)),
                "kind" => kind = Some(value.as_str()),
                "ms" => ms = Some(value.parse().ok().map(Duration::from_millis)),
                "times" => times = Some(value.parse().ok().filter(|times| *times > 0)),
                _ => return Err(refused("only target, kind, ms and times can be told")),
            }
        }
        let target = target.ok_or_else(|| refused("target is the ARN of a function or a queue"))?;
        let times =
            times.map(|times| times.ok_or_else(|| refused("times is a number from 1"))).transpose()?;
        let kind = match (kind, ms) {
            (Some("error"), None) => Kind::Error,
            (Some("throttle"), None) => Kind::Throttle,
            (Some("drop-answer"), None) => Kind::DropAnswer,
            (Some("slow"), Some(Some(by))) if by <= SLOW_MAX && !by.is_zero() => Kind::Slow(by),
            (Some("slow"), _) => return Err(refused("slow is told with ms, from 1 to 900000")),
            _ => return Err(refused("kind is error, throttle, slow or drop-answer; ms is for slow")),
        };
        Ok(Self { target, kind, times })
    }
}

/// Whether faults of such a target can be had.
fn is_target(arn: &str) -> bool {
    Arn::parse(arn).is_some_and(|arn| match arn.service.as_str() {
        "lambda" => arn.resource.starts_with("function:"),
        "sqs" => true,
        _ => false,
    })
}

fn refused(why: &str) -> Fault {
    Fault::new(400, "InvalidParameterValueException", why)
}

fn millis(query: &[(String, String)]) -> Option<Duration> {
    match query {
        [(name, value)] if name == "ms" => value.parse().ok().map(Duration::from_millis),
        _ => None,
    }
}

impl Front {
    pub(super) async fn test(
        &self,
        path: &str,
        parts: &Parts,
        body: Incoming,
        visitor: Visitor,
    ) -> Result<Response<Bytes>, Fault> {
        self.root(parts, body, visitor.door, "change what a node's tests see").await?;
        if !is_local(visitor.ip, parts) {
            let message = "What is for tests is for this machine's loopback only";
            return Err(Fault::new(403, "AccessDeniedException", message));
        }
        let query = decode_query(parts.uri.query().unwrap_or_default())?;
        let answer = self.testing.answer(&parts.method, path, &query).await?;
        Ok(lambent_wire::json_response(200, &answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, Fault> {
        Asked::read(&decode_query(query).unwrap())
    }

    #[test]
    fn a_fault_that_could_not_act_is_refused() {
        let queue = "target=arn:aws:sqs:us-east-1:000000000000:q";
        let function = "target=arn:aws:lambda:us-east-1:000000000000:function:f:2";
        let found = asked(&format!("{queue}&kind=slow&ms=2000&times=3")).unwrap();
        assert_eq!((found.kind, found.times), (Kind::Slow(Duration::from_secs(2)), Some(3)));
        assert_eq!(asked(&format!("{function}&kind=error")).unwrap().times, None);
        for bad in [
            "kind=error".to_owned(),
            "target=f&kind=error".to_owned(),
            "target=arn:aws:s3:::bucket&kind=error".to_owned(),
            queue.to_owned(),
            format!("{queue}&kind=lost"),
            format!("{queue}&kind=slow"),
            format!("{queue}&kind=slow&ms=0"),
            format!("{queue}&kind=slow&ms=900001"),
            format!("{queue}&kind=error&ms=5"),
            format!("{queue}&kind=error&times=0"),
            format!("{queue}&kind=error&often=1"),
        ] {
            assert_eq!(asked(&bad).unwrap_err().status, 400, "{bad}");
        }
    }

    #[tokio::test]
    async fn nothing_of_it_is_there_unless_the_node_was_told_so() {
        let testing = Testing { clock: None, faults: None };
        for (method, path) in
            [(Method::GET, "clock"), (Method::POST, "clock/advance"), (Method::GET, "faults")]
        {
            let query = [("ms".to_owned(), "5".to_owned())];
            assert_eq!(testing.answer(&method, path, &query).await.unwrap_err().status, 400, "{path}");
        }
    }
}
