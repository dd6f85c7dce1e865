use bytes::Bytes;
use lambent_core::ids::RevisionId;

use super::super::tests::spec;
use super::*;

fn of(version: u64, revision: char) -> Arc<FunctionSpec> {
    let revision = RevisionId::new(format!("0000000{revision}-0000-4000-8000-000000000001")).unwrap();
    Arc::new(FunctionSpec { version: Version::Published(version), revision, snap_start: true, ..spec() })
}

fn started() -> Vec<String> {
    vec!["python".to_owned()]
}

fn keep(store: &SnapshotStore, spec: &FunctionSpec, content: &[u8], ends: bool) -> io::Result<()> {
    let (pieces, parts) = mpsc::channel(4);
    pieces.try_send(Part::Data(Bytes::copy_from_slice(content))).unwrap();
    if ends {
        pieces.try_send(Part::End).unwrap();
    }
    drop(pieces);
    store.keep(spec, started(), 1_000, parts)
}

/// The store as the next process finds it.
fn anew(store: &SnapshotStore) -> SnapshotStore {
    SnapshotStore::new(store.inner.root.clone())
}

fn image(store: &SnapshotStore, spec: &FunctionSpec) -> PathBuf {
    store.folder(&spec.arn(), spec.version).join(SHOWN).join(IMAGE)
}

fn store() -> (tempfile::TempDir, SnapshotStore) {
    let root = tempfile::tempdir().unwrap();
    let store = SnapshotStore::new(root.path().join("snapshots"));
    std::fs::create_dir(root.path().join("snapshots")).unwrap();
    (root, store)
}

async fn has(store: &SnapshotStore, spec: &Arc<FunctionSpec>) -> bool {
    store.find(spec, started()).await.is_some()
}

async fn kept(store: &SnapshotStore, spec: &Arc<FunctionSpec>, content: &'static [u8]) {
    let (store, spec) = (store.clone(), Arc::clone(spec));
    tokio::task::spawn_blocking(move || keep(&store, &spec, content, true)).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_that_was_kept_is_found_also_by_the_next_process() {
    let (_root, store) = store();
    let spec = of(1, '1');
    assert!(!has(&store, &spec).await);
    kept(&store, &spec, b"memory").await;
    assert!(has(&store, &spec).await);
    let mount = anew(&store).find(&spec, started()).await.unwrap();
    assert_eq!(std::fs::read(mount.sources[0].join(IMAGE)).unwrap(), b"memory");
    assert_eq!(std::fs::metadata(mount.sources[0].join(IMAGE)).unwrap().permissions().mode() & 0o777, 0o644);
}

#[tokio::test]
async fn one_that_is_damaged_or_of_something_else_is_not_used_and_goes() {
    let (_root, store) = store();
    for damage in 0..5 {
        let spec = of(1, '1');
        kept(&store, &spec, b"memory").await;
        let path = image(&store, &spec);
        let mut asked = Arc::clone(&spec);
        let mut started_as = started();
        match damage {
            0 => std::fs::write(&path, b"mEmory").unwrap(),
            1 => std::fs::write(&path, b"mem").unwrap(),
            2 => std::fs::write(path.ancestors().nth(2).unwrap().join(ABOUT), b"{").unwrap(),
            3 => asked = of(1, '2'),
            _ => started_as.push("another kernel".to_owned()),
        }
        assert_eq!(anew(&store).find(&asked, started_as).await, None, "{damage}");
        assert!(!path.exists(), "{damage}");
    }
}

#[tokio::test]
async fn one_that_broke_off_or_is_too_large_leaves_nothing() {
    let (_root, store) = store();
    let spec = of(1, '1');
    let (broken, large) = (store.clone(), store.clone());
    let of_spec = Arc::clone(&spec);
    let outcomes = tokio::task::spawn_blocking(move || {
        (keep(&broken, &of_spec, b"memory", false), keep(&large, &of_spec, &[0; 1_001], true))
    });
    let (broken, large) = outcomes.await.unwrap();
    assert!(broken.is_err() && large.is_err());
    assert!(!has(&store, &spec).await);
    let left: Vec<_> = entries(&store.inner.root).iter().flat_map(|folder| entries(folder)).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    // As a process leaves it that is killed while it writes.
    std::fs::create_dir(store.inner.root.join(".unfinished-x")).unwrap();
    anew(&store);
    assert!(!store.inner.root.join(".unfinished-x").exists());
}

#[tokio::test]
async fn they_go_with_their_versions_and_functions() {
    let (_root, store) = store();
    let (one, two) = (of(1, '1'), of(2, '2'));
    kept(&store, &one, b"one").await;
    kept(&store, &two, b"two").await;
    store.forget(&one.arn(), Some(one.version));
    assert!(!image(&store, &one).exists() && has(&store, &two).await);
    store.forget(&one.arn(), None);
    assert!(!image(&store, &two).exists() && !has(&store, &two).await);
    kept(&store, &one, b"one").await;
    kept(&store, &two, b"two").await;
    let next = anew(&store);
    next.keep_only(&[Arc::clone(&two)]);
    assert!(!image(&store, &one).exists() && has(&next, &two).await);
}

#[tokio::test]
async fn the_one_that_was_used_longest_ago_makes_room() {
    let (_root, whole) = store();
    let store = SnapshotStore::with_room(whole.inner.root.clone(), 8);
    let (one, two, three) = (of(1, '1'), of(2, '2'), of(3, '3'));
    kept(&store, &one, b"one1").await;
    kept(&store, &two, b"two2").await;
    assert!(has(&store, &one).await);
    kept(&store, &three, b"thr3").await;
    assert!(has(&store, &one).await && !has(&store, &two).await && has(&store, &three).await);
}

#[tokio::test]
async fn one_that_was_of_no_use_is_made_anew_once_at_a_time_and_not_in_vain() {
    let (_root, store) = store();
    let spec = of(1, '1');
    kept(&store, &spec, b"memory").await;
    store.spoilt(&spec);
    assert!(!has(&store, &spec).await && !image(&store, &spec).exists());
    let turn = store.begin_again(&spec).unwrap();
    assert!(store.begin_again(&spec).is_none());
    turn.end(false);
    let turn = store.begin_again(&spec).unwrap();
    kept(&store, &spec, b"memory").await;
    turn.end(false);
    assert!(has(&store, &spec).await);
    store.begin_again(&spec).unwrap().end(true);
    assert!(store.begin_again(&spec).is_none());
}
