-- How far each source has come, in milliseconds since 1970: the last moment that a schedule has fired for.
CREATE TABLE marks (
    source TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
