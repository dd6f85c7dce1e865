//! The table of limits: the values are the constants that the code keeps.

use lambent_core::limits::*;
use lambent_functions::api::CODE_STORAGE_BYTES_MAX;
use lambent_queues::limits as queues;
use lambent_store::queues::{DEDUP_FOR, RECEIVE_MAX};
use lambent_topics::limits as topics;

use super::line;

struct Limit {
    what: &'static str,
    here: String,
    reference: &'static str,
}

fn limit(what: &'static str, here: impl std::fmt::Display, reference: &'static str) -> Limit {
    Limit { what, here: here.to_string(), reference }
}

fn range(min: impl std::fmt::Display, max: impl std::fmt::Display, unit: &str) -> String {
    format!("{min} to {max}{unit}")
}

fn mib(bytes: u64) -> String {
    format!("{} MB", bytes / MIB)
}

#[rustfmt::skip]
fn limits() -> Vec<Limit> {
    vec![
        limit("Memory of a function", range(MEMORY_MB_MIN, MEMORY_MB_MAX, " MB"), "128 to 10240 MB"),
        limit("Memory that earns one vCPU", format!("{MEMORY_MB_PER_VCPU} MB"), "1769 MB"),
        limit("Time of a call", format!("{TIMEOUT_SECS_MAX} s"), "900 s"),
        limit("Time of an init", format!("{} s", INIT_TIMEOUT.as_secs()), "10 s"),
        limit("Time of an init with provisioned concurrency",
            format!("{} s, or the function's time", INIT_TIMEOUT_PROVISIONED.as_secs()),
            "130 s, or the function's time"),
        limit("`/tmp`", range(EPHEMERAL_MB_MIN, EPHEMERAL_MB_MAX, " MB"), "512 to 10240 MB"),
        limit("Environment variables together", format!("{ENVIRONMENT_BYTES_MAX} bytes"), "4 KB"),
        limit("Layers of a function", LAYERS_MAX, "5"),
        limit("Package in a request, zipped", mib(ZIP_BYTES_MAX), "50 MB"),
        limit("Function and layers, unpacked", mib(UNZIPPED_BYTES_MAX), "250 MB"),
        limit("Packages of an account and region", format!("{} GB", CODE_STORAGE_BYTES_MAX / GIB), "75 GB"),
        limit("Entries of a package", PACKAGE_ENTRIES_MAX, "none is named"),
        limit("Payload of a synchronous call, each way", format!("{SYNC_PAYLOAD_BYTES_MAX} bytes"),
            "6 MB (6291556 bytes)"),
        limit("Client context in base64", format!("{CLIENT_CONTEXT_BYTES_MAX} bytes"), "3583 bytes"),
        limit("`LogResult`", format!("{LOG_TAIL_BYTES_MAX} bytes"), "4 KB"),
        limit("File descriptors of an environment", FILES_MAX, "1024"),
        limit("Processes and threads of an environment", PROCESSES_MAX, "1024"),
        limit("Concurrent executions of an account and region",
            format!("{ACCOUNT_CONCURRENCY_DEFAULT}, `lambent up --account-concurrency` sets it"),
            "1000, raised on request"),
        limit("Concurrency that reservations must leave", UNRESERVED_CONCURRENCY_MIN, "100"),
        limit("Growth of concurrency",
            format!("{SCALING_ENVIRONMENTS} executions every {} s a function", SCALING_PERIOD.as_secs()), "1000 executions every 10 s a function"),
        limit("Calls a second", format!("{REQUESTS_PER_SECOND_PER_CONCURRENCY} times the concurrency"), "10 times the concurrency"),
        limit("Calls of the management operations a second", "none", "15, 100 for GetFunction"),
        limit("A line of a function's log", format!("{} KB; a longer one becomes several events", LOG_EVENT_BYTES_MAX as u64 / KIB),
            "1 MB an event (256 KB until 2025)"),
        limit("Messages in flight of a standard queue", queues::IN_FLIGHT_MAX_STANDARD, "120000"),
        limit("Messages in flight of a FIFO queue", queues::IN_FLIGHT_MAX_FIFO, "120000"),
        limit("A batch of messages", format!("{} entries, {} bytes", queues::BATCH_ENTRIES_MAX, queues::BATCH_BYTES_MAX),
            "10 entries, 1048576 bytes"),
        limit("Messages of one receive", RECEIVE_MAX, "10"),
        limit("Deduplication of FIFO messages", format!("{} s", DEDUP_FOR.as_secs()), "300 s"),
        limit("Subscriptions of a topic", format!("{}, {} of a FIFO topic", topics::SUBSCRIPTIONS_MAX, topics::SUBSCRIPTIONS_MAX_FIFO), "12500000, 100 of a FIFO topic"),
        limit("Filter policies of a topic", topics::FILTERS_MAX, "200"),
        limit("A message of a topic", format!("{} bytes, up to {} as MaximumMessageSize says",
            topics::MESSAGE_BYTES_DEFAULT, topics::MESSAGE_BYTES_MAX), "262144 bytes, up to 1048576"),
        limit("Messages that a task moves a second", queues::MOVES_PER_SECOND_MAX, "500"),
    ]
}

pub fn render(page: &mut String) {
    line(page, "\n## Limits\n\n| Limit | Here | AWS |\n| --- | --- | --- |");
    for Limit { what, here, reference } in limits() {
        line(page, &format!("| {what} | {here} | {reference} |"));
    }
    line(
        page,
        "\nLimits of names, tags, policies, pages, batches and ages that are not in this table are AWS's.",
    );
}
