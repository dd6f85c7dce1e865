-- The tables of queues.db. Times are milliseconds since 1970. A shelf is where a queue's messages stand.
CREATE TABLE queues (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (account, region, name)
) STRICT;

CREATE TABLE deletions (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;

-- Shelves whose rows nobody can reach any more and that are still to be freed.
CREATE TABLE given_up (shelf INTEGER PRIMARY KEY) STRICT;

-- Numbers below the ceiling may have been given out.
CREATE TABLE numbers (ceiling INTEGER NOT NULL) STRICT;
INSERT INTO numbers VALUES (1);

-- What changes of a message while it waits: small rows, so that a receive rewrites little.
CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    shelf INTEGER NOT NULL,
    visible INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    receives INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    first INTEGER NOT NULL,
    grp TEXT
) STRICT;
CREATE INDEX messages_by_visible ON messages (shelf, visible, sent, turn);
CREATE INDEX messages_by_group ON messages (shelf, grp, number) WHERE grp IS NOT NULL;

-- What never changes.
CREATE TABLE contents (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    details BLOB NOT NULL,
    source TEXT
) STRICT;

-- FIFO: from when on a group may be received from.
CREATE TABLE groups (
    shelf INTEGER NOT NULL,
    grp TEXT NOT NULL,
    ready INTEGER NOT NULL,
    PRIMARY KEY (shelf, grp)
) STRICT, WITHOUT ROWID;
CREATE INDEX groups_by_ready ON groups (shelf, ready, grp);

CREATE TABLE dedups (
    shelf INTEGER NOT NULL,
    scope TEXT NOT NULL,
    dedup TEXT NOT NULL,
    at INTEGER NOT NULL,
    id TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (shelf, scope, dedup)
) STRICT, WITHOUT ROWID;
CREATE INDEX dedups_by_at ON dedups (at);

CREATE TABLE attempts (
    shelf INTEGER NOT NULL,
    attempt TEXT NOT NULL,
    at INTEGER NOT NULL,
    receipts TEXT NOT NULL,
    PRIMARY KEY (shelf, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_at ON attempts (at);

CREATE TABLE moves (
    handle TEXT PRIMARY KEY,
    started INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
