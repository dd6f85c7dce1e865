use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Parser;
use serde_json::json;

use super::handler::{guess, node_handler, python_handler};
use super::package::Package;
use super::python::Requirements;
use super::*;
use crate::cli::args::{Args, Command};
use crate::cli::client::fake::{FakeNode, block_on, not_found};
use crate::cli::client::functions::Configuration;

fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Project) {
    let dir = tempfile::Builder::new().prefix("my.app-").tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let project = Project::recognise(dir.path()).unwrap();
    (dir, project)
}

fn flags(words: &[&str]) -> Deploy {
    let args = Args::try_parse_from(["lambent", "deploy"].iter().chain(words)).unwrap();
    let Command::Deploy(deploy) = args.command else { panic!("not deploy") };
    deploy
}

#[test]
fn a_project_is_known_by_its_files() {
    for (file, kind) in [
        ("Cargo.toml", Kind::Rust),
        ("requirements.txt", Kind::Python),
        ("pyproject.toml", Kind::Python),
        ("app.py", Kind::Python),
        ("package.json", Kind::NodeJs),
        ("index.mjs", Kind::NodeJs),
        ("bootstrap", Kind::Prebuilt),
    ] {
        assert_eq!(project(&[(file, "")]).1.kind, kind, "{file}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(Project::recognise(empty.path()).unwrap_err().hints[0].contains("bootstrap"));
    assert!(Project::recognise(&empty.path().join("gone")).is_err());
}

#[test]
fn python_handlers_are_top_level_functions() {
    assert_eq!(python_handler("def lambda_handler(event, context):\n"), Some("lambda_handler"));
    assert_eq!(python_handler("async def handler(e, c):\n"), Some("handler"));
    assert_eq!(python_handler("handler = Mangum(app)\n"), Some("handler"));
    for none in
        ["    def handler(e, c):", "handler == 1", "def handlers(e):", "# def handler(", "handler()", ""]
    {
        assert_eq!(python_handler(none), None, "{none}");
    }
}

#[test]
fn node_handlers_are_exports() {
    for source in [
        "export const handler = async () => {};",
        "export async function handler(event) {}",
        "exports.handler = async () => {};",
        "module.exports.handler = () => {};",
        "module.exports = { other, handler };",
        "export { a as handler };",
    ] {
        assert_eq!(node_handler(source), Some("handler"), "{source}");
    }
    for none in ["const handler = 1;", "exports.handlers = 1;", "export const handler2 = 1", ""] {
        assert_eq!(node_handler(none), None, "{none}");
    }
}

#[test]
fn a_handler_is_found_where_people_put_it() {
    let python = "def lambda_handler(event, context): pass";
    for (file, handler) in [
        ("lambda_function.py", "lambda_function.lambda_handler"),
        ("app.py", "app.lambda_handler"),
        ("src/main.py", "src/main.lambda_handler"),
        ("orders.py", "orders.lambda_handler"),
    ] {
        let (_dir, project) = project(&[(file, python), ("requirements.txt", "")]);
        assert_eq!(guess(&project, None).unwrap(), handler);
    }
    let (_dir, project) = project(&[("a.py", python), ("b.py", python)]);
    assert!(guess(&project, None).is_err(), "two files with handlers");
    assert_eq!(guess(&project, Some("b.lambda_handler")).unwrap(), "b.lambda_handler");
}

#[test]
fn flags_go_before_the_manifest_and_the_directory_names_the_function() {
    let toml = "memory = 256\ntimeout = 7\nlayers = ['a']\n[env]\nA = '1'\nB = '2'\n";
    let (_dir, project) = project(&[("app.py", ""), ("lambent.toml", toml)]);
    let settings =
        Settings::read(&project, &flags(&["--memory", "512", "--env", "B=3", "--egress", "none"])).unwrap();
    assert!(settings.name.starts_with("my-app-"), "{}", settings.name);
    assert_eq!((settings.memory, settings.timeout), (Some(512), Some(7)));
    assert_eq!((settings.layers, settings.egress.as_deref()), (Some(vec!["a".to_owned()]), Some("none")));
    assert_eq!(settings.env.unwrap(), BTreeMap::from([("A".into(), "1".into()), ("B".into(), "3".into())]));
}

#[test]
fn an_unknown_key_in_the_manifest_is_refused_by_name() {
    for (text, named) in [("memmory = 1", "memmory"), ("egress = 'all'", "all"), ("name = 'a b'", "a b")] {
        let (_dir, project) = project(&[("app.py", ""), ("lambent.toml", text)]);
        let failure = Settings::read(&project, &flags(&[])).unwrap_err();
        assert!(failure.message.contains(named), "{failure:?}");
    }
}

#[test]
fn the_same_files_make_the_same_archive() {
    let files = [
        ("b.py", "b"),
        ("a/c.py", "c"),
        ("run.sh", "#!/bin/sh"),
        ("a/__pycache__/c.pyc", "x"),
        (".git/x", ""),
    ];
    let archive = |order: &[usize]| {
        let ordered: Vec<_> = order.iter().map(|index| files[*index]).collect();
        let (dir, project) = project(&ordered);
        std::fs::set_permissions(dir.path().join("run.sh"), PermissionsExt::from_mode(0o700)).unwrap();
        let mut package = Package::default();
        package.add_tree(&project.path, |_| false).unwrap();
        package.zip().unwrap()
    };
    let archived = archive(&[0, 1, 2, 3, 4]);
    assert_eq!(archived, archive(&[4, 3, 2, 1, 0]));
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archived.bytes)).unwrap();
    assert_eq!(zip.file_names().collect::<Vec<_>>(), ["a/c.py", "b.py", "run.sh"]);
    assert_eq!(zip.by_name("run.sh").unwrap().unix_mode().unwrap() & 0o777, 0o755);
    assert_eq!(zip.by_name("b.py").unwrap().unix_mode().unwrap() & 0o777, 0o644);
}

#[test]
fn a_link_out_of_the_project_is_refused_and_one_inside_stays() {
    let (dir, project) = project(&[("app.py", "")]);
    std::os::unix::fs::symlink("app.py", dir.path().join("inside.py")).unwrap();
    let mut package = Package::default();
    package.add_tree(&project.path, |_| false).unwrap();
    package.zip().unwrap();
    for outside in ["/etc/passwd", "../../../etc/passwd", "nowhere"] {
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(outside, &link).unwrap();
        assert!(Package::default().add_tree(&project.path, |_| false).is_err(), "{outside}");
        std::fs::remove_file(link).unwrap();
    }
}

#[test]
fn requirements_are_followed_through_their_files() {
    let (_dir, project) =
        project(&[("requirements.txt", "# a\n\n-r more.txt\nb==1\n"), ("more.txt", "c==2")]);
    assert!(!Requirements::read(&project).unwrap().is_empty());
    let (_dir, project) = self::project(&[("requirements.txt", "-r requirements.txt")]);
    assert!(Requirements::read(&project).is_err(), "a loop ends");
    let (_dir, project) = self::project(&[("pyproject.toml", "[project]\nname='a'\ndependencies=['b']\n")]);
    assert!(!Requirements::read(&project).unwrap().is_empty());
    let (_dir, project) = self::project(&[("requirements.txt", "# nothing\n")]);
    assert!(Requirements::read(&project).unwrap().is_empty());
}

#[test]
fn an_installation_is_made_once_for_its_inputs_and_a_failed_one_leaves_nothing() {
    let (_dir, project) = project(&[("app.py", "")]);
    let fails = cache::installed(&project, "f", cache::Key::default().part("1"), |folder| {
        std::fs::write(folder.join("half"), "").unwrap();
        Err(Failure::local("no"))
    });
    assert!(fails.is_err());
    let install = |key: &str| {
        let mut ran = false;
        let folder = cache::installed(&project, "f", cache::Key::default().part(key), |_| {
            ran = true;
            Ok(())
        })
        .unwrap();
        (ran, folder.read_dir().unwrap().count())
    };
    assert_eq!(install("1"), (true, 0));
    assert_eq!(install("1"), (false, 0));
    assert_eq!(install("2"), (true, 0));
    assert_eq!(install("1"), (true, 0), "only the last one is kept");
}

#[test]
fn cargo_says_which_binaries_it_made() {
    let messages =
        br#"{"reason":"compiler-artifact","target":{"name":"lib","kind":["lib"]},"executable":null}
{"reason":"compiler-artifact","target":{"name":"one","kind":["bin"]},"executable":"/t/one"}
not json
{"reason":"build-finished","success":true}"#;
    let found = rust::executables(messages);
    assert_eq!(found, [("one".to_owned(), PathBuf::from("/t/one"))]);
    assert_eq!(rust::choose(found.clone(), "bootstrap").unwrap(), Path::new("/t/one"));
    let two = [found, vec![("two".to_owned(), PathBuf::from("/t/two"))]].concat();
    assert_eq!(rust::choose(two.clone(), "two").unwrap(), Path::new("/t/two"));
    assert!(rust::choose(two, "bootstrap").unwrap_err().message.contains("one, two"));
    assert!(rust::choose(Vec::new(), "bootstrap").is_err());
}

#[test]
fn only_what_differs_is_changed() {
    let (_dir, project) = project(&[("app.py", "")]);
    let mut words =
        vec!["--runtime", "python3.11", "--handler", "app.handler", "--env", "A=1", "--memory", "256"];
    let mut current = Configuration {
        runtime: "python3.11".to_owned(),
        handler: "app.handler".to_owned(),
        memory_size: 256,
        timeout: 3,
        ..Configuration::default()
    };
    current.environment.variables.insert("A".to_owned(), "1".to_owned());
    let (request, changed) = apply::difference(&Settings::read(&project, &flags(&words)).unwrap(), &current);
    assert!(request.is_empty() && changed.is_empty(), "{request:?}");
    words.extend(["--timeout", "9"]);
    let (request, changed) = apply::difference(&Settings::read(&project, &flags(&words)).unwrap(), &current);
    assert_eq!((json!(request), changed), (json!({ "Timeout": 9 }), vec!["timeout"]));
}

/// A function as a node shows it after `apply` was done with these settings.
fn shown(archive: &Archive, memory: u32) -> serde_json::Value {
    json!({
        "FunctionArn": "arn:f", "Runtime": "python3.11", "Handler": "app.handler", "MemorySize": memory,
        "CodeSha256": archive.sha256, "State": "Active", "LastUpdateStatus": "Successful",
    })
}

fn settings(words: &[&str]) -> Settings {
    let (_dir, project) = project(&[("app.py", "")]);
    let words = [&["--name", "f", "--runtime", "python3.11", "--handler", "app.handler"], words].concat();
    Settings::read(&project, &flags(&words)).unwrap()
}

fn applied(node: &FakeNode, settings: &Settings, archive: &Archive) -> Result<apply::Outcome, Failure> {
    let output = Output::plain();
    block_on(async {
        let existing = apply::find(&node.client, &settings.name).await?;
        apply::apply(&node.client, settings, archive, existing, &Progress::new(&output)).await
    })
}

#[test]
fn a_new_function_is_created_and_waited_for() {
    let archive = Archive::new(b"zip".to_vec()).unwrap();
    let (mut made, mut looks) = (false, 0);
    let active = shown(&archive, 128);
    let node = FakeNode::start(move |request| match request.what.as_str() {
        "GET /2015-03-31/functions/f" => not_found(),
        "POST /2015-03-31/functions" => {
            made = true;
            (201, "", json!({ "FunctionArn": "arn:f", "State": "Pending" }))
        }
        _ => {
            looks += 1;
            assert!(made);
            (200, "", if looks < 3 { json!({ "State": "Pending" }) } else { active.clone() })
        }
    });
    let outcome = applied(&node, &settings(&["--egress", "none", "--timeout", "9"]), &archive).unwrap();
    assert_eq!((outcome.action, outcome.arn.as_str()), (apply::Action::Created, "arn:f"));
    let seen = node.seen();
    assert!(seen.iter().all(|request| request.signed));
    let request = &seen[1].body;
    assert_eq!((&request["Timeout"], &request["Tags"]), (&json!(9), &json!({ "lambent:egress": "none" })));
    assert_eq!((&request["Code"]["ZipFile"], &request["MemorySize"]), (&json!("emlw"), &json!(null)));
}

#[test]
fn an_unchanged_function_is_left_alone() {
    let archive = Archive::new(b"zip".to_vec()).unwrap();
    let document = json!({ "Configuration": shown(&archive, 256) });
    let node = FakeNode::start(move |_| (200, "", document.clone()));
    let outcome = applied(&node, &settings(&["--memory", "256"]), &archive).unwrap();
    assert_eq!(outcome.action, apply::Action::Unchanged);
    assert_eq!(node.changes(), [""; 0]);
}

#[test]
fn what_differs_is_changed_and_nothing_else() {
    let archive = Archive::new(b"zip".to_vec()).unwrap();
    let old = Archive::new(b"old".to_vec()).unwrap();
    let (found, ready) = (json!({ "Configuration": shown(&old, 128) }), shown(&archive, 256));
    let node = FakeNode::start(move |request| match request.what.as_str() {
        "GET /2015-03-31/functions/f" => (200, "", found.clone()),
        _ => (200, "", ready.clone()),
    });
    let outcome = applied(&node, &settings(&["--memory", "256"]), &archive).unwrap();
    assert_eq!((outcome.action, outcome.changed), (apply::Action::Updated, vec!["code", "memory"]));
    assert_eq!(
        node.changes(),
        ["PUT /2015-03-31/functions/f/configuration", "PUT /2015-03-31/functions/f/code"]
    );
}

#[test]
fn a_function_that_can_not_run_is_a_failure_with_its_reason() {
    let archive = Archive::new(b"zip".to_vec()).unwrap();
    let failed = json!({ "FunctionArn": "arn:f", "State": "Failed", "StateReason": "no python3.11 here" });
    let node = FakeNode::start(move |request| match request.what.as_str() {
        "GET /2015-03-31/functions/f" => not_found(),
        _ => (200, "", failed.clone()),
    });
    let failure = applied(&node, &settings(&[]), &archive).unwrap_err();
    assert!(failure.message.contains("no python3.11 here"), "{failure:?}");
}
