//! Messages with descriptors over a local packet socket.
//!
//! A message is one packet: it arrives whole or not at all. Its text is bounded, and so is the number of
//! descriptors beside it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message. An environment of 4 KiB, escaped as badly as JSON can, takes a fifth of it.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// The most descriptors beside a message: mounts, pipes and volumes of one start.
pub const DESCRIPTORS_MAX: usize = 32;

const ANCILLARY_BYTES: usize = rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX));

/// A connected pair, close-on-exec.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Whether the other side is gone. What it said before may still have to be read.
pub fn is_hung_up(socket: impl AsFd) -> bool {
    let mut polls = [PollFd::new(&socket, PollFlags::RDHUP)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    let looked = rustix::event::poll(&mut polls, Some(&now));
    looked.is_ok() && polls[0].revents().intersects(PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR)
}

/// Sends text and descriptors as one packet.
pub fn send_text(socket: impl AsFd, text: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    if text.len() > MESSAGE_BYTES_MAX || descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::Error::from_raw_os_error(libc::E2BIG));
    }
    let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::from_raw_os_error(libc::E2BIG));
    }
    let parts = [IoSlice::new(text)];
    rustix::io::retry_on_intr(|| rustix::net::sendmsg(&socket, &parts, &mut ancillary, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// Sends a message and descriptors as one packet.
pub fn send(socket: impl AsFd, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_text(socket, &serde_json::to_vec(message)?, descriptors)
}

/// A received packet.
pub struct Packet {
    pub text: Vec<u8>,
    pub descriptors: Vec<OwnedFd>,
    /// Whether descriptors were lost: this process may have no more, and the kernel closed what did not fit.
    pub is_short: bool,
}

impl Packet {
    pub fn message<T: DeserializeOwned>(&self) -> io::Result<T> {
        Ok(serde_json::from_slice(&self.text)?)
    }

    /// Itself, with all its descriptors.
    pub fn whole(self) -> io::Result<Self> {
        if self.is_short { Err(io::Error::from_raw_os_error(libc::EMFILE)) } else { Ok(self) }
    }
}

/// Takes the next packet; `None` when the other side is gone. One that came short of descriptors is an error.
pub fn receive(socket: impl AsFd) -> io::Result<Option<Packet>> {
    receive_even_short(socket)?.map(Packet::whole).transpose()
}

/// As [`receive`], for who can do something about a packet that came short.
pub fn receive_even_short(socket: impl AsFd) -> io::Result<Option<Packet>> {
    let Some(mut text) = room_for_next(&socket)? else { return Ok(None) };
    let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut text)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )
    });
    let received = match received {
        Ok(received) => received,
        Err(rustix::io::Errno::CONNRESET) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
    }
    text.truncate(received.bytes);
    Ok(Some(Packet { text, descriptors, is_short: received.flags.contains(ReturnFlags::CTRUNC) }))
}

/// A buffer of the next packet's length; `None` when there will be no packet. Most are short, and clearing a buffer for
/// the longest costs more than asking.
fn room_for_next(socket: impl AsFd) -> io::Result<Option<Vec<u8>>> {
    let flags = RecvFlags::PEEK | RecvFlags::TRUNC;
    let asked = rustix::io::retry_on_intr(|| {
        let mut nothing: [u8; 0] = [];
        rustix::net::recv(&socket, &mut nothing, flags)
    });
    match asked {
        Ok((_, 0)) | Err(rustix::io::Errno::CONNRESET) => Ok(None),
        Ok((_, length)) if length > MESSAGE_BYTES_MAX => Err(io::Error::from_raw_os_error(libc::EMSGSIZE)),
        Ok((_, length)) => Ok(Some(vec![0; length])),
        Err(error) => Err(error.into()),
    }
}
