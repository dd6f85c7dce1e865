use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::net::{AddressFamily, SocketAddrV4, SocketFlags, SocketType};

use super::*;

#[tokio::test]
async fn room_is_made_for_a_client_that_cannot_be_taken_in_and_then_it_is() {
    // A socket that doesn't listen yet refuses to hand clients over, as one does of a process without descriptors.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket: Arc<OwnedFd> = Arc::new(socket);
    let listener = std::net::TcpListener::from(socket.try_clone().unwrap());
    let address = listener.local_addr().unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let make_room = |_| {
        if asked.fetch_add(1, Ordering::Relaxed) == 2 {
            rustix::net::listen(&*socket, 1).unwrap();
            std::thread::spawn(move || std::net::TcpStream::connect(address).unwrap());
        }
    };
    next_client(&listener, make_room).await;
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}
