use std::time::Duration;

use lambent_core::function::{Egress, LogFormat, LogLevel, Logging};
use lambent_core::ids::{AccountId, CodeDigest, FunctionName, Region, RevisionId, Version};

use super::*;

fn spec() -> FunctionSpec {
    FunctionSpec {
        account: AccountId::new("000000000000").unwrap(),
        region: Region::new("us-east-1").unwrap(),
        name: FunctionName::new("f").unwrap(),
        version: Version::Latest,
        revision: RevisionId::new("00000000-0000-4000-8000-000000000001").unwrap(),
        runtime: lambent_core::runtime::find("nodejs20.x").unwrap(),
        handler: "index.handler".into(),
        role_arn: "arn:aws:iam::000000000000:role/r".into(),
        code: CodeDigest::new("a".repeat(64)).unwrap(),
        layers: vec![],
        memory_mb: 128,
        timeout: Duration::from_secs(3),
        ephemeral_mb: 512,
        environment: vec![],
        egress: Egress::None,
        logging: Logging {
            group: "/aws/lambda/f".into(),
            format: LogFormat::Text,
            application_level: LogLevel::Info,
            system_level: LogLevel::Info,
        },
        snap_start: false,
    }
}

fn sent(scripts: &[u8], modules: &[(&str, &[u8])]) -> Vec<u8> {
    let modules = modules.iter().flat_map(|(name, code)| [name.as_bytes(), *code]);
    let parts = std::iter::once(scripts).chain(modules);
    parts.flat_map(|part| [&(part.len() as u32).to_be_bytes()[..], part].concat()).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_function_sees_what_it_compiled_itself_and_nothing_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let compiled = CompiledCode::new(dir.path().join("compiled"));
    let node = words("node --max-old-space-size=115 20.1.0");
    let own = spec();
    assert!(compiled.mount(&own, &node).is_none() && !compiled.knows_package(&own));
    assert_eq!(compiled.variable(&own, &node).1, COLLECT);
    compiled.keep(&own, &node, &sent(b"mine", &[]));

    let mount = compiled.mount(&own, &node).unwrap();
    assert_eq!(std::fs::read(mount.sources[0].join(FILE)).unwrap(), b"mine");
    assert_eq!(compiled.variable(&own, &node).1, "/var/lambent/compiled/code");
    let others = [
        FunctionSpec { name: FunctionName::new("g").unwrap(), ..own.clone() },
        FunctionSpec { account: AccountId::new("111111111111").unwrap(), ..own.clone() },
        FunctionSpec { region: Region::new("eu-west-1").unwrap(), ..own.clone() },
        FunctionSpec { code: CodeDigest::new("b".repeat(64)).unwrap(), ..own.clone() },
        FunctionSpec { layers: vec![CodeDigest::new("c".repeat(64)).unwrap()], ..own.clone() },
        FunctionSpec { runtime: lambent_core::runtime::find("nodejs22.x").unwrap(), ..own.clone() },
    ];
    for other in &others {
        assert!(compiled.mount(other, &node).is_none(), "{other:?}");
        assert_eq!(compiled.variable(other, &node).1, COLLECT, "{other:?}");
    }
    for start in ["node --max-old-space-size=115 20.1.1", "node --max-old-space-size=230 20.1.0"] {
        assert!(compiled.mount(&own, &words(start)).is_none(), "{start}");
    }
    // A published version of the same code is the same function.
    let published = FunctionSpec { memory_mb: 129, ..own.clone() };
    assert!(compiled.mount(&published, &node).is_some());
}

#[test]
fn what_is_mounted_never_changes() {
    let dir = tempfile::tempdir().unwrap();
    let compiled = CompiledCode::new(dir.path().join("compiled"));
    compiled.keep(&spec(), &[], &sent(b"first", &[]));
    compiled.keep(&spec(), &[], &sent(b"second", &[]));
    let mount = compiled.mount(&spec(), &[]).unwrap();
    assert_eq!(std::fs::read(mount.sources[0].join(FILE)).unwrap(), b"first");
    assert_eq!(entries(&compiled.root).len(), 1, "nothing unfinished is left");
}

#[test]
fn it_goes_with_its_package_and_when_there_is_too_much() {
    let dir = tempfile::tempdir().unwrap();
    let compiled = CompiledCode::new(dir.path().join("compiled"));
    let other = FunctionSpec { name: FunctionName::new("g").unwrap(), ..spec() };
    compiled.keep(&spec(), &[], &sent(&[0; 300], &[("v22/a", &[0; 300])]));
    let older = compiled.mount(&spec(), &[]).unwrap().sources[0].join(FILE);
    let file = std::fs::File::options().write(true).open(older).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    compiled.keep(&other, &[], &sent(&[0; 600], &[]));
    compiled.make_room(1_000);
    assert!(compiled.mount(&spec(), &[]).is_none() && compiled.mount(&other, &[]).is_some());

    compiled.sweep(|package| package == other.code.as_str());
    assert!(compiled.mount(&other, &[]).is_some());
    compiled.sweep(|_| false);
    assert!(compiled.mount(&other, &[]).is_none());
}

#[test]
fn modules_are_files_where_nodejs_looks_for_them() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let compiled = CompiledCode::new(dir.path().join("compiled"));
    compiled.keep(&spec(), &[], &sent(b"", &[("v22.10.0-x64-9ac5-993/9a75d2d3", b"one"), ("v22/b", b"two")]));
    let folder = compiled.mount(&spec(), &[]).unwrap().sources[0].clone();
    assert_eq!(std::fs::read(folder.join("modules/v22.10.0-x64-9ac5-993/9a75d2d3")).unwrap(), b"one");
    assert_eq!(std::fs::read(folder.join("modules/v22/b")).unwrap(), b"two");
    for (path, mode) in
        [("modules", 0o755), ("modules/v22", 0o755), ("modules/v22/b", 0o644), ("code", 0o644)]
    {
        let found = std::fs::metadata(folder.join(path)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{path}");
    }
}

#[test]
fn what_a_sandbox_sends_is_written_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let compiled = CompiledCode::new(dir.path().join("compiled"));
    let good = sent(b"code", &[("v22/a", b"one")]);
    let long = format!("v22/{}", "a".repeat(NAME_BYTES_MAX + 1));
    let names = ["../a", "v22/..", "v22/../a", "/a", "v22/", "a", "v22/a/b", "v22/.a", "v22/a\0", &long];
    let forged = names.iter().map(|name| sent(b"code", &[(name, b"one")]));
    let cut = (0..good.len()).filter(|end| *end != 8).map(|end| good[..end].to_vec());
    for bytes in forged.chain(cut).chain([vec![0xff; 64]]) {
        compiled.keep(&spec(), &[], &bytes);
        assert!(compiled.mount(&spec(), &[]).is_none(), "{bytes:?}");
    }
    assert_eq!(entries(dir.path()).len(), 0, "not even a folder");
    compiled.keep(&spec(), &[], &good);
    assert!(compiled.mount(&spec(), &[]).is_some());
}
