//! Flows of a function through real kernels, to a remote that only the host can reach.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::egress::{CONNECT_TIMEOUT, TCP_FLOWS_MAX};

use super::support::{HOST, Namespace, REMOTE, REMOTE_V6, World, check_stream, echo, write_stream};

const MIB: usize = 1 << 20;

#[test]
fn ten_megabytes_come_back_whole_over_both_families() {
    let Some(world) = World::new() else { return };
    for address in [REMOTE, REMOTE_V6] {
        let stream = world.connect(world.service_at(address, echo)).unwrap();
        let sender = stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            write_stream(&sender, 42, 10 * MIB).unwrap();
            sender.shutdown(Shutdown::Write).unwrap();
        });
        check_stream(&stream, 42, 10 * MIB);
        assert_eq!((&stream).read(&mut [0]).unwrap(), 0, "the remote's end comes after its last byte");
        sending.join().unwrap();
    }
}

#[test]
fn each_side_may_end_its_half_and_the_other_half_goes_on() {
    let Some(world) = World::new() else { return };
    // The function ends first; the remote answers only then.
    let service = world.service(|stream| {
        check_stream(&stream, 1, MIB);
        assert_eq!((&stream).read(&mut [0]).unwrap(), 0);
        write_stream(&stream, 2, MIB).unwrap();
    });
    let stream = world.connect(service).unwrap();
    write_stream(&stream, 1, MIB).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    check_stream(&stream, 2, MIB);
    assert_eq!((&stream).read(&mut [0]).unwrap(), 0);

    // The remote ends first; the function speaks only then.
    let (whole, heard) = channel();
    let service = world.service(move |stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        check_stream(&stream, 3, MIB);
        whole.send((&stream).read(&mut [0]).unwrap()).unwrap();
    });
    let stream = world.connect(service).unwrap();
    assert_eq!((&stream).read(&mut [0]).unwrap(), 0);
    write_stream(&stream, 3, MIB).unwrap();
    drop(stream);
    assert_eq!(heard.recv_timeout(Duration::from_secs(30)), Ok(0));
}

#[test]
fn a_reader_that_stops_stops_the_sender_and_loses_nothing() {
    let Some(world) = World::new() else { return };
    let (stalled, after) = channel();
    let (resume, resumed) = channel::<()>();
    let resumed = std::sync::Mutex::new(resumed);
    // Writes until nothing is taken for half a second, which is what a frozen sandbox looks like from afar.
    let service = world.service(move |mut stream| {
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let chunk = [0x5a; 8 << 10];
        let mut written = 0;
        loop {
            match stream.write(&chunk) {
                Ok(count) => written += count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) => panic!("{error}"),
            }
        }
        stalled.send(written).unwrap();
        resumed.lock().unwrap().recv().unwrap();
    });
    let mut stream = world.connect(service).unwrap();
    let written: usize = after.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(written < 32 * MIB, "{written} bytes were taken for a reader that does not read");
    resume.send(()).unwrap();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).unwrap();
    assert_eq!(read.len(), written);
    assert!(read.iter().all(|byte| *byte == 0x5a));

    // The other way: the remote does not read.
    let service = world.service(|_stream| {
        loop {
            std::thread::park();
        }
    });
    let mut stream = world.connect(service).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut written = 0;
    while let Ok(count) = stream.write(&[0; 8 << 10]) {
        written += count;
        assert!(written < 64 * MIB, "the NAT takes whatever comes");
    }
}

#[test]
fn a_refusal_of_the_remote_is_the_functions_refusal() {
    let Some(world) = World::new() else { return };
    for address in [REMOTE, REMOTE_V6] {
        let address: std::net::IpAddr = address.parse().unwrap();
        let closed = world.remote.run(move || TcpListener::bind((address, 0)).unwrap().local_addr().unwrap());
        assert_eq!(world.connect(closed).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
    // The host has no route there.
    let began = Instant::now();
    let error = world.connect("203.0.113.1:80".parse().unwrap()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable), "{error}");
    assert!(began.elapsed() < CONNECT_TIMEOUT - Duration::from_secs(2), "it was waited for");
}

#[test]
fn a_broken_connection_is_broken_for_the_function_too() {
    let Some(world) = World::new() else { return };
    let service = world.service(|stream| {
        // Closing with bytes unread sends a reset.
        stream.peek(&mut [0]).unwrap();
    });
    let mut stream = world.connect(service).unwrap();
    stream.write_all(b"unread").unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn an_answer_that_comes_before_a_break_is_not_lost() {
    let Some(world) = World::new() else { return };
    // Answers in the middle of an upload and goes, as a web server does that refuses a body.
    let service = world.service(|mut stream| {
        stream.read_exact(&mut vec![0; 100_000]).unwrap();
        stream.write_all(b"413").unwrap();
    });
    for _ in 0..20 {
        let mut stream = world.connect(service).unwrap();
        let upload = stream.try_clone().unwrap();
        let uploading = std::thread::spawn(move || write_stream(&upload, 9, 64 * MIB));
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"413");
        assert!(uploading.join().unwrap().is_err(), "the upload cannot have been taken");
    }
}

#[test]
fn the_host_is_out_of_reach() {
    let Some(world) = World::new() else { return };
    let service = world.host.run(|| TcpListener::bind("0.0.0.0:0").unwrap());
    service.set_nonblocking(true).unwrap();
    let datagrams = world.host.run(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    datagrams.set_nonblocking(true).unwrap();
    let (tcp, udp) = (service.local_addr().unwrap().port(), datagrams.local_addr().unwrap().port());
    for address in ["127.0.0.1", HOST, "169.254.169.254", "10.255.255.1", "224.0.0.1"] {
        let began = Instant::now();
        let address: std::net::IpAddr = address.parse().unwrap();
        let error = world.connect(SocketAddr::new(address, tcp)).unwrap_err();
        assert!(began.elapsed() < CONNECT_TIMEOUT - Duration::from_secs(2), "{address}: {error} came late");
        world.sandbox.run(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            let _ = socket.send_to(b"?", (address, udp));
        });
    }
    // A flow that works, after them: so all of them have been handled.
    drop(world.connect(world.service(echo)).unwrap());
    assert_eq!(service.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(datagrams.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn knocking_at_the_gate_leads_nowhere() {
    let Some(world) = World::new() else { return };
    for address in ["10.255.255.2:1", "127.0.0.1:1"] {
        let mut stream = world.connect(address.parse().unwrap()).unwrap();
        let answer = stream.read(&mut [0]);
        assert!(matches!(answer, Ok(0) | Err(_)), "{address} {answer:?}");
    }
    drop(world.connect(world.service(echo)).unwrap());
}

#[test]
fn datagrams_go_and_come_in_every_size() {
    let Some(world) = World::new() else { return };
    for (remote, own) in [(REMOTE, "0.0.0.0"), (REMOTE_V6, "::")] {
        let remote: std::net::IpAddr = remote.parse().unwrap();
        let own: std::net::IpAddr = own.parse().unwrap();
        let service = world.remote.run(move || UdpSocket::bind((remote, 0)).unwrap());
        let at = service.local_addr().unwrap();
        let echoing = std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            loop {
                let (length, from) = service.recv_from(&mut buffer).unwrap();
                if length == 0 {
                    return;
                }
                service.send_to(&buffer[..length], from).unwrap();
            }
        });
        let socket = world.sandbox.run(move || UdpSocket::bind((own, 0)).unwrap());
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        for length in [1, 512, 1_472, 1_473, 9_000, 65_000] {
            let sent: Vec<u8> = (0..length).map(|i: usize| i as u8 ^ length as u8).collect();
            socket.send_to(&sent, at).unwrap();
            let mut received = vec![0; 65_536];
            let (count, from) = socket
                .recv_from(&mut received)
                .unwrap_or_else(|error| panic!("{length} bytes to {at}: {error}"));
            assert_eq!((count, from), (length, at));
            assert_eq!(received[..count], sent);
        }
        socket.send_to(b"", at).unwrap();
        echoing.join().unwrap();
        // Nobody is there any more, and the function learns of it.
        socket.connect(at).unwrap();
        world.eventually("a closed port answers", || {
            let _ = socket.send(b"?");
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            socket.recv(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        });
    }
}

/// Answers each question with itself, the answer bit set and a mark after it.
fn resolver(host: &Namespace) -> SocketAddr {
    let (datagrams, streams) = host.run(|| {
        loop {
            let datagrams = UdpSocket::bind("127.0.0.53:0").unwrap();
            if let Ok(streams) = TcpListener::bind(datagrams.local_addr().unwrap()) {
                break (datagrams, streams);
            }
        }
    });
    let at = datagrams.local_addr().unwrap();
    host.spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = datagrams.recv_from(&mut question) {
            // An answer to somebody else's question comes first, and must not be taken.
            let _ = datagrams.send_to(&[0xff; 30], from);
            question[2] |= 0x80;
            let _ = datagrams.send_to(&[&question[..length], b"found"].concat(), from);
        }
    });
    host.spawn(move || streams.incoming().for_each(|stream| echo(stream.unwrap())));
    at
}

#[test]
fn the_hosts_resolver_answers_though_it_stands_on_the_hosts_loopback() {
    let Some(world) = World::with_resolvers(|host| {
        // The first server of the list is down.
        let down = host.run(|| UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
        vec![down, resolver(host)]
    }) else {
        return;
    };
    let question = *b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01";
    let socket = world.sandbox.run(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.connect("10.255.255.1:53").unwrap();
    for _ in 0..20 {
        socket.send(&question).unwrap();
        let mut answer = [0; 600];
        let length = socket.recv(&mut answer).unwrap();
        assert_eq!(answer[..3], [0x12, 0x34, 0x81]);
        assert!(answer[..length].ends_with(b"found"));
    }
    let mut stream = world.connect("10.255.255.1:53".parse().unwrap()).unwrap();
    stream.write_all(b"a question by TCP").unwrap();
    let mut answer = [0; 17];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"a question by TCP");
}

#[test]
fn flows_are_limited_and_their_places_come_back() {
    let Some(world) = World::new() else { return };
    raise_descriptor_limit();
    let (base_host, base_sandbox) = (world.host.held_sockets(), world.sandbox.held_sockets());
    let service = world.service(echo);
    let mut streams: Vec<TcpStream> = Vec::new();
    for _ in 0..TCP_FLOWS_MAX {
        streams.push(world.connect(service).unwrap());
    }
    assert_eq!(world.connect(service).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    for (index, mut stream) in streams.iter().enumerate() {
        stream.write_all(&(index as u32).to_le_bytes()).unwrap();
    }
    for (index, mut stream) in streams.iter().enumerate() {
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(u32::from_le_bytes(answer) as usize, index);
    }
    drop(streams);
    world.eventually("no socket is left of the flows that have ended", || {
        world.host.held_sockets() == base_host && world.sandbox.held_sockets() == base_sandbox
    });
    drop(world.connect(service).unwrap());
}

#[test]
fn many_flows_move_at_once() {
    let Some(world) = World::new() else { return };
    let service = world.service(echo);
    let streams: Vec<TcpStream> = (0..64).map(|_| world.connect(service).unwrap()).collect();
    let work = streams.into_iter().enumerate().flat_map(|(seed, stream)| {
        let (seed, sender) = (seed as u64 + 1, stream.try_clone().unwrap());
        [
            std::thread::spawn(move || {
                write_stream(&sender, seed, MIB / 2).unwrap();
                sender.shutdown(Shutdown::Write).unwrap();
            }),
            std::thread::spawn(move || check_stream(&stream, seed, MIB / 2)),
        ]
    });
    let work: Vec<_> = work.collect();
    for thread in work {
        thread.join().unwrap();
    }
}

#[test]
fn aborting_the_nat_closes_everything() {
    let Some(world) = World::new() else { return };
    let service = world.service(echo);
    let mut stream = world.connect(service).unwrap();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    assert_eq!(world.host.held_sockets(), 1);
    world.nat.abort();
    world.eventually("the host's side is closed", || world.host.held_sockets() == 0);
    world.eventually("the task has ended", || world.nat.is_finished());
    // The device stands as long as its namespace does, but nobody is behind it.
    stream.set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
    let _ = stream.write_all(b"x");
    assert!(!matches!(stream.read(&mut [0]), Ok(1)), "the connection is served no more");
}

fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < 8_192) {
        limit.current = Some(limit.maximum.map_or(8_192, |maximum| maximum.min(8_192)));
        setrlimit(Resource::Nofile, limit).unwrap();
    }
}
