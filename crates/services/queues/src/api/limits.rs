//! Limits of requests, with their sources. Limits of attributes stand in `engine::settings`.

/// SQS developer guide, *Message quotas*.
pub const IN_FLIGHT_MAX_STANDARD: u64 = 120_000;
/// The same page: FIFO queues have had the same since November 2024.
pub const IN_FLIGHT_MAX_FIFO: u64 = 120_000;

/// SQS API, SendMessageBatch: all messages of a batch together.
pub const BATCH_BYTES_MAX: usize = 1_048_576;
/// SQS API: entries of every kind of batch.
pub const BATCH_ENTRIES_MAX: usize = 10;
/// SQS API: the id of an entry.
pub const BATCH_ID_CHARS_MAX: usize = 80;

/// SQS API, CreateQueue: how long the name of a deleted queue can't be used.
pub const RECREATE_AFTER_SECS: u64 = 60;
/// SQS API, PurgeQueue.
pub const PURGE_EVERY_SECS: u64 = 60;

/// SQS API, ListQueues and ListDeadLetterSourceQueues.
pub const LIST_RESULTS_MAX: i64 = 1_000;

/// SQS developer guide, *Cost allocation tags*: tags of a queue, and their sizes (as everywhere).
pub const TAGS_MAX: usize = 50;
pub const TAG_KEY_CHARS_MAX: usize = 128;
pub const TAG_VALUE_CHARS_MAX: usize = 256;

/// SQS API, StartMessageMoveTask.
pub const MOVES_PER_SECOND_MAX: i64 = 500;
/// SQS API, ListMessageMoveTasks.
pub const MOVE_TASKS_LISTED_MAX: i64 = 10;
/// SQS developer guide, *Configure a dead-letter queue redrive*: active tasks of an account.
pub const MOVE_TASKS_MAX: usize = 100;
