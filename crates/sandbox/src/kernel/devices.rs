//! Device calls: network interfaces and loop devices.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::check;

/// A request about one network interface, as the kernel lays it out.
fn interface_request(name: &str) -> libc::ifreq {
    // SAFETY: plain data for which zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *slot = byte as libc::c_char;
    }
    request
}

fn interface_call(socket: BorrowedFd<'_>, code: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: the request is a whole `ifreq`, which is what every code used in this file reads or writes.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), code as _, &raw mut *request) }.into())?;
    Ok(())
}

fn control_socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?)
}

/// Brings an interface of the calling thread's network namespace up.
pub fn bring_up(name: &str) -> io::Result<()> {
    let socket = control_socket()?;
    set_up(socket.as_fd(), name)
}

fn set_up(socket: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let mut request = interface_request(name);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    interface_call(socket, libc::SIOCSIFFLAGS as libc::c_ulong, &mut request)
}

/// The number of a loop device that is free at this moment. Another process may take it first.
pub fn free_loop_number(control: BorrowedFd<'_>) -> io::Result<u32> {
    const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4c82;
    // SAFETY: this code takes no argument.
    let number = check(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE as _) }.into())?;
    u32::try_from(number).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))
}

/// Makes an open loop device show `file`. It lets go of the file by itself when nothing uses the device any more.
/// `EBUSY` when somebody else took the device meanwhile.
pub fn attach_loop(device: BorrowedFd<'_>, file: BorrowedFd<'_>) -> io::Result<()> {
    const LOOP_CONFIGURE: libc::c_ulong = 0x4c0a;
    const AUTOCLEAR: u32 = 4;

    #[repr(C)]
    struct LoopInfo64 {
        device: u64,
        inode: u64,
        rdevice: u64,
        offset: u64,
        size_limit: u64,
        number: u32,
        encrypt_type: u32,
        encrypt_key_size: u32,
        flags: u32,
        file_name: [u8; 64],
        crypt_name: [u8; 64],
        encrypt_key: [u8; 32],
        init: [u64; 2],
    }
    #[repr(C)]
    struct LoopConfig {
        fd: u32,
        block_size: u32,
        info: LoopInfo64,
        reserved: [u64; 8],
    }
    // SAFETY: plain data for which zero is the default.
    let mut config: LoopConfig = unsafe { std::mem::zeroed() };
    config.fd = file.as_raw_fd() as u32;
    config.block_size = 4096;
    config.info.flags = AUTOCLEAR;
    // SAFETY: the structure is the one that this code reads, and lives through the call.
    check(unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE as _, &raw const config) }.into())?;
    Ok(())
}

/// Tells an ext4 file system to write nothing more. What isn't on its device yet is lost.
pub fn abandon_ext4(root: BorrowedFd<'_>) -> io::Result<()> {
    const EXT4_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
    const WITHOUT_LOG: u32 = 2;
    let how = WITHOUT_LOG;
    // SAFETY: this code reads one 32-bit number, which lives through the call.
    check(unsafe { libc::ioctl(root.as_raw_fd(), EXT4_IOC_SHUTDOWN as _, &raw const how) }.into())?;
    Ok(())
}
