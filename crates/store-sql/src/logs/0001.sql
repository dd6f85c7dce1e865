-- AUTOINCREMENT everywhere: a number that was used is never used again, even when its row was the last.
CREATE TABLE log_groups (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  created INTEGER NOT NULL,
  retention_days INTEGER,
  tags TEXT NOT NULL,
  stored_bytes INTEGER NOT NULL DEFAULT 0,
  UNIQUE (account, region, name)
) STRICT;

-- Times of events are -1 as long as there are none, so that rows compare by them without a case for NULL.
CREATE TABLE log_streams (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id INTEGER NOT NULL REFERENCES log_groups (id),
  name TEXT NOT NULL,
  created INTEGER NOT NULL,
  first_event INTEGER NOT NULL DEFAULT -1,
  last_event INTEGER NOT NULL DEFAULT -1,
  last_ingestion INTEGER NOT NULL DEFAULT -1,
  stored_bytes INTEGER NOT NULL DEFAULT 0,
  UNIQUE (group_id, name)
) STRICT;
CREATE INDEX log_streams_by_last_event ON log_streams (group_id, last_event, name);

-- No foreign keys: chunks outlive their stream and group until a sweep comes by.
CREATE TABLE log_chunks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id INTEGER NOT NULL,
  stream_id INTEGER NOT NULL,
  first_event INTEGER NOT NULL,
  last_event INTEGER NOT NULL,
  ingested INTEGER NOT NULL,
  counted_bytes INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX log_chunks_by_group_first ON log_chunks (group_id, first_event);
CREATE INDEX log_chunks_by_group_last ON log_chunks (group_id, last_event);
CREATE INDEX log_chunks_by_stream_first ON log_chunks (stream_id, first_event);
CREATE INDEX log_chunks_by_stream_last ON log_chunks (stream_id, last_event);

-- Streams that were deleted and may still have chunks.
CREATE TABLE log_dropped_streams (stream_id INTEGER PRIMARY KEY) STRICT;

-- One row: what all chunks take on disk.
CREATE TABLE log_totals (id INTEGER PRIMARY KEY CHECK (id = 1), disk_bytes INTEGER NOT NULL) STRICT;
INSERT INTO log_totals (id, disk_bytes) VALUES (1, 0);
