CREATE TABLE records (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    kind TEXT NOT NULL,
    parent TEXT NOT NULL,
    name TEXT NOT NULL,
    generation INTEGER NOT NULL,
    -- As JSON.
    record TEXT NOT NULL,
    PRIMARY KEY (account, region, kind, parent, name)
) STRICT, WITHOUT ROWID;
