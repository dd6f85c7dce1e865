//! The service model against the service: every member of a served operation is in its table.

use std::collections::BTreeMap;

use lambent_topics::OPERATIONS;
use lambent_wire::query::{Member, Shape};
use serde::Deserialize;

/// Made by `extract.py` beside the model of the Lambda API.
#[derive(Deserialize)]
struct Model {
    operations: BTreeMap<String, BTreeMap<String, String>>,
}

/// Members as the model names them.
fn paths(members: &[Member], prefix: &str) -> Vec<String> {
    members
        .iter()
        .flat_map(|member| {
            let path = format!("{prefix}{}", member.name);
            let inner = match member.shape {
                Shape::List { item: Shape::Structure(members), .. } => paths(members, &format!("{path}[].")),
                _ => Vec::new(),
            };
            [vec![path], inner].concat()
        })
        .collect()
}

#[test]
fn the_table_has_the_members_of_the_model() {
    let model: Model = serde_json::from_str(include_str!("../model/members.json")).unwrap();
    assert!(OPERATIONS.is_sorted_by_key(|operation| operation.name));
    for operation in OPERATIONS {
        let mut table = paths(operation.takes, "");
        table.sort();
        let known: Vec<String> = model.operations[operation.name].keys().cloned().collect();
        assert_eq!(table, known, "{}", operation.name);
    }
}
