//! The catalogue: what it finds, what it says is missing, bundles and aliases.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lambent_core::ports::{Availability, Runtimes};
use lambent_execution::runtimes::{
    AliasError, BundleError, Catalogue, Places, Source, SourceError, parse_alias,
};

use super::{CATALOGUE, known};

fn no_network(_url: &str, _target: &mut dyn io::Write) -> io::Result<()> {
    Err(io::Error::other("there is no network in this test"))
}

fn empty_host() -> Places {
    Places { programs: Vec::new(), home: Some(PathBuf::from("/nonexistent")), java_home: None }
}

#[test]
fn a_missing_runtime_says_what_is_here_and_how_to_add_it() {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::open_in(dir.path().into(), Vec::new(), empty_host()).unwrap();
    let Availability::Missing { reason } = catalogue.availability(known("python3.12")) else {
        panic!("an empty host has no Python");
    };
    assert!(reason.starts_with("The runtime python3.12 is not on this node, which has "), "{reason}");
    assert!(reason.contains("provided.al2, provided.al2023. "), "{reason}");
    assert!(reason.ends_with("lambent runtimes add python3.12 --from DIR|ARCHIVE|URL#sha256"), "{reason}");
    let Availability::Missing { reason } = catalogue.availability(known("ruby3.4")) else { panic!() };
    assert!(reason.ends_with("package the program for provided.al2023"), "{reason}");
    assert_eq!(catalogue.availability(known("provided.al2023")), Availability::Present);
}

#[test]
fn opening_waits_for_no_interpreter() {
    let (dir, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // One that doesn't answer, which whoever waits for it would do for ten seconds.
    let silent = programs.path().join("python3.11");
    std::fs::write(&silent, "#!/bin/sh\nexec sleep 8\n").unwrap();
    std::fs::set_permissions(&silent, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let places = Places { programs: vec![programs.path().to_owned()], ..empty_host() };
    let begun = Instant::now();
    let _catalogue = Catalogue::open_in(dir.path().into(), Vec::new(), places).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn what_was_learnt_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let list = |catalogue: &Catalogue| {
        catalogue.list().into_iter().filter_map(|entry| entry.interpreter).collect::<Vec<_>>()
    };
    let first = list(&Catalogue::open_in(dir.path().into(), Vec::new(), Places::of_host()).unwrap());
    let memory = std::fs::read_to_string(dir.path().join("discovered.json")).unwrap();
    for interpreter in &first {
        assert!(memory.contains(&*interpreter.program.to_string_lossy()), "{interpreter:?}");
    }
    // A false answer in its place shows that it is believed, as long as the program is the same.
    if let Some(one) = first.first() {
        let changed = memory.replace(&one.full_version, "0.0.0-remembered");
        std::fs::write(dir.path().join("discovered.json"), changed).unwrap();
        let second = list(&Catalogue::open_in(dir.path().into(), Vec::new(), Places::of_host()).unwrap());
        assert_eq!(second[0].full_version, "0.0.0-remembered");
    }
}

#[test]
fn interpreters_of_the_system_come_first_and_scripts_never() {
    for entry in CATALOGUE.1.list() {
        let Some(interpreter) = entry.interpreter else { continue };
        let head = std::fs::read(&interpreter.program).unwrap();
        assert_eq!(&head[..4], b"\x7fELF", "{interpreter:?}");
        let system = Path::new("/usr/bin").join(format!("python{}", entry.runtime.language_version));
        if system.is_file() && entry.runtime.id.starts_with("python") {
            assert!(interpreter.program.starts_with("/usr"), "{interpreter:?}");
        }
    }
}

#[test]
fn an_interpreter_outside_of_the_system_is_mounted_at_its_own_place() {
    for entry in CATALOGUE.1.list() {
        let Some(interpreter) = entry.interpreter else { continue };
        let launch = CATALOGUE.1.launch(entry.runtime, 512).unwrap();
        assert_eq!(Path::new(&launch.argv[0]), interpreter.program);
        let is_mounted = launch.mounts.iter().any(|mount| mount.target == interpreter.prefix);
        assert_eq!(is_mounted, !interpreter.prefix.starts_with("/usr"), "{launch:?}");
        let client = launch.mounts.iter().find(|mount| mount.target == Path::new("/var/runtime")).unwrap();
        assert!(client.sources[0].is_absolute() && client.sources[0].is_dir(), "{client:?}");
        let env = |name: &str| launch.env.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!(env("AWS_EXECUTION_ENV"), Some(&*format!("AWS_Lambda_{}", entry.runtime.id)));
        assert!(launch.served_by.is_none());
    }
}

#[test]
fn memory_decides_the_heap() {
    let flag = |id: &str, memory: u32, prefix: &str| {
        let launch = CATALOGUE.1.launch(known(id), memory).ok()?;
        launch.argv.iter().find_map(|word| word.strip_prefix(prefix).map(str::to_string))
    };
    for (id, memory, prefix, expected) in [
        ("nodejs20.x", 512, "--max-old-space-size=", "460"),
        ("nodejs20.x", 128, "--max-semi-space-size=", "6"),
        ("java17", 512, "-XX:MaxHeapSize=", "445644k"),
    ] {
        match flag(id, memory, prefix) {
            Some(found) => assert_eq!(found, expected, "{id}"),
            None => eprintln!("ABSENT: {id} was not tested on this host"),
        }
    }
}

#[test]
fn an_alias_serves_a_runtime_by_another_one_and_says_so() {
    let Some(here) = CATALOGUE.1.list().into_iter().find(|entry| {
        entry.interpreter.is_some()
            && entry.runtime.id.starts_with("python")
            && entry.runtime.id != "python3.14"
    }) else {
        eprintln!("ABSENT: no Python; aliases were not tested on this host");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let aliases = vec![("python3.14".to_string(), here.runtime.id.to_string())];
    let catalogue = Catalogue::open_in(dir.path().into(), aliases, Places::of_host()).unwrap();
    assert_eq!(catalogue.availability(known("python3.14")), Availability::Present);
    let launch = catalogue.launch(known("python3.14"), 128).unwrap();
    let note = launch.served_by.unwrap();
    assert!(note.starts_with(&format!("python3.14 is served by {} 3.", here.runtime.id)), "{note}");
    // What a function may notice of its runtime is still the one that it named.
    assert!(launch.env.contains(&("AWS_EXECUTION_ENV".into(), "AWS_Lambda_python3.14".into())));
}

#[test]
fn a_wrong_alias_is_refused_by_name() {
    assert!(matches!(parse_alias("python3.12"), Err(AliasError::Form { .. })));
    assert!(matches!(parse_alias("python3.12=python4"), Err(AliasError::Unknown { id }) if id == "python4"));
    assert!(matches!(parse_alias("python3.12=nodejs20.x"), Err(AliasError::Family { .. })));
    assert_eq!(parse_alias("java21=java17").unwrap(), ("java21".into(), "java17".into()));
}

#[test]
fn a_source_is_a_folder_an_archive_or_an_address_with_a_digest() {
    let digest = "a".repeat(64);
    let address = Source::parse(&format!("https://example.com/x.tar.gz#{digest}")).unwrap();
    assert_eq!(address, Source::Address { url: "https://example.com/x.tar.gz".into(), sha256: digest });
    assert!(matches!(Source::parse("https://example.com/x.zip"), Err(SourceError::NoDigest { .. })));
    assert!(matches!(Source::parse("https://example.com/x.zip#12"), Err(SourceError::BadDigest { .. })));
    assert!(matches!(Source::parse("/nonexistent"), Err(SourceError::Absent { .. })));
}

#[test]
fn bad_bundles_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::open_in(dir.path().join("data"), Vec::new(), empty_host()).unwrap();
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let false_node = dir.path().join("false");
    std::fs::create_dir_all(false_node.join("bin")).unwrap();
    std::fs::copy("/bin/true", false_node.join("bin/node")).unwrap();
    let archive = dir.path().join("broken.tar.gz");
    std::fs::write(&archive, b"no archive").unwrap();

    let node = known("nodejs22.x");
    let add = |source: Source| catalogue.add(node, &source, &no_network, &()).unwrap_err();
    assert!(matches!(add(Source::Folder(empty)), BundleError::NoProgram { .. }));
    assert!(matches!(add(Source::Folder(false_node)), BundleError::OtherVersion { .. }));
    assert!(matches!(add(Source::Archive(archive)), BundleError::Source(SourceError::Unpack { .. })));
    let address = Source::Address { url: "https://example.com/x.tar.gz".into(), sha256: "0".repeat(64) };
    assert!(matches!(add(address), BundleError::Source(SourceError::Fetch { .. })));
    let address = Source::Address { url: "https://example.com/x.tar.gz".into(), sha256: "0".repeat(64) };
    let other = |_: &str, target: &mut dyn io::Write| target.write_all(b"something else");
    let error = catalogue.add(node, &address, &other, &()).unwrap_err();
    assert!(matches!(error, BundleError::Source(SourceError::OtherDigest { .. })));
    let provided = catalogue.add(known("provided.al2"), &Source::Folder("/usr".into()), &no_network, &());
    assert!(matches!(provided, Err(BundleError::Provided { .. })));
    let left: Vec<_> = std::fs::read_dir(dir.path().join("data/bundles")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_bundle_serves_its_runtime_until_it_is_removed() {
    let Some(entry) = CATALOGUE
        .1
        .list()
        .into_iter()
        .find(|entry| entry.interpreter.is_some() && entry.runtime.id.starts_with("nodejs"))
    else {
        eprintln!("ABSENT: no Node.js; bundles were not tested on this host");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let installation = dir.path().join("node-v1-linux/bin");
    std::fs::create_dir_all(&installation).unwrap();
    std::fs::copy(&entry.interpreter.as_ref().unwrap().program, installation.join("node")).unwrap();
    let archive = dir.path().join("node.tar.zst");
    let packed = zstd::stream::write::Encoder::new(std::fs::File::create(&archive).unwrap(), 1).unwrap();
    let mut builder = tar::Builder::new(packed);
    builder.append_dir_all("node-v1-linux", dir.path().join("node-v1-linux")).unwrap();
    builder.into_inner().unwrap().finish().unwrap();

    let data = dir.path().join("data");
    let catalogue = Catalogue::open_in(data.clone(), Vec::new(), empty_host()).unwrap();
    let source = Source::parse(archive.to_str().unwrap()).unwrap();
    let added = catalogue.add(entry.runtime, &source, &no_network, &()).unwrap();
    assert_eq!(added.full_version, entry.interpreter.unwrap().full_version);

    // Another process, such as the node itself, sees it at once.
    let other = Catalogue::open_in(data, Vec::new(), empty_host()).unwrap();
    let launch = other.launch(entry.runtime, 128).unwrap();
    assert_eq!(launch.argv[0], "/var/lang/bin/node");
    let bundle = launch.mounts.iter().find(|mount| mount.target == Path::new("/var/lang")).unwrap();
    assert!(bundle.sources[0].join("bin/node").is_file());
    other.sweep();
    assert!(bundle.sources[0].join("bin/node").is_file(), "what is in use is not swept");

    assert!(catalogue.remove(entry.runtime).unwrap());
    assert!(!catalogue.remove(entry.runtime).unwrap());
    assert!(matches!(other.availability(entry.runtime), Availability::Missing { .. }));
    assert!(bundle.sources[0].join("bin/node").is_file(), "a running function may have it mounted");
}

#[test]
fn a_wrapper_gets_the_runtime_as_its_arguments() {
    let launch = CATALOGUE.1.launch(known("provided.al2023"), 128).unwrap();
    assert_eq!(launch.argv_under(&[]), ["/var/task/bootstrap"]);
    let environment = [("AWS_LAMBDA_EXEC_WRAPPER".to_string(), "/opt/wrap".to_string())];
    assert_eq!(launch.argv_under(&environment), ["/opt/wrap", "/var/task/bootstrap"]);
}
