//! A bus to measure with: its rules, and events that come to it.

use serde_json::json;

pub const RULES: usize = 1_000;

/// A mix as buses have it: most rules by source and type, some by a part of the detail.
pub fn rule(n: usize) -> String {
    let pattern = match n % 5 {
        0 => json!({ "source": [format!("app.{}", n % 40)], "detail-type": [format!("type-{n}")] }),
        1 => {
            json!({ "source": ["orders"], "detail": { "state": [format!("s{n}"), "all"], "total": [{ "numeric": [">", n] }] } })
        }
        2 => {
            json!({ "detail": { "key": [{ "prefix": format!("tenant-{n}/") }], "size": [{ "anything-but": 0 }] } })
        }
        3 => {
            json!({ "source": ["orders"], "$or": [{ "detail": { "id": [n] } }, { "detail": { "owner": [format!("o{n}")] } }] })
        }
        _ => {
            json!({ "detail": { "name": [{ "suffix": format!("-{n}.png") }], "ip": [{ "cidr": "10.0.0.0/8" }] } })
        }
    };
    pattern.to_string()
}

/// One that a few of the rules are for.
pub fn event(n: usize) -> String {
    json!({
        "version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": format!("type-{}", n % RULES),
        "source": if n.is_multiple_of(2) { "orders".to_owned() } else { format!("app.{}", n % 40) },
        "account": "000000000000", "time": "2026-11-21T00:00:00Z", "region": "us-east-1", "resources": [],
        "detail": {
            "state": format!("s{}", n % RULES), "total": n % 2_000, "key": format!("tenant-{}/x/y", n % RULES),
            "size": n % 3, "id": n % RULES, "owner": format!("o{}", n % RULES), "name": format!("pic-{}.png", n % RULES),
            "ip": "10.1.2.3", "tags": ["a", "b", "c"], "items": [{ "sku": "x", "count": 1 }, { "sku": "y", "count": 2 }],
        },
    })
    .to_string()
}
