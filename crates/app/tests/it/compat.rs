//! COMPAT.md: what of the reference works here. Made from the tables that the services themselves use, the lists
//! of operations and members that stand beside their tests (extracted from the public service models), and the
//! notes beside this file; `UPDATE_GOLDEN=1` rewrites it.
//!
//! That the services' tables tell the truth is shown in the services: their test `model` asks for every member
//! of every served operation and sees it read, or refused by name.

mod limits;
mod notes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use lambent_core::runtime::{Family, RUNTIMES, Runtime, Standing};
use lambent_events::{
    REFUSED_EVENT_MEMBERS, REFUSED_SCHEDULER_MEMBERS, SCHEDULER_OPERATIONS, SERVED_EVENT_OPERATIONS,
};
use lambent_functions::api::OPERATIONS;
use lambent_observe::logs::{REFUSED_MEMBERS, SERVED_OPERATIONS};
use serde::Deserialize;

use notes::{
    API_NOTES, DEFAULT_ONLY, INTRODUCTION, OPERATION_NOTES, READ_WITHOUT_EFFECT, RUNTIME_NOTES, SNS_NOTES,
    SQS_NOTES,
};

/// The operations of a service and their members, by the place in a request.
#[derive(Deserialize)]
struct Model {
    source: String,
    operations: BTreeMap<String, BTreeMap<String, String>>,
}

/// A service as this node has it.
struct Service {
    /// As notes name it.
    name: &'static str,
    title: &'static str,
    model: Model,
    served: BTreeSet<&'static str>,
    refused: BTreeMap<&'static str, Vec<String>>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn model(room: &str) -> Model {
    model_in(room, "members.json")
}

fn model_in(room: &str, file: &str) -> Model {
    let path = root().join("crates/services").join(room).join("tests/model").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn lambda() -> Service {
    let served = OPERATIONS.iter().filter(|operation| operation.is_served());
    Service {
        name: "lambda",
        title: "Lambda (2015-03-31 and its later paths)",
        model: model("functions"),
        served: served.clone().map(|operation| operation.name).collect(),
        refused: served.map(|operation| (operation.name, operation.refused_members())).collect(),
    }
}

fn by_operation(members: &[(&'static str, &str)]) -> BTreeMap<&'static str, Vec<String>> {
    let mut refused: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (operation, member) in members {
        refused.entry(operation).or_default().push((*member).to_owned());
    }
    refused
}

fn events() -> Service {
    Service {
        name: "events",
        title: "EventBridge (2015-10-07)",
        model: model_in("events", "events.json"),
        served: SERVED_EVENT_OPERATIONS.iter().copied().collect(),
        refused: by_operation(REFUSED_EVENT_MEMBERS),
    }
}

fn scheduler() -> Service {
    Service {
        name: "scheduler",
        title: "EventBridge Scheduler (2021-06-30)",
        model: model_in("events", "scheduler.json"),
        served: SCHEDULER_OPERATIONS.iter().map(|operation| operation.name).collect(),
        refused: by_operation(REFUSED_SCHEDULER_MEMBERS),
    }
}

fn logs() -> Service {
    Service {
        name: "logs",
        title: "CloudWatch Logs (2014-03-28)",
        model: model("observe"),
        served: SERVED_OPERATIONS.iter().copied().collect(),
        refused: by_operation(&REFUSED_MEMBERS),
    }
}

fn sns() -> Service {
    Service {
        name: "sns",
        title: "SNS (2010-03-31)",
        model: model("topics"),
        refused: by_operation(lambent_topics::REFUSED_MEMBERS),
        served: lambent_topics::OPERATIONS.iter().map(|operation| operation.name).collect(),
    }
}

fn sqs() -> Service {
    let served: BTreeSet<&str> = lambent_queues::OPERATIONS.iter().map(|operation| operation.name).collect();
    Service {
        name: "sqs",
        title: "SQS (2012-11-05)",
        model: model("queues"),
        refused: BTreeMap::new(),
        served,
    }
}

/// What becomes of the members of one operation.
#[derive(Default)]
struct Members<'a> {
    work: Vec<&'a str>,
    /// With the default that is taken.
    default_only: Vec<(&'a str, &'static str)>,
    /// Read, judged, and of no effect; with the reason.
    without_effect: Vec<(&'a str, &'static str)>,
    refused: Vec<&'a str>,
}

impl Service {
    fn members(&self, operation: &str) -> Members<'_> {
        let none = Vec::new();
        let refused = self.refused.get(operation).unwrap_or(&none);
        let default_of = |member: &str| find(DEFAULT_ONLY, self.name, operation, member);
        let mut members = Members::default();
        for member in self.model.operations[operation].keys().map(String::as_str) {
            // What is inside of a member that does not work goes with it.
            let is_inner =
                |outer: &str| member.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', '[']));
            let outers = || member.match_indices(['.', '[']).map(|(at, _)| &member[..at]);
            if refused.iter().any(|outer| is_inner(outer))
                || outers().any(|outer| find(READ_WITHOUT_EFFECT, self.name, operation, outer).is_some())
            {
                continue;
            }
            if let Some(default) = default_of(member) {
                members.default_only.push((member, default));
            } else if refused.iter().any(|found| found == member) {
                members.refused.push(member);
            } else if let Some(reason) = find(READ_WITHOUT_EFFECT, self.name, operation, member) {
                members.without_effect.push((member, reason));
            } else {
                members.work.push(member);
            }
        }
        members
    }

    fn render(&self, page: &mut String) {
        let operations = &self.model.operations;
        let unserved = operations.keys().filter(|name| !self.served.contains(name.as_str()));
        line(page, &format!("\n## {}\n", self.title));
        for (service, note) in API_NOTES.iter().chain(SQS_NOTES).chain(SNS_NOTES) {
            if *service == self.name {
                line(page, &format!("- {note}"));
            }
        }
        let counts = format!("{} of {} operations are served.", self.served.len(), operations.len());
        line(page, &format!("\n{counts} Operations and members are those of {}.", self.model.source));
        let unserved = codes(unserved.map(String::as_str));
        if !unserved.is_empty() {
            line(page, "\n### Not served\n");
            line(page, &unserved);
        }
        line(page, "\n### Served");
        for name in operations.keys().filter(|name| self.served.contains(name.as_str())) {
            line(page, &format!("\n#### {name}\n"));
            self.render_operation(page, name);
        }
    }

    fn render_operation(&self, page: &mut String, operation: &str) {
        let members = self.members(operation);
        if self.model.operations[operation].is_empty() {
            line(page, "- has no members");
        }
        if !members.work.is_empty() {
            line(page, &format!("- works: {}", codes(members.work.into_iter())));
        }
        for (member, default) in members.default_only {
            line(page, &format!("- accepted only at its default: `{member}` ({default})"));
        }
        for (member, reason) in members.without_effect {
            line(page, &format!("- accepted, without effect: `{member}` ({reason})"));
        }
        if !members.refused.is_empty() {
            line(page, &format!("- refused by name: {}", codes(members.refused.into_iter())));
        }
        for (_, _, note) in OPERATION_NOTES.iter().filter(|(s, o, _)| *s == self.name && *o == operation) {
            line(page, &format!("- differs: {note}"));
        }
    }
}

fn find(table: &[notes::MemberNote], service: &str, operation: &str, member: &str) -> Option<&'static str> {
    let fits = |(s, o, m, _): &&notes::MemberNote| *s == service && *o == operation && *m == member;
    table.iter().find(fits).map(|(_, _, _, note)| *note)
}

fn codes<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn line(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("a String takes everything");
}

fn runtimes(page: &mut String) {
    line(page, "\n## Runtimes\n");
    line(page, RUNTIME_NOTES);
    line(page, "\n| Identifier | Served by |\n| --- | --- |");
    for runtime in RUNTIMES.iter().filter(|runtime| runtime.standing == Standing::Live) {
        line(page, &format!("| `{}` | {} |", runtime.id, served_by(runtime)));
    }
    line(
        page,
        "\nBlocked, as the reference blocks them (functions are not created with them; the error names",
    );
    line(page, "the runtime to use instead):\n");
    let blocked = RUNTIMES.iter().filter(|runtime| runtime.standing != Standing::Live);
    line(page, &codes(blocked.map(|runtime| runtime.id)));
}

/// The oldest Java that the client runs on, as the catalogue of runtimes has it.
const JAVA_MIN: u32 = 11;

fn served_by(runtime: &Runtime) -> String {
    let version = runtime.language_version;
    match runtime.family {
        Family::Python => format!("Python {version} of the host, or a bundle"),
        Family::NodeJs => format!("Node.js {version} of the host, or a bundle"),
        Family::Java if version.parse::<u32>().is_ok_and(|version| version >= JAVA_MIN) => {
            format!("Java {version} of the host, or a bundle")
        }
        Family::Provided => "the package's own `bootstrap`; always there".to_owned(),
        Family::Java | Family::Ruby | Family::Dotnet | Family::Go => {
            "nothing yet: functions are created and become Failed".to_owned()
        }
    }
}

fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    limits::render(&mut page);
    runtimes(&mut page);
    lambda().render(&mut page);
    logs().render(&mut page);
    sqs().render(&mut page);
    events().render(&mut page);
    scheduler().render(&mut page);
    sns().render(&mut page);
    page
}

#[test]
fn compat_md_says_what_the_tables_say() {
    let path = root().join("COMPAT.md");
    let page = page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "COMPAT.md differs from the tables; UPDATE_GOLDEN=1 rewrites it");
}

#[test]
fn notes_speak_of_members_that_are_there() {
    let services = [lambda(), logs(), sqs(), events(), scheduler(), sns()];
    let find = |name: &str| services.iter().find(|service| service.name == name).unwrap();
    for (service, operation, member, _) in DEFAULT_ONLY.iter().chain(READ_WITHOUT_EFFECT) {
        let members = &find(service).model.operations[*operation];
        assert!(members.contains_key(*member), "{operation} has no {member}");
    }
    // The services' tests show that these are refused at other values; the lists must not drift apart.
    for (service, operation, member, _) in DEFAULT_ONLY.iter().filter(|(service, ..)| *service == "lambda") {
        let refused = &find(service).refused[operation];
        let is_listed = refused.iter().any(|found| found == member) || *member == "Architectures";
        assert!(is_listed, "{operation} does not refuse {member}");
    }
    for (service, operation, _) in OPERATION_NOTES {
        assert!(find(service).served.contains(operation), "{operation} is not served");
    }
}

#[test]
fn every_refused_member_is_one_of_the_model_or_of_its_sisters() {
    let lambda = lambda();
    for (operation, refused) in &lambda.refused {
        for member in refused {
            // Layers share the table of sources with functions; their model has fewer of them.
            let is_known = lambda.model.operations[*operation].contains_key(member);
            assert!(is_known || member.starts_with("Content."), "{operation} has no {member}");
        }
    }
}
