//! One spawner a run folder. A killed node's spawner goes on for a moment, clearing up under names that its
//! successor will use; so the successor waits for its end.
//!
//! A record lock of `fcntl`: it is the process's alone, so the sandboxes that it forks don't hold it, and it ends
//! with the process, however that ends. The price is that any closing of the file in the process gives it up.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, fcntl_lock};
use rustix::io::Errno;

const FILE: &str = "spawner.lock";

/// Longer than a spawner's last clean-up may take.
const PATIENCE: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until no other process works in the run folder, and takes it until the descriptor is closed.
pub fn take(run_dir: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(run_dir.join(FILE), flags, Mode::RUSR | Mode::WUSR)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::AGAIN | Errno::ACCESS) if Instant::now() < deadline => std::thread::sleep(ASK_AGAIN),
            Err(Errno::AGAIN | Errno::ACCESS) => {
                return Err(io::Error::other("the sandbox spawner of an earlier node does not end"));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The last deed of a spawner, and of a node whose spawner was killed.
pub fn forget(run_dir: &Path) {
    let _ = std::fs::remove_file(run_dir.join(FILE));
}
