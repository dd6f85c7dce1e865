//! What the node tells of itself, as events on the default bus of the account that it is about.

use lambent_core::ports::{BoxFuture, Change, Changes};
use serde_json::value::RawValue;

use crate::Events;
use crate::dispatch::{Event, Happening};
use crate::names::{BusName, DEFAULT};
use crate::way::Outgoing;

/// The source of such events. No caller may put one of it.
const SOURCE: &str = "lambent";

/// Whether events of this source are the node's or AWS's own.
pub fn is_reserved(source: &str) -> bool {
    source.starts_with("aws.")
        || source.strip_prefix(SOURCE).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Changes for Events {
    fn tell(&self, change: Change) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Change { account, region, kind, resource, detail } = change;
            let Ok(detail) = RawValue::from_string(detail) else {
                return tracing::error!(
                    resource,
                    "what a change says of itself is no JSON; nobody is told of it"
                );
            };
            let bus = BusName { account, region, name: DEFAULT.to_owned() };
            let now = self.deps.clock.now();
            let happening = Happening {
                source: SOURCE,
                detail_type: kind.as_str(),
                resources: std::slice::from_ref(&resource),
                detail: &detail,
                account: bus.account.as_str(),
                region: bus.region.as_str(),
                time: now,
            };
            let mut deliveries = Outgoing::default();
            let event = Event::new(self.new_id(), &happening, None, now);
            self.deliver(&bus, &event, &mut deliveries);
            if !deliveries.commands.is_empty() {
                // What nobody wants to hear of is not kept.
                self.tell_accepted(&bus, &event, "", &mut deliveries);
            }
            if self.accept(deliveries).await.is_err() {
                tracing::warn!(
                    resource,
                    kind = kind.as_str(),
                    "a change can't be stored as an event; nobody is told of it"
                );
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::is_reserved;

    #[test]
    fn sources_of_the_node_and_of_aws_are_nobody_elses() {
        for (source, expected) in [
            ("lambent", true),
            ("lambent.scaling", true),
            ("aws.ec2", true),
            ("lambently", false),
            ("my.lambent", false),
            ("awsome", false),
        ] {
            assert_eq!(is_reserved(source), expected, "{source}");
        }
    }
}
