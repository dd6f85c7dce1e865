CREATE TABLE topics (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    -- As JSON.
    record TEXT NOT NULL,
    PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;

-- Those of a topic that is deleted are deleted with it.
CREATE TABLE subscriptions (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    topic TEXT NOT NULL,
    id TEXT NOT NULL,
    -- As JSON.
    record TEXT NOT NULL,
    PRIMARY KEY (account, region, topic, id)
) STRICT, WITHOUT ROWID;

-- What FIFO topics have taken. `until` is in milliseconds since 1970.
CREATE TABLE published (
    token TEXT NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX published_until ON published (until);
