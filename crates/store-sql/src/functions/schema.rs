//! The tables of `meta.db`.

use crate::database::Schema;

pub(super) const SCHEMA: Schema = Schema {
    // "LMBm" in ASCII.
    application_id: 0x4c4d_426d,
    migrations: &[FIRST, PROVISIONED, URLS, EVENT_INVOKES, RECURSION, MAPPINGS],
    check_pages: true,
};

/// Version 0 of a function is `$LATEST`. `retired_functions` keeps what a deleted function's next version would
/// have been.
const FIRST: &str = "
CREATE TABLE functions (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    generation INTEGER NOT NULL,
    next_version INTEGER NOT NULL,
    reserved_concurrency INTEGER,
    tags TEXT NOT NULL,
    PRIMARY KEY (account, region, name)
) STRICT;

CREATE TABLE function_versions (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    code TEXT NOT NULL,
    config TEXT NOT NULL,
    PRIMARY KEY (account, region, name, version),
    FOREIGN KEY (account, region, name) REFERENCES functions ON DELETE CASCADE
) STRICT;

CREATE TABLE function_aliases (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    alias TEXT NOT NULL,
    version TEXT NOT NULL,
    description TEXT NOT NULL,
    routing_version INTEGER,
    routing_weight REAL,
    revision TEXT NOT NULL,
    PRIMARY KEY (account, region, name, alias),
    FOREIGN KEY (account, region, name) REFERENCES functions ON DELETE CASCADE
) STRICT;

CREATE TABLE function_policies (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    qualifier TEXT NOT NULL,
    policy TEXT NOT NULL,
    PRIMARY KEY (account, region, name, qualifier),
    FOREIGN KEY (account, region, name) REFERENCES functions ON DELETE CASCADE
) STRICT;

CREATE TABLE retired_functions (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    next_version INTEGER NOT NULL,
    PRIMARY KEY (account, region, name)
) STRICT;

CREATE TABLE layers (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    generation INTEGER NOT NULL,
    next_version INTEGER NOT NULL,
    PRIMARY KEY (account, region, name)
) STRICT;

CREATE TABLE layer_versions (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest TEXT NOT NULL,
    config TEXT NOT NULL,
    PRIMARY KEY (account, region, name, version),
    FOREIGN KEY (account, region, name) REFERENCES layers ON DELETE CASCADE
) STRICT;
";

const PROVISIONED: &str = "
CREATE TABLE function_provisioned (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    qualifier TEXT NOT NULL,
    requested INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    PRIMARY KEY (account, region, name, qualifier),
    FOREIGN KEY (account, region, name) REFERENCES functions ON DELETE CASCADE
) STRICT;
";

/// Function URLs by qualifier; the unqualified function's is under the empty text.
const URLS: &str = "
CREATE TABLE function_urls (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    qualifier TEXT NOT NULL,
    url TEXT NOT NULL,
    PRIMARY KEY (account, region, name, qualifier),
    FOREIGN KEY (account, region, name) REFERENCES functions ON DELETE CASCADE
) STRICT;
";

/// Configurations of asynchronous calls by qualifier.
const EVENT_INVOKES: &str = "
CREATE TABLE function_event_invokes (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    qualifier TEXT NOT NULL,
    config TEXT NOT NULL,
    PRIMARY KEY (account, region, name, qualifier),
    FOREIGN KEY (account, region, name) REFERENCES functions ON DELETE CASCADE
) STRICT;
";

/// 1 where calls that go round in a loop are let be.
const RECURSION: &str = "ALTER TABLE functions ADD COLUMN allows_recursion INTEGER NOT NULL DEFAULT 0;";

/// Event source mappings. They outlive the functions that they name.
const MAPPINGS: &str = "
CREATE TABLE event_source_mappings (
    id TEXT NOT NULL PRIMARY KEY,
    config TEXT NOT NULL
) STRICT;
";
