//! Volumes for `/tmp`: bounded, private, and on disk, so that what a function writes there isn't its memory.
//!
//! A volume is a sparse file with a file system, on a loop device, mounted but nowhere visible. The file has no name
//! and the device lets go of it by itself: when the last descriptor closes, even because the node was killed,
//! nothing is left. Some of the usual size are kept ready, because making one costs a few milliseconds.
//!
//! Most functions never touch `/tmp`. A volume in which nothing was changed is used again, which saves the most
//! expensive part of a sandbox's end and of the next one's beginning. Invariant: one in which anything was made,
//! changed or removed, and be it removed again, is never seen by another sandbox.
//!
//! Needs root, loop devices and `mkfs.ext4`. Without them `/tmp` is a memory file system, which counts as memory.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambent_core::limits::EPHEMERAL_MB_MIN;
use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::kernel;

/// Where the empty file systems lie that volumes are copies of.
pub const FOLDER: &str = "volumes";

/// Volumes of the smallest and usual size that are made ready, and those that are kept when sandboxes end that left
/// theirs untouched. Each is a loop device and a mounted file system.
const STOCK: usize = 4;
const KEPT_MAX: usize = 32;

/// What may have been written to a volume that is released in good order: as much as is quickly written out to the
/// file behind it, which is thrown away.
const ORDERLY_BLOCKS_MAX: u64 = 4 * 1024;

/// How often another process may take the loop device that we were about to use: the kernel names a free one, and
/// whoever is first has it. With the pauses between, this is about half a second of bad luck.
const LOOP_ATTEMPTS: u32 = 100;
const LOOP_PAUSE_MAX: Duration = Duration::from_millis(5);

/// This process takes one loop device at a time, and so never takes one from itself.
static ATTACHING: Mutex<()> = Mutex::new(());

const TOOLS: [&str; 4] =
    ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4", "/usr/local/sbin/mkfs.ext4"];

/// A mounted file system that stands nowhere yet.
pub struct Volume {
    mount: OwnedFd,
    device: PathBuf,
    mb: u32,
    new: Mark,
}

/// What of a file system changes with whatever is done in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    /// When the root was changed last, which no clock of a sandbox's tells: entries made, removed and renamed, owner,
    /// rights, attributes.
    changed: (i64, i64),
    free_blocks: u64,
    free_inodes: u64,
}

impl Mark {
    fn of(mount: &OwnedFd) -> io::Result<Self> {
        let (root, system) = (rustix::fs::fstat(mount)?, rustix::fs::fstatvfs(mount)?);
        #[allow(clippy::unnecessary_cast)] // Not on every processor.
        let changed = (root.st_ctime as i64, root.st_ctime_nsec as i64);
        Ok(Self { changed, free_blocks: system.f_bfree, free_inodes: system.f_ffree })
    }
}

impl Volume {
    pub fn mount(&self) -> &OwnedFd {
        &self.mount
    }

    /// A volume that may be used by another sandbox: nothing was changed in it. Only to be asked when no process is
    /// left of the sandbox that had it.
    fn untouched(self) -> Result<Self, Self> {
        if Mark::of(&self.mount).ok() != Some(self.new) {
            return Err(self);
        }
        // The old mount went with the sandbox in which it stood; the file system is still there, because we hold it.
        match mount(&self.device) {
            Ok(again) if Mark::of(&again).ok() == Some(self.new) => Ok(Self { mount: again, ..self }),
            _ => Err(self),
        }
    }

    /// Lets it go without writing out much that was never going to be read again. Blocks.
    fn discard(self) {
        let used = Mark::of(&self.mount).map(|mark| self.new.free_blocks.saturating_sub(mark.free_blocks));
        if used.is_ok_and(|blocks| blocks <= ORDERLY_BLOCKS_MAX) {
            return;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(&self.mount, ".", flags, Mode::empty());
        if let Ok(root) = root {
            // Best effort: an orderly release takes longer, and ends the same way. The kernel tells its console of each.
            let _ = kernel::abandon_ext4(root.as_fd());
        }
    }
}

pub struct Volumes {
    folder: PathBuf,
    tool: PathBuf,
    ready: Mutex<Vec<Volume>>,
    /// Nothing is made any more: the folder is gone, or soon will be.
    closed: AtomicBool,
    /// Sizes whose empty file system has been made.
    made: Mutex<HashSet<u32>>,
}

impl Volumes {
    /// Makes the first volume, to see that it works. Blocks. The error says what is missing.
    pub fn open(run_dir: &Path) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("needs root".to_owned());
        }
        let tool = mkfs().ok_or("mkfs.ext4 is not installed")?;
        let folder = run_dir.join(FOLDER);
        let volumes = Self {
            folder,
            tool,
            ready: Mutex::default(),
            closed: AtomicBool::new(false),
            made: Mutex::default(),
        };
        volumes.try_out().map_err(|error| {
            let _ = std::fs::remove_dir_all(&volumes.folder);
            error.to_string()
        })?;
        Ok(volumes)
    }

    fn try_out(&self) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let first = self.make(EPHEMERAL_MB_MIN)?;
        lock(&self.ready).push(first);
        Ok(())
    }

    /// A volume of a size, from the stock if it can be.
    pub async fn take(self: &Arc<Self>, mb: u32) -> io::Result<Volume> {
        if mb == EPHEMERAL_MB_MIN {
            let ready = lock(&self.ready).pop();
            if let Some(volume) = ready {
                return Ok(volume);
            }
        }
        let volumes = Arc::clone(self);
        tokio::task::spawn_blocking(move || volumes.make(mb)).await.map_err(io::Error::other)?
    }

    /// Takes back what a sandbox had of which nothing is left: kept where it is as good as new. Blocks.
    pub fn give_back(&self, volume: Volume) {
        if volume.mb != EPHEMERAL_MB_MIN || lock(&self.ready).len() >= KEPT_MAX {
            return volume.discard();
        }
        match volume.untouched() {
            Ok(volume) => {
                let mut ready = lock(&self.ready);
                // Under the lock, under which the last ones are thrown away.
                if !self.closed.load(Ordering::SeqCst) {
                    ready.push(volume);
                }
            }
            Err(volume) => volume.discard(),
        }
    }

    /// Throws away what a sandbox had whose processes may still be there. Blocks.
    pub fn discard(volume: Volume) {
        volume.discard();
    }

    /// Fills the stock up, some time soon. Call it when nobody waits: mounting holds a lock that every mount takes.
    pub fn restock(self: &Arc<Self>) {
        if lock(&self.ready).len() < STOCK {
            let volumes = Arc::clone(self);
            tokio::task::spawn_blocking(move || volumes.refill());
        }
    }

    fn refill(&self) {
        while lock(&self.ready).len() < STOCK && !self.closed.load(Ordering::SeqCst) {
            match self.make(EPHEMERAL_MB_MIN) {
                Ok(volume) => {
                    let mut ready = lock(&self.ready);
                    // Under the lock, under which the last ones are thrown away.
                    if !self.closed.load(Ordering::SeqCst) {
                        ready.push(volume);
                    }
                }
                Err(_) if self.closed.load(Ordering::SeqCst) => return,
                Err(error) => {
                    tracing::warn!(%error, "no volume for /tmp can be made ready");
                    return;
                }
            }
        }
    }

    /// Removes everything that has a name. Blocks.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        lock(&self.ready).clear();
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    /// A volume, made now. A folder that was taken away meanwhile (a killed node's spawner clears up under the same
    /// name) is made again: volumes have no names in it, so nothing of value was lost.
    fn make(&self, mb: u32) -> io::Result<Volume> {
        match self.make_once(mb) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.closed.load(Ordering::SeqCst) => {
                lock(&self.made).clear();
                std::fs::create_dir_all(&self.folder)?;
                self.make_once(mb)
            }
            other => other,
        }
    }

    fn make_once(&self, mb: u32) -> io::Result<Volume> {
        let template = self.template(mb)?;
        let file = anonymous(&self.folder)?;
        copy_sparse(&template, &file)?;
        // The kernel does it when the file becomes a device, which is one at a time here: in a burst each would wait for
        // the disk behind all others.
        file.sync_all()?;
        let (device, path) = attach(&file)?;
        let mount = mount(&path)?;
        // Who isn't its owner may not change it, and so nobody in a sandbox.
        rustix::fs::chmodat(&mount, ".", Mode::from_raw_mode(0o1777), rustix::fs::AtFlags::empty())?;
        // From here on the mount holds the device, and the device the file.
        drop((device, file));
        let new = Mark::of(&mount)?;
        Ok(Volume { mount, device: path, mb, new })
    }

    /// The empty file system of a size.
    fn template(&self, mb: u32) -> io::Result<File> {
        let path = self.folder.join(format!("empty-{mb}.ext4"));
        let mut made = lock(&self.made);
        if !made.contains(&mb) {
            let file = File::create(&path)?;
            file.set_len(u64::from(mb) << 20)?;
            self.format(&path)?;
            made.insert(mb);
        }
        File::open(path)
    }

    fn format(&self, path: &Path) -> io::Result<()> {
        let output = Command::new(&self.tool)
            .args(["-q", "-F", "-b", "4096", "-m", "0", "-O", "^has_journal,^resize_inode"])
            .args(["-E", "lazy_itable_init=1,nodiscard,root_owner=0:0"])
            .arg(path)
            .stdin(Stdio::null())
            .env_clear()
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        let told = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("mkfs.ext4: {}", told.trim())))
    }
}

/// Where the tool is that makes file systems.
pub fn mkfs() -> Option<PathBuf> {
    TOOLS.iter().map(PathBuf::from).find(|path| path.exists())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is under these locks changes by single calls, so a panic can't leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file without a name.
fn anonymous(folder: &Path) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    let made = rustix::fs::open(folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode);
    if let Ok(file) = made {
        return Ok(file.into());
    }
    let path = folder.join(format!("unnamed-{:?}", std::thread::current().id()));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(&path, flags, mode)?;
    std::fs::remove_file(path)?;
    Ok(file.into())
}

/// Copies the parts that hold data; shares them where the file system can.
fn copy_sparse(from: &File, to: &File) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut at = 0;
    while at < length {
        let start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole up to the end.
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(start))?;
        copy_range(from, to, start, end)?;
        at = end;
    }
    Ok(())
}

fn copy_range(from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; 128 * 1024];
    let mut at = start;
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let read = rustix::io::pread(from, &mut buffer[..wanted], at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut written = 0;
        while written < read {
            written += rustix::io::pwrite(to, &buffer[written..read], at + written as u64)?;
        }
        at += read as u64;
    }
    Ok(())
}

/// Puts a file on a loop device.
fn attach(file: &File) -> io::Result<(OwnedFd, PathBuf)> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let control = rustix::fs::open("/dev/loop-control", flags, Mode::empty())?;
    let _alone = ATTACHING.lock().unwrap_or_else(PoisonError::into_inner);
    for attempt in 0..LOOP_ATTEMPTS {
        let path = PathBuf::from(format!("/dev/loop{}", kernel::free_loop_number(control.as_fd())?));
        let device = rustix::fs::open(&path, flags, Mode::empty())?;
        match kernel::attach_loop(device.as_fd(), file.as_fd()) {
            Ok(()) => return Ok((device, path)),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                // Of different lengths in different processes, or they would meet again.
                let step = 50 + u64::from(std::process::id() % 97);
                std::thread::sleep(Duration::from_micros(step * u64::from(attempt)).min(LOOP_PAUSE_MAX));
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from_raw_os_error(libc::EAGAIN))
}

fn mount(device: &Path) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "source", device)?;
    // Tables that are never used need not be written.
    rustix::mount::fsconfig_set_flag(&context, "noinit_itable")?;
    // Nor need the disk be waited for: what is here is not for after a power cut.
    rustix::mount::fsconfig_set_flag(&context, "nobarrier")?;
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOATIME;
    Ok(rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}
