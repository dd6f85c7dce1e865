//! What happened to a call, an event, or the calls of a function: what `/_lambent/trace` answers.

use http::request::Parts;
use lambent_core::ids::{AccountId, FunctionName, Region};
use lambent_store::StoreError;
use lambent_store::functions::FunctionKey;
use lambent_wire::Fault;
use lambent_wire::route::decode_query;
use serde_json::{Value, json};

use super::capacity::{CapacityReport, last_hour};

/// Calls of a function that are answered unless it is asked for more, and at the most.
const LAST_DEFAULT: usize = 10;
const LAST_MAX: usize = 1_000;

/// Ours: an id or a name is no longer.
const NAME_CHARS_MAX: usize = 256;

/// What is asked for.
pub struct Asked {
    /// The id of a call, an event or a trace, or a function's name.
    of: String,
    last: usize,
}

impl Asked {
    pub fn read(parts: &Parts) -> Result<Self, Fault> {
        let refuse = |what: &str| Fault::new(400, "InvalidParameterValueException", what);
        let pairs = decode_query(parts.uri.query().unwrap_or_default())?;
        let (mut of, mut last) = (String::new(), LAST_DEFAULT);
        for (name, value) in pairs {
            match &*name {
                "of" => of = value,
                "last" => {
                    let number = value.parse().ok().filter(|n| (1..=LAST_MAX).contains(n));
                    last = number.ok_or_else(|| refuse("last is a number from 1 to 1000"))?;
                }
                _ => return Err(refuse("only of and last can be asked for")),
            }
        }
        if of.is_empty() || of.chars().count() > NAME_CHARS_MAX {
            return Err(refuse("of is the id of a call, an event or a trace, or a function's name"));
        }
        Ok(Self { of, last })
    }
}

impl CapacityReport {
    /// The hops of an id; where there are none, the last calls of the function of this name.
    pub async fn trace(&self, account: &AccountId, region: &Region, asked: &Asked) -> Result<Value, Fault> {
        let hops = self.traces.find(account, region, &asked.of).await.map_err(unreadable)?;
        if !hops.is_empty() {
            return Ok(json!({ "id": asked.of, "time": self.clock.now().to_string(), "hops": hops }));
        }
        let unknown = || {
            let message =
                format!("Nothing is known of {}: no call, no event, no trace, no function", asked.of);
            Fault::new(404, "ResourceNotFoundException", message)
        };
        let name = FunctionName::new(&asked.of).map_err(|_| unknown())?;
        let arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
        let calls = self.traces.calls_of(account, region, &arn, asked.last).await.map_err(unreadable)?;
        let key = FunctionKey { account: account.clone(), region: region.clone(), name: name.clone() };
        if calls.is_empty() && self.store.function(&key).is_none() {
            return Err(unknown());
        }
        let hour = self.registry.last_hour(account, region).remove(&name).unwrap_or_default();
        Ok(json!({
            "function": name.as_str(),
            "time": self.clock.now().to_string(),
            "lastHour": last_hour(&hour),
            "isOftenCold": hour.is_often_cold(),
            "hops": calls,
        }))
    }
}

fn unreadable(error: StoreError) -> Fault {
    tracing::error!(%error, "traces can't be read");
    Fault::new(500, "ServiceException", "Traces can't be read at the moment")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, Fault> {
        let request = http::Request::builder().uri(format!("/_lambent/trace{query}")).body(()).unwrap();
        Asked::read(&request.into_parts().0)
    }

    #[test]
    fn what_is_asked_for_is_checked() {
        let found = asked("?of=a%2Db&last=7").unwrap();
        assert_eq!((found.of.as_str(), found.last), ("a-b", 7));
        assert_eq!(asked("?of=f").unwrap().last, LAST_DEFAULT);
        let long = format!("?of={}", "x".repeat(257));
        for bad in
            ["", "?of=", "?last=3", "?of=f&last=0", "?of=f&last=1001", "?of=f&last=x", "?of=f&since=1", &long]
        {
            assert_eq!(asked(bad).err().unwrap().status, 400, "{bad}");
        }
    }
}
