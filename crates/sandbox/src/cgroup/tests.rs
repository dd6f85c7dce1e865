use std::path::PathBuf;

use super::detect::parsed_for_test;
use super::interface::{cpu_quota_micros, entry};
use super::{Layout, Roles, Tree, Version};

#[test]
fn a_hybrid_hosts_mounts_are_told_apart() {
    let text = "\
34 33 0:30 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
35 33 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
36 33 0:32 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
37 33 0:33 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
38 33 0:34 / /proc rw - proc proc rw";
    let found = parsed_for_test(text);
    assert_eq!(
        found,
        [
            (Version::V2, PathBuf::from("/sys/fs/cgroup/unified"), vec![]),
            (Version::V1, PathBuf::from("/sys/fs/cgroup/cpu,cpuacct"), vec!["cpu".to_owned()]),
            (Version::V1, PathBuf::from("/sys/fs/cgroup/memory"), vec!["memory".to_owned()]),
        ]
    );
}

#[test]
fn a_cpu_share_becomes_time_in_each_period() {
    assert_eq!(cpu_quota_micros(1_000), 20_000);
    assert_eq!(cpu_quota_micros(2_500), 50_000);
    assert_eq!(cpu_quota_micros(72), 1_440);
    assert_eq!(cpu_quota_micros(1), 1_000, "the kernel refuses less");
}

#[test]
fn an_entry_is_found_by_its_whole_name() {
    let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
    assert_eq!(entry(text, "oom_kill"), Some(3));
    assert_eq!(entry(text, "oom"), None);
}

#[test]
fn a_layout_can_do_what_any_of_its_trees_can() {
    let tree = |roles| Tree { version: Version::V1, roles, folder: PathBuf::new() };
    let layout = Layout {
        trees: vec![
            tree(Roles { memory: true, ..Roles::default() }),
            tree(Roles { freeze: true, ..Roles::default() }),
        ],
    };
    assert_eq!(layout.roles(), Roles { memory: true, cpu: false, pids: false, freeze: true });
    assert!(!Layout::default().roles().any());
}
