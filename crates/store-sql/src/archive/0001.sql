-- The tables of archive.db. `time` and `kept` are milliseconds since 1970.
CREATE TABLE events (
    archive TEXT NOT NULL,
    time INTEGER NOT NULL,
    id TEXT NOT NULL,
    kept INTEGER NOT NULL,
    -- As JSON.
    text TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX events_by_time ON events (archive, time, id);
CREATE INDEX events_by_age ON events (archive, kept);

-- What each archive holds.
CREATE TABLE archives (
    archive TEXT NOT NULL PRIMARY KEY,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
