//! The store as its callers use it. Hostile archives are in `hostile`, random ones in `random`.

mod hostile;
mod random;
mod raw;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use super::*;
use raw::{archive, archive_with, deflated, directory, file, link};
use tempfile::TempDir;

struct Fixture {
    directory: TempDir,
    store: FileCodeStore,
}

fn fixture() -> Fixture {
    limited(Limits::default())
}

fn limited(limits: Limits) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let store = FileCodeStore::open(directory.path(), limits).unwrap();
    Fixture { directory, store }
}

impl Fixture {
    async fn admit(&self, zip: Vec<u8>) -> Result<CodePackage, CodeRefusal> {
        self.store.admit(zip.into(), PackageKind::Function).await
    }

    /// Takes the archive in and answers where its tree is.
    async fn unpacked(&self, zip: Vec<u8>) -> PathBuf {
        let package = self.admit(zip).await.unwrap();
        self.store.package_dir(&package.digest)
    }

    fn is_empty(&self) -> bool {
        ["packages", "zips", "temp"].iter().all(|name| is_empty(&self.directory.path().join(name)))
    }

    fn reopened(self) -> Self {
        let store = FileCodeStore::open(self.directory.path(), Limits::default()).unwrap();
        Self { directory: self.directory, store }
    }
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_package_is_unpacked_and_its_bytes_are_kept() {
    let f = fixture();
    let zip = archive(&[
        directory("pkg/"),
        deflated("pkg/app.py", "print(1)\n".repeat(50_000)),
        file("empty", ""),
        deflated("pkg/ünï/čode.txt", "text"),
        link("pkg/current", "ünï"),
    ]);
    let package = f.admit(zip.clone()).await.unwrap();
    let root = f.store.package_dir(&package.digest);
    assert_eq!(fs::read(root.join("pkg/app.py")).unwrap(), "print(1)\n".repeat(50_000).as_bytes());
    assert_eq!(fs::read(root.join("pkg/current/čode.txt")).unwrap(), b"text");
    assert_eq!(fs::read(root.join("empty")).unwrap(), b"");
    assert_eq!(package.zipped_bytes, zip.len() as u64);
    assert_eq!(package.unzipped_bytes, 450_000 + 4 + "ünï".len() as u64);
    assert_eq!(f.store.zipped(&package.digest).await.unwrap().unwrap(), zip);
    assert!(is_empty(&f.directory.path().join("temp")));
    assert_eq!(f.store.trees().await.unwrap(), Trees { count: 1, unzipped_bytes: 450_004 });
    let unknown = keep::digest(b"");
    assert_eq!(f.store.zipped(&unknown).await.unwrap(), None);
    assert!(!f.store.package_dir(&unknown).exists());
}

#[test]
fn the_digest_is_sha_256() {
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(keep::digest(b"abc").as_str(), known);
}

#[tokio::test]
async fn permissions_are_the_archives_but_readable_and_harmless() {
    let f = fixture();
    let entry = |name: &str, mode| raw::Raw { mode, ..file(name, "x") };
    let tree = f
        .unpacked(archive(&[
            entry("plain", 0o100_644),
            entry("program", 0o100_755),
            entry("secret", 0o100_600),
            entry("none", 0o100_000),
            entry("wild", 0o107_777),
            entry("untyped", 0o600),
            entry("dos", 0),
            entry("bootstrap", 0),
            entry("below/bootstrap", 0),
            raw::Raw { mode: 0o040_700, ..directory("closed/") },
            raw::Raw { mode: 0o043_777, ..directory("open/") },
            raw::Raw { mode: 0o040_000, ..directory("shut") },
        ]))
        .await;
    let expected = [
        ("plain", 0o644),
        ("program", 0o755),
        ("secret", 0o644),
        ("none", 0o444),
        ("wild", 0o775),
        ("untyped", 0o644),
        ("dos", 0o644),
        ("bootstrap", 0o755),
        ("below/bootstrap", 0o644),
        ("below", 0o755),
        ("closed", 0o755),
        ("open", 0o775),
        ("shut", 0o755),
        ("", 0o755),
    ];
    for (name, wanted) in expected {
        assert_eq!(mode(tree.join(name)), wanted, "{name}");
    }
}

#[tokio::test]
async fn a_bootstrap_keeps_the_mode_that_its_archive_gives() {
    let f = fixture();
    let tree = f.unpacked(archive(&[file("bootstrap", "#!/bin/sh")])).await;
    assert_eq!(mode(tree.join("bootstrap")), 0o644);
}

#[tokio::test]
async fn what_pythons_zipfile_forgives_is_forgiven() {
    let f = fixture();
    let entries = [deflated("./a//b.txt", "one"), directory("./"), directory("a/"), directory("a")];
    let plain = archive(&entries);
    let prefixed = [b"#!/bin/sh\nexec unzip\n".as_slice(), &plain].concat();
    let suffixed = [plain.as_slice(), b"tail"].concat();
    let commented = archive_with(&entries, b"a comment");
    let mut crowded = vec![prefixed.clone(), suffixed, commented, plain];
    crowded.push([prefixed.as_slice(), &[0; 60_000]].concat());
    for (at, zip) in crowded.into_iter().enumerate() {
        let tree = f.unpacked(zip).await;
        assert_eq!(fs::read(tree.join("a/b.txt")).unwrap(), b"one", "{at}");
    }
    // Names in code page 437, from the time before UTF-8.
    let tree = f.unpacked(archive(&[file(b"caf\x82", "x")])).await;
    assert!(tree.join("café").is_file());
    // Data that goes on behind the end of the deflate stream.
    let mut long = deflated("f", "x");
    long.data.extend(b"rest");
    long.packed += 4;
    assert!(f.unpacked(archive(&[long])).await.join("f").is_file());
}

#[tokio::test]
async fn zip64_archives_are_read() {
    let f = fixture();
    let mut cursor = std::io::Cursor::new(Vec::new());
    let mut writer = zip::ZipWriter::new(&mut cursor);
    let options = zip::write::SimpleFileOptions::default().large_file(true);
    writer.start_file("large.txt", options).unwrap();
    std::io::Write::write_all(&mut writer, b"contents").unwrap();
    writer.finish().unwrap();
    let tree = f.unpacked(cursor.into_inner()).await;
    assert_eq!(fs::read(tree.join("large.txt")).unwrap(), b"contents");
    // The fields that are all ones stand in the extra field.
    let mut wide = file("wide", "12345");
    wide.extra = [&[1, 0, 16, 0][..], &5u64.to_le_bytes(), &5u64.to_le_bytes()].concat();
    (wide.size, wide.packed) = (u32::MAX, u32::MAX);
    assert_eq!(fs::read(f.unpacked(archive(&[wide])).await.join("wide")).unwrap(), b"12345");
    let f = limited(Limits { entries_max: 70_001, ..Limits::default() });
    let many: Vec<_> = (0..70_000).map(|n| file(format!("d/{n}"), "")).collect();
    let entries = archive::entries(&zip64(&many), 70_000).unwrap();
    assert_eq!(entries.len(), 70_000);
    assert!(f.is_empty());
}

/// The archive with its end in zip64 form, as one with more than 65,535 entries has it.
fn zip64(entries: &[raw::Raw]) -> Vec<u8> {
    let mut zip = archive(entries);
    let end = zip.split_off(zip.len() - 22);
    let number = |at: usize| u64::from(u32::from_le_bytes(end[at..at + 4].try_into().unwrap()));
    let at = zip.len() as u64;
    zip.extend(b"PK\x06\x06");
    for field in [44u64, 0x2d_002d, 0] {
        zip.extend(field.to_le_bytes());
    }
    zip.truncate(zip.len() - 4);
    for field in [entries.len() as u64, entries.len() as u64, number(12), number(16)] {
        zip.extend(field.to_le_bytes());
    }
    zip.extend(b"PK\x06\x07\0\0\0\0");
    zip.extend(at.to_le_bytes());
    zip.extend(1u32.to_le_bytes());
    zip.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
    zip
}

#[tokio::test]
async fn links_that_stay_inside_are_kept() {
    let f = fixture();
    let tree = f
        .unpacked(archive(&[
            file("lib/real.so.1", "so"),
            link("lib/real.so", "real.so.1"),
            link("bin/tool", "../lib/./real.so"),
            link("dangling", "lib/nothing/../here"),
            link("here", "."),
            link("round", "here/lib/../bin/tool"),
            link("root", "lib/.."),
        ]))
        .await;
    assert_eq!(fs::read(tree.join("round")).unwrap(), b"so");
    assert_eq!(fs::read_link(tree.join("bin/tool")).unwrap(), Path::new("../lib/./real.so"));
    assert!(fs::symlink_metadata(tree.join("dangling")).unwrap().is_symlink());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_at_the_same_time_are_taken_in_once() {
    let f = fixture();
    let zip: Bytes = archive(&[deflated("a", "x".repeat(1_000_000))]).into();
    let admissions: Vec<_> = (0..24)
        .map(|_| {
            let (store, zip) = (f.store.clone(), zip.clone());
            tokio::spawn(async move { store.admit(zip, PackageKind::Layer).await })
        })
        .collect();
    for admission in admissions {
        assert_eq!(admission.await.unwrap().unwrap().unzipped_bytes, 1_000_000);
    }
    assert_eq!(f.store.trees().await.unwrap().count, 1);
}

#[tokio::test]
async fn a_package_that_is_there_is_not_written_again() {
    let f = fixture();
    let zip = archive(&[file("a", "1")]);
    let tree = f.unpacked(zip.clone()).await;
    fs::write(tree.join("mark"), b"").unwrap();
    f.unpacked(zip.clone()).await;
    let f = f.reopened();
    f.unpacked(zip).await;
    assert!(tree.join("mark").exists());
}

#[tokio::test]
async fn leftovers_go_and_lost_trees_come_back_when_the_store_opens() {
    let f = fixture();
    let zip = archive(&[file("a", "1")]);
    let tree = f.unpacked(zip.clone()).await;
    let leftover = f.directory.path().join("temp/abandoned/tree/x");
    fs::create_dir_all(&leftover).unwrap();
    fs::remove_dir_all(&tree).unwrap();
    // A zip that is not what its name says stays, and is no reason not to start.
    let lying = f.directory.path().join("zips").join(format!("{}.zip", keep::digest(b"other")));
    fs::write(&lying, &zip).unwrap();
    let f = f.reopened();
    assert!(is_empty(&f.directory.path().join("temp")));
    assert_eq!(fs::read(tree.join("a")).unwrap(), b"1");
    assert!(lying.exists() && !f.store.package_dir(&keep::digest(b"other")).exists());
}

#[tokio::test]
async fn a_sweep_removes_what_nothing_refers_to_and_nothing_else() {
    let f = fixture();
    let kept = f.admit(archive(&[file("a", "kept")])).await.unwrap();
    let lost = f.admit(archive(&[link("l", "a"), file("d/e", "lost")])).await.unwrap();
    let keep = |digest: &CodeDigest| *digest == kept.digest;
    let swept = f.store.sweep(keep).await.unwrap();
    assert_eq!(swept, Swept::default(), "it came in just now: its record may be under way");
    f.store.keep.age();
    let swept = f.store.sweep(keep).await.unwrap();
    assert_eq!(swept, Swept { packages: 1, zipped_bytes: lost.zipped_bytes });
    assert!(!f.store.package_dir(&lost.digest).exists());
    assert_eq!(f.store.zipped(&lost.digest).await.unwrap(), None);
    assert!(f.store.package_dir(&kept.digest).join("a").exists());
    assert!(f.store.zipped(&kept.digest).await.unwrap().is_some());
    assert!(is_empty(&f.directory.path().join("temp")));
    assert_eq!(f.admit(archive(&[link("l", "a"), file("d/e", "lost")])).await.unwrap(), lost);
}

#[tokio::test]
async fn a_failing_disk_is_the_nodes_fault_and_leaves_nothing() {
    let f = fixture();
    fs::remove_dir(f.directory.path().join("zips")).unwrap();
    let refusal = f.admit(archive(&[file("a", "1")])).await.unwrap_err();
    assert!(matches!(refusal, CodeRefusal::Storage { .. }), "{refusal:?}");
    fs::create_dir(f.directory.path().join("zips")).unwrap();
    assert!(f.is_empty());
}

/// The promise is well under 300 ms in a release build; this prints the time and catches a change of order.
#[tokio::test]
async fn ten_megabytes_in_a_thousand_files_are_taken_in_quickly() {
    let f = fixture();
    // A third of each file does not compress, as in packages with native libraries.
    let mut state = 1u64;
    let mut noise = |count: u32| -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..count).map(|_| next()).collect()
    };
    let text = b"def handler(event, context):\n    return event\n".repeat(450);
    let entries: Vec<_> = (0..1_000u32)
        .map(|n| {
            let contents: Vec<u8> = [noise(9_500 + n).as_slice(), &text].concat();
            deflated(format!("pkg/module{}/file{n}.py", n % 40), contents)
        })
        .collect();
    let zip = archive(&entries);
    let size = zip.len();
    let start = Instant::now();
    let package = f.admit(zip).await.unwrap();
    let took = start.elapsed();
    println!("{size} bytes zipped, {} unpacked, 1,000 files: {took:?}", package.unzipped_bytes);
    assert!(took.as_secs() < 60, "{took:?}");
}
