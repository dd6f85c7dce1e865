//! The text that Prometheus reads. Each metric's help begins with the reference's name for it. Pure.

use crate::otlp::Counts;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::time::Duration;

use lambent_core::ids::{AccountId, Region, Version};
use lambent_core::ports::{CapacityUse, ColdReason, FunctionUse, MappingSample, ThrottleReason};

use super::{Counted, EventSums, STAGES, START_SECONDS, Sums};

/// An account in a region, and what of its concurrency its functions claim for themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub account: AccountId,
    pub region: Region,
    pub claimed: u64,
}

/// The exposition of sums, of the capacity in use, and of how many hops of traces were left out.
pub fn text(
    sums: &[(Counted, Sums)],
    capacity: &CapacityUse,
    places: &[Place],
    hops_left_out: u64,
    spans: Option<&Counts>,
    mappings: &BTreeMap<String, MappingSample>,
    events: &BTreeMap<String, EventSums>,
) -> String {
    let mut page = Page(String::with_capacity(4_096));
    page.counters(sums);
    page.cold_starts(sums);
    page.throttles(sums);
    page.in_use(capacity);
    page.environments(capacity);
    page.provisioned(capacity);
    page.places(capacity, places);
    page.traces(hops_left_out);
    if let Some(spans) = spans {
        page.spans(spans);
    }
    page.mappings(mappings);
    page.events(events);
    page.0
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "{name}{{");
        for (at, (label, text)) in labels.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(self.0, "{comma}{label}=\"{}\"", escaped(text));
        }
        let _ = writeln!(self.0, "}} {value}");
    }

    fn of_version(
        &mut self,
        name: &str,
        counted: &Counted,
        more: &[(&str, &str)],
        value: impl std::fmt::Display,
    ) {
        let version = counted.version.to_string();
        let mut labels = vec![
            ("account", counted.account.as_str()),
            ("region", counted.region.as_str()),
            ("function", counted.name.as_str()),
            ("version", version.as_str()),
        ];
        labels.extend_from_slice(more);
        self.value(name, &labels, value);
    }

    fn counters(&mut self, sums: &[(Counted, Sums)]) {
        type Read = fn(&Sums) -> u64;
        let counters: [(&str, &str, Read); 4] = [
            ("lambent_invocations_total", "Invocations: calls that ran, well or not.", |s| s.invocations),
            ("lambent_errors_total", "Errors: calls that failed.", |s| s.errors),
            (
                "lambent_provisioned_concurrency_invocations_total",
                "ProvisionedConcurrencyInvocations: calls that ran in provisioned environments.",
                |s| s.provisioned,
            ),
            (
                "lambent_provisioned_concurrency_spillover_invocations_total",
                "ProvisionedConcurrencySpilloverInvocations: calls that found all of them in use.",
                |s| s.spillover,
            ),
        ];
        for (name, help, read) in counters {
            self.head(name, "counter", help);
            for (counted, sums) in sums {
                self.of_version(name, counted, &[], read(sums));
            }
        }
        let name = "lambent_duration_seconds";
        self.head(name, "summary", "Duration: the handlers' time.");
        for (counted, sums) in sums {
            self.of_version("lambent_duration_seconds_sum", counted, &[], seconds(sums.duration));
            self.of_version("lambent_duration_seconds_count", counted, &[], sums.invocations);
        }
    }

    /// Those of mappings with `EventCount`.
    fn mappings(&mut self, mappings: &BTreeMap<String, MappingSample>) {
        type Read = fn(&MappingSample) -> u64;
        let counters: [(&str, &str, Read); 5] = [
            ("polled", "PolledEventCount: messages taken out of the queue.", |s| s.polled),
            ("filtered_out", "FilteredOutEventCount: messages that no filter wanted.", |s| s.filtered_out),
            ("invoked", "InvokedEventCount: messages given to the function.", |s| s.invoked),
            ("failed_invoke", "FailedInvokeEventCount: messages that it failed with.", |s| s.failed),
            ("deleted", "DeletedEventCount: messages removed as done.", |s| s.deleted),
        ];
        for (kind, help, read) in counters {
            let name = format!("lambent_event_source_mapping_{kind}_events_total");
            self.head(&name, "counter", help);
            for (arn, sums) in mappings {
                self.value(&name, &[("mapping", arn)], read(sums));
            }
        }
    }

    /// Those of asynchronous calls.
    fn events(&mut self, events: &BTreeMap<String, EventSums>) {
        type Read = fn(&EventSums) -> f64;
        let sums: [(&str, &str, &str, Read); 8] = [
            (
                "lambent_async_events_received_total",
                "counter",
                "AsyncEventsReceived: events put on the disk.",
                |s| s.received as f64,
            ),
            ("lambent_async_event_attempts_total", "counter", "Calls that were made with them.", |s| {
                s.called as f64
            }),
            (
                "lambent_async_event_age_seconds_total",
                "counter",
                "AsyncEventAge, summed: the time from an event's acceptance to each of its calls.",
                |s| seconds(s.age),
            ),
            (
                "lambent_async_event_age_seconds_max",
                "gauge",
                "AsyncEventAge, the greatest since the node started.",
                |s| seconds(s.age_max),
            ),
            (
                "lambent_async_events_dropped_total",
                "counter",
                "AsyncEventsDropped: events whose calls did not succeed, wherever they went then.",
                |s| s.dropped as f64,
            ),
            (
                "lambent_destination_delivery_failures_total",
                "counter",
                "DestinationDeliveryFailures: ends of calls that their destination did not take.",
                |s| s.undelivered as f64,
            ),
            (
                "lambent_dead_letter_errors_total",
                "counter",
                "DeadLetterErrors: events that the dead-letter queue or topic did not take.",
                |s| s.no_letter as f64,
            ),
            (
                "lambent_recursive_invocations_dropped_total",
                "counter",
                "RecursiveInvocationsDropped: calls that went round in a loop.",
                |s| s.went_round as f64,
            ),
        ];
        for (name, kind, help, read) in sums {
            self.head(name, kind, help);
            for (arn, sums) in events {
                let Some((region, account, function)) = super::parts_of(arn) else { continue };
                let labels = [("account", account), ("region", region), ("function", function)];
                self.value(name, &labels, read(sums));
            }
        }
    }

    fn cold_starts(&mut self, sums: &[(Counted, Sums)]) {
        self.head("lambent_cold_starts_total", "counter", "Calls that waited for their environment's start.");
        for (counted, sums) in sums {
            self.of_version("lambent_cold_starts_total", counted, &[], sums.cold_starts);
        }
        let cold: Vec<&(Counted, Sums)> = sums.iter().filter(|(_, sums)| sums.cold_starts > 0).collect();
        let name = "lambent_cold_start_seconds_total";
        self.head(name, "counter", "Where the time of cold starts went, by stage.");
        for (counted, sums) in &cold {
            for (stage, time) in STAGES.iter().zip(sums.cold_stages) {
                self.of_version(name, counted, &[("stage", stage)], seconds(time));
            }
        }
        let name = "lambent_cold_start_reasons_total";
        self.head(name, "counter", "Why no environment waited for a call.");
        for (counted, sums) in &cold {
            for (reason, count) in ColdReason::ALL.iter().zip(sums.cold_reasons).filter(|(_, n)| *n > 0) {
                self.of_version(name, counted, &[("reason", reason.as_str())], count);
            }
        }
        let name = "lambent_cold_start_seconds";
        self.head(
            name,
            "histogram",
            "How long calls waited for their environment's start: its stages but the handler.",
        );
        for (counted, sums) in &cold {
            for (within, count) in START_SECONDS.iter().zip(sums.cold_within) {
                self.of_version(
                    "lambent_cold_start_seconds_bucket",
                    counted,
                    &[("le", &within.to_string())],
                    count,
                );
            }
            self.of_version(
                "lambent_cold_start_seconds_bucket",
                counted,
                &[("le", "+Inf")],
                sums.cold_starts,
            );
            let before_handler: Duration = sums.cold_stages.iter().take(STAGES.len() - 1).sum();
            self.of_version("lambent_cold_start_seconds_sum", counted, &[], seconds(before_handler));
            self.of_version("lambent_cold_start_seconds_count", counted, &[], sums.cold_starts);
        }
        self.ahead(sums);
    }

    fn ahead(&mut self, sums: &[(Counted, Sums)]) {
        let ahead: Vec<&(Counted, Sums)> = sums.iter().filter(|(_, sums)| sums.ahead > 0).collect();
        let name = "lambent_environments_ahead_total";
        self.head(name, "counter", "Environments that were started ahead of their calls.");
        for (counted, sums) in &ahead {
            self.of_version(name, counted, &[], sums.ahead);
        }
        let name = "lambent_environment_ahead_seconds_total";
        self.head(name, "counter", "Where the time of their starts went, by stage.");
        for (counted, sums) in &ahead {
            for (stage, time) in STAGES.iter().zip(sums.ahead_stages).take(STAGES.len() - 1) {
                self.of_version(name, counted, &[("stage", stage)], seconds(time));
            }
        }
    }

    fn traces(&mut self, left_out: u64) {
        let name = "lambent_trace_hops_left_out_total";
        self.head(name, "counter", "Hops of calls and events that were not kept for want of room.");
        let _ = writeln!(self.0, "{name} {left_out}");
    }

    fn spans(&mut self, counts: &Counts) {
        for (name, help, count) in [
            ("lambent_otlp_sent_total", "Calls and hops that the collector has taken.", counts.sent()),
            (
                "lambent_otlp_left_out_total",
                "Calls and hops that the collector did not get: it could not be reached, refused them or was too slow.",
                counts.left_out(),
            ),
        ] {
            self.head(name, "counter", help);
            let _ = writeln!(self.0, "{name} {count}");
        }
    }

    fn throttles(&mut self, sums: &[(Counted, Sums)]) {
        let name = "lambent_throttles_total";
        self.head(name, "counter", "Throttles: calls that were refused, by reason.");
        for (counted, sums) in sums {
            for (reason, count) in ThrottleReason::ALL.iter().zip(sums.throttles) {
                if count > 0 {
                    self.of_version(name, counted, &[("reason", reason.as_str())], count);
                }
            }
        }
    }

    fn in_use(&mut self, capacity: &CapacityUse) {
        let name = "lambent_concurrent_executions";
        self.head(name, "gauge", "ConcurrentExecutions: calls in flight.");
        for function in &capacity.functions {
            let labels = [
                ("account", function.account.as_str()),
                ("region", function.region.as_str()),
                ("function", function.name.as_str()),
            ];
            self.value(name, &labels, function.in_use);
        }
    }

    fn of_used_version(&mut self, name: &str, function: &FunctionUse, version: Version, value: impl Display) {
        let version = version.to_string();
        let labels = [
            ("account", function.account.as_str()),
            ("region", function.region.as_str()),
            ("function", function.name.as_str()),
            ("version", version.as_str()),
        ];
        self.value(name, &labels, value);
    }

    fn environments(&mut self, capacity: &CapacityUse) {
        let name = "lambent_environments";
        self.head(name, "gauge", "Environments of a version, busy or not, those on their way among them.");
        for function in &capacity.functions {
            for (version, count) in &function.environments {
                self.of_used_version(name, function, *version, count);
            }
        }
    }

    fn provisioned(&mut self, capacity: &CapacityUse) {
        type Read = fn(u32, u32) -> f64;
        let gauges: [(&str, &str, Read); 2] = [
            (
                "lambent_provisioned_concurrent_executions",
                "ProvisionedConcurrentExecutions: provisioned environments that run a call.",
                |_, busy| f64::from(busy),
            ),
            (
                "lambent_provisioned_concurrency_utilization",
                "ProvisionedConcurrencyUtilization: the part of them that does.",
                |ready, busy| if ready == 0 { 0.0 } else { f64::from(busy) / f64::from(ready) },
            ),
        ];
        for (name, help, read) in gauges {
            self.head(name, "gauge", help);
            for function in &capacity.functions {
                for (version, _, ready, busy) in &function.provisioned {
                    self.of_used_version(name, function, *version, read(*ready, *busy));
                }
            }
        }
    }

    fn places(&mut self, capacity: &CapacityUse, places: &[Place]) {
        let unreserved = |place: &Place| -> u64 {
            let own = capacity.functions.iter();
            own.filter(|f| f.account == place.account && f.region == place.region)
                .map(|f| u64::from(f.in_use_unreserved))
                .sum()
        };
        let name = "lambent_unreserved_concurrent_executions";
        self.head(
            name,
            "gauge",
            "UnreservedConcurrentExecutions: calls in flight of functions without a reservation.",
        );
        for place in places {
            let labels = [("account", place.account.as_str()), ("region", place.region.as_str())];
            self.value(name, &labels, unreserved(place));
        }
        let name = "lambent_claimed_account_concurrency";
        self.head(name, "gauge", "ClaimedAccountConcurrency: those, and what is reserved or provisioned.");
        for place in places {
            let labels = [("account", place.account.as_str()), ("region", place.region.as_str())];
            self.value(name, &labels, unreserved(place) + place.claimed);
        }
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
