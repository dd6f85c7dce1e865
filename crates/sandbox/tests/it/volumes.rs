//! Volumes for `/tmp`: which are used again, and which never.

use std::collections::HashSet;

use crate::support::Lab;

/// The volume's device, and when its root was changed last: no two volumes have both in common.
const MARK: &str = "
import os
root = os.stat('/tmp')
print(f'{root.st_dev}:{root.st_ctime_ns}', sorted(set(os.listdir('/tmp')) - {'lost+found'}))
";

async fn mark(lab: &Lab, before: &str) -> (String, String) {
    let ended = lab.python(&format!("{before}\n{MARK}")).await;
    let (changed, listed) = ended.text().split_once(' ').unwrap();
    (changed.to_owned(), listed.to_owned())
}

/// More than are ever in stock, so that one that was put back is seen.
const LOOKS: usize = 8;

#[tokio::test]
async fn a_volume_that_was_left_untouched_is_used_again() {
    let Some(lab) = Lab::full().await else { return };
    if !lab.has_volumes() {
        eprintln!("NOT EXERCISED on this host: /tmp on a volume");
        return;
    }
    let mut seen = HashSet::new();
    for _ in 0..100 {
        // Looked into, but not written to.
        let (changed, listed) = mark(&lab, "import os; os.listdir('/tmp'); os.statvfs('/tmp')").await;
        assert_eq!(listed, "[]");
        if !seen.insert(changed) {
            return;
        }
    }
    panic!("each of a hundred sandboxes had a new volume");
}

#[tokio::test]
async fn a_volume_that_was_touched_in_any_way_is_never_seen_again() {
    let Some(lab) = Lab::full().await else { return };
    if !lab.has_volumes() {
        eprintln!("NOT EXERCISED on this host: /tmp on a volume");
        return;
    }
    let mut touched = HashSet::new();
    for way in [
        "open('/tmp/a', 'w').write('secret')",
        "open('/tmp/a', 'w').close()",
        "import os; open('/tmp/a', 'w').close(); os.unlink('/tmp/a')",
        "import os; os.mkdir('/tmp/a'); os.rmdir('/tmp/a')",
        "import os; os.symlink('secret', '/tmp/a')",
        "import os; os.mkfifo('/tmp/a'); os.rename('/tmp/a', '/tmp/b'); os.unlink('/tmp/b')",
        "import socket; socket.socket(socket.AF_UNIX).bind('/tmp/a')",
        "import os; [open(f'/tmp/{n}', 'w').close() or os.unlink(f'/tmp/{n}') for n in range(2000)]",
        // More than is released in good order.
        "open('/tmp/a', 'wb').write(bytes(40 << 20))",
    ] {
        let (changed, _) = mark(&lab, way).await;
        touched.insert(changed);
        for _ in 0..LOOKS {
            let (changed, listed) = mark(&lab, "").await;
            assert_eq!(listed, "[]", "behind {way}");
            assert!(!touched.contains(&changed), "a volume is used again behind {way}");
        }
    }
}

/// A file without a name leaves nothing when it is gone; and while a process has it, its sandbox isn't.
#[tokio::test]
async fn what_a_file_without_a_name_held_is_not_found_in_the_next_volume() {
    let Some(lab) = Lab::full().await else { return };
    let script = "
import os
hidden = os.open('/tmp', os.O_TMPFILE | os.O_RDWR, 0o600)
os.write(hidden, b'secret' * 100_000)
if os.fork() == 0:
    os.setsid()
    os.close(1)
    os.write(hidden, b'secret' * 1_000_000)
    while True:
        os.pwrite(hidden, b'secret', 0)
";
    let look = "import os; print(os.listdir('/tmp') in ([], ['lost+found']), os.statvfs('/tmp').f_bfree)";
    let new = lab.python(look).await.text().to_owned();
    assert!(new.starts_with("True"), "{new}");
    for _ in 0..LOOKS {
        lab.python(script).await.text();
        assert_eq!(lab.python(look).await.text(), new);
    }
}
