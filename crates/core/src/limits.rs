//! Every limit that more than one room keeps, with its source.
//!
//! "Quotas" is the page *Lambda quotas* of the AWS Lambda developer guide; "API" is the Lambda API reference
//! (2015-03-31). A limit that only one room keeps stands in that room.

use std::time::Duration;

pub const KIB: u64 = 1024;
pub const MIB: u64 = 1024 * KIB;
pub const GIB: u64 = 1024 * MIB;

/// API, CreateFunction: the bare name.
pub const FUNCTION_NAME_CHARS_MAX: usize = 64;

/// SQS API, CreateQueue: the name, with the `.fifo` of a FIFO queue.
pub const QUEUE_NAME_CHARS_MAX: usize = 80;
/// SNS API, CreateTopic.
pub const TOPIC_NAME_CHARS_MAX: usize = 256;

/// Quotas: function memory allocation, 128 MB to 10,240 MB.
pub const MEMORY_MB_MIN: u32 = 128;
pub const MEMORY_MB_MAX: u32 = 10_240;
pub const MEMORY_MB_DEFAULT: u32 = 128;

/// Quotas: function timeout, 900 seconds. API: the default is 3 seconds.
pub const TIMEOUT_SECS_MAX: u32 = 900;
pub const TIMEOUT_SECS_DEFAULT: u32 = 3;

/// Quotas: /tmp storage, 512 MB to 10,240 MB.
pub const EPHEMERAL_MB_MIN: u32 = 512;
pub const EPHEMERAL_MB_MAX: u32 = 10_240;

/// Quotas: memory that earns one whole vCPU.
pub const MEMORY_MB_PER_VCPU: u32 = 1_769;

/// Quotas: environment variables of a function, all together.
pub const ENVIRONMENT_BYTES_MAX: usize = 4 * 1024;

/// Quotas: layers of a function.
pub const LAYERS_MAX: usize = 5;

/// Quotas: package uploaded in the request, zipped.
pub const ZIP_BYTES_MAX: u64 = 50 * MIB;

/// Quotas: function and all its layers, unpacked.
pub const UNZIPPED_BYTES_MAX: u64 = 250 * MIB;

/// Ours: entries of one package. AWS names no number; a package of 250 MB with more entries than this is
/// made of files under 2 KiB on average, and unpacking it costs inodes and not bytes.
pub const PACKAGE_ENTRIES_MAX: usize = 100_000;

/// Quotas: invocation payload, synchronous, each way: 6 MB, which the service counts as 6,291,556 bytes.
pub const SYNC_PAYLOAD_BYTES_MAX: usize = 6_291_556;

/// Quotas: payload of an asynchronous call, 1 MB.
pub const ASYNC_PAYLOAD_BYTES_MAX: usize = 1_048_576;

/// Quotas: streamed response, 200 MB by default.
pub const STREAM_PAYLOAD_BYTES_MAX: u64 = 200 * MIB;

/// Quotas: file descriptors, processes and threads of an environment.
pub const FILES_MAX: u64 = 1_024;
pub const PROCESSES_MAX: u64 = 1_024;

/// Quotas: concurrent executions of an account, and the part that reservations must leave.
pub const ACCOUNT_CONCURRENCY_DEFAULT: u32 = 1_000;
pub const UNRESERVED_CONCURRENCY_MIN: u32 = 100;

/// Developer guide, *Lambda scaling behavior*: each function's environments grow by at most 1,000 every 10
/// seconds. What was not used is refilled continuously, and never beyond the 1,000.
pub const SCALING_ENVIRONMENTS: u32 = 1_000;
pub const SCALING_PERIOD: Duration = Duration::from_secs(10);

/// Quotas: synchronous requests a second for each unit of concurrency, of a reservation or of the account.
pub const REQUESTS_PER_SECOND_PER_CONCURRENCY: u32 = 10;

/// Developer guide, *Lambda runtime environment*: the init phase is limited to 10 seconds.
pub const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The same page: with provisioned concurrency it may take 130 seconds, or the function's own time limit where that
/// is longer.
pub const INIT_TIMEOUT_PROVISIONED: Duration = Duration::from_secs(130);

/// Developer guide, *Lambda SnapStart*: the init of a version that is published may take 130 seconds, or the function's
/// own time limit where that is longer.
pub const INIT_TIMEOUT_SNAPSHOT: Duration = Duration::from_secs(130);

/// *Lambda SnapStart runtime hooks*: what restores a runtime, and all that runs behind a restore, take 10 seconds at
/// the most.
pub const RESTORE_TIMEOUT: Duration = Duration::from_secs(10);

/// API, Invoke: LogResult holds the last 4 KB of the execution log.
pub const LOG_TAIL_BYTES_MAX: usize = 4 * 1024;

/// API, Invoke: ClientContext, base64-encoded.
pub const CLIENT_CONTEXT_BYTES_MAX: usize = 3_583;

/// CloudWatch Logs quotas: one event, with its 26 bytes of overhead counted apart.
pub const LOG_EVENT_BYTES_MAX: usize = 256 * 1024;
