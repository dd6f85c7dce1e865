-- Traces of calls and events, see the module `traces`. `hashes` stands before `body`, so that a search for a key
-- reads no bodies.
CREATE TABLE trace_owners (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  subject TEXT NOT NULL,
  records INTEGER NOT NULL DEFAULT 0,
  UNIQUE (account, region, subject)
) STRICT;

CREATE TABLE trace_chunks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner_id INTEGER NOT NULL REFERENCES trace_owners (id),
  last INTEGER NOT NULL,
  records INTEGER NOT NULL,
  disk_bytes INTEGER NOT NULL,
  unpacked_bytes INTEGER NOT NULL,
  hashes BLOB NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX trace_chunks_by_owner ON trace_chunks (owner_id, id);

-- One row: what all chunks take on disk.
CREATE TABLE trace_totals (id INTEGER PRIMARY KEY CHECK (id = 1), disk_bytes INTEGER NOT NULL) STRICT;
INSERT INTO trace_totals (id, disk_bytes) VALUES (1, 0);
