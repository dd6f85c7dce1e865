-- The tables of deliveries.db. `accepted` and `due` are milliseconds since 1970.
CREATE TABLE deliveries (
    id TEXT NOT NULL PRIMARY KEY,
    lane TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    deferrals INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE INDEX deliveries_by_due ON deliveries (lane, due, id);
