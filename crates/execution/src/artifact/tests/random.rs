//! Random archives: those that a library writes are unpacked to what went in, and damaged ones neither panic nor
//! leave anything, in the package or out of it.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use super::*;
use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Files by path. Directories' names and files' names come from different alphabets, so that they can't clash.
fn files() -> impl Strategy<Value = BTreeMap<String, (Vec<u8>, u32, bool)>> {
    let name = "([A-C]{1,3}/|Ü #/){0,4}[a-z0-9_é.-]{1,12}"
        .prop_filter("dots alone mean something else", |name| !name.ends_with("/.") && !name.contains(".."));
    let name = name.prop_filter("so does a dot", |name| name != ".");
    let contents = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..2_000),
        (any::<u8>(), 0..300_000usize).prop_map(|(byte, count)| vec![byte; count]),
    ];
    let mode = prop_oneof![Just(0o644), Just(0o755), Just(0o600)];
    proptest::collection::btree_map(name, (contents, mode, any::<bool>()), 1..12)
}

fn written(files: &BTreeMap<String, (Vec<u8>, u32, bool)>) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, (contents, mode, stored)) in files {
        let method = if *stored { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default().compression_method(method).unix_permissions(*mode);
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_went_in_comes_out(files in files()) {
        let f = fixture();
        let package = run(f.admit(written(&files))).unwrap();
        let tree = f.store.package_dir(&package.digest);
        let total: usize = files.values().map(|(contents, ..)| contents.len()).sum();
        prop_assert_eq!(package.unzipped_bytes, total as u64);
        prop_assert_eq!(run(f.store.trees()).unwrap().unzipped_bytes, total as u64);
        for (name, (contents, wanted, _)) in &files {
            prop_assert_eq!(&fs::read(tree.join(name)).unwrap(), contents);
            prop_assert_eq!(mode(tree.join(name)), wanted | 0o444);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_refused_or_harmless(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut zip = archive(&[
            directory("d/"),
            deflated("d/file", "contents ".repeat(40)),
            link("d/link", "file"),
            file("other", "x"),
        ]);
        for (at, byte) in flips {
            let at = at.index(zip.len());
            zip[at] = byte;
        }
        if let Some(cut) = cut {
            zip.truncate(cut.index(zip.len()));
        }
        // Planned only: what would be written is judged here, and that the disk gets just that is shown above.
        if let Ok(entries) = super::super::archive::entries(&zip, 100) {
            let _ = super::super::tree::Tree::plan(&zip, &entries, &Limits::default());
            let mut inflater = super::super::inflate::Inflater::new();
            for entry in &entries {
                let mut given = 0;
                let _ = inflater.unpack(&zip, entry, |piece| {
                    given += piece.len() as u64;
                    Ok(())
                });
                prop_assert!(given <= entry.size);
            }
        }
    }
}
