//! Code and layers.

use std::fs;

use lambent_core::ports::sandbox::Mount;

use crate::support::{LIMITS, Lab};

fn layer(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[tokio::test]
async fn layers_lie_over_each_other_and_the_last_one_wins() {
    let Some(lab) = Lab::full().await else { return };
    let layers = [
        layer(&[("a", "first"), ("only/first", "1"), ("c:d,e", "odd name")]),
        layer(&[("a", "second"), ("only/second", "2")]),
        layer(&[("b", "third")]),
    ];
    let sources = layers.iter().map(|layer| layer.path().to_owned()).collect();
    let mounts = vec![Mount { sources, target: "/opt".into() }];
    let script = "cat /opt/a /opt/b '/opt/c:d,e'; ls /opt/only | tr '\\n' ' '; (touch /opt/x || touch /opt/only/x) 2>/dev/null && echo WROTE";
    let ended = lab.run_with(&["/bin/sh", "-c", &format!("{script}; exit 0")], LIMITS, mounts).await;
    assert_eq!(ended.text(), "secondthirdodd namefirst second");
}

#[tokio::test]
async fn a_folder_that_is_named_twice_counts_where_it_is_named_last() {
    let Some(lab) = Lab::full().await else { return };
    let (low, high) = (layer(&[("a", "low")]), layer(&[("a", "high")]));
    let sources = vec![low.path().to_owned(), high.path().to_owned(), low.path().to_owned()];
    let mounts = vec![Mount { sources, target: "/opt".into() }];
    assert_eq!(lab.run_with(&["/bin/cat", "/opt/a"], LIMITS, mounts).await.text(), "low");
}

#[tokio::test]
async fn a_mount_may_go_where_nothing_was() {
    let Some(lab) = Lab::full().await else { return };
    let code = layer(&[("f", "here")]);
    let mounts = vec![Mount { sources: vec![code.path().to_owned()], target: "/var/lang/deep/down".into() }];
    let ended = lab.run_with(&["/bin/cat", "/var/lang/deep/down/f"], LIMITS, mounts).await;
    assert_eq!(ended.text(), "here");
}

#[tokio::test]
async fn code_in_a_folder_that_only_the_node_may_search_can_be_mounted() {
    let Some(lab) = Lab::full().await else { return };
    let outer = layer(&[("code/f", "here")]);
    fs::set_permissions(outer.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mounts = vec![Mount { sources: vec![outer.path().join("code")], target: "/var/task".into() }];
    assert_eq!(lab.run_with(&["/bin/cat", "/var/task/f"], LIMITS, mounts).await.text(), "here");
}

#[tokio::test]
async fn a_source_that_is_not_there_is_an_error() {
    let Some(lab) = Lab::full().await else { return };
    let mounts = vec![Mount { sources: vec!["/not/there".into()], target: "/var/task".into() }];
    assert!(lab.try_start(&["/bin/true"], LIMITS, mounts).await.is_err());
    assert_eq!(lab.shell("echo on").await.text(), "on", "the driver goes on");
}
