//! Three network namespaces of the tests' own: a host with the NAT, a remote joined to it by a veth pair,
//! and a sandbox behind its TUN device. Nothing of the machine's own network is touched.

#![allow(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::egress::packet::Sum;
use crate::egress::{Device, Policy, answer, serve};

pub const HOST: &str = "198.18.0.1";
pub const REMOTE: &str = "198.18.0.2";
pub const REMOTE_V6: &str = "fd12:7e57::2";

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace, held by a thread that lives in it. Threads started from it live there too.
pub struct Namespace {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    thread_id: i32,
}

impl Namespace {
    fn new() -> Namespace {
        let (jobs, queue) = channel::<Job>();
        let (ready, started) = channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: a network namespace of its own changes nothing that memory safety rests upon.
            let outcome = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) };
            ready.send(outcome.map(|()| rustix::thread::gettid().as_raw_nonzero().get())).unwrap();
            for job in queue {
                job();
            }
        });
        let thread_id = started.recv().unwrap().expect("root may make a network namespace");
        Namespace { jobs: Some(jobs), thread: Some(thread), thread_id }
    }

    /// Runs `work` inside and waits for it.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let job = Box::new(move || drop(done.send(work())));
        self.jobs.as_ref().unwrap().send(job).unwrap();
        result.recv().expect("the work inside the namespace has panicked")
    }

    /// Starts `work` on a thread of its own inside.
    pub fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.run(move || std::thread::spawn(work))
    }

    /// TCP sockets inside that some descriptor holds, without those that listen.
    pub fn held_sockets(&self) -> usize {
        self.run(|| {
            ["tcp", "tcp6"]
                .iter()
                .flat_map(|table| {
                    let text = std::fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap();
                    text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
                })
                .filter(|line| {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    words[3] != "0A" && words[9] != "0"
                })
                .count()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let _ = self.thread.take().unwrap().join();
    }
}

pub struct World {
    pub host: Namespace,
    pub remote: Namespace,
    pub sandbox: Namespace,
    pub nat: tokio::task::JoinHandle<()>,
    runtime: Option<tokio::runtime::Runtime>,
    _alone: MutexGuard<'static, ()>,
}

/// Worlds are made one at a time: hundreds of flows in each are enough for a small machine.
static ALONE: Mutex<()> = Mutex::new(());

impl World {
    /// `None`, said loudly, where a test may not make namespaces.
    pub fn new() -> Option<World> {
        World::with_resolvers(|_| Vec::new())
    }

    /// `resolvers` starts resolvers in the host's namespace and says where they are.
    pub fn with_resolvers(resolvers: impl FnOnce(&Namespace) -> Vec<SocketAddr>) -> Option<World> {
        let tool = Command::new("ip").arg("-V").output();
        if !rustix::process::geteuid().is_root() || tool.is_err() {
            eprintln!(
                "\n*** SKIPPED: this egress test needs root and the `ip` tool; it has shown NOTHING ***\n"
            );
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (host, remote, sandbox) = (Namespace::new(), Namespace::new(), Namespace::new());
        let peer = remote.thread_id;
        host.run(move || {
            ip(&format!("link add h0 type veth peer name r0 netns {peer}"));
            join("h0", HOST, "fd12:7e57::1");
        });
        remote.run(|| join("r0", REMOTE, REMOTE_V6));
        let servers = resolvers(&host);
        let device = sandbox.run(|| Device::create().expect("root may make a TUN device"));
        let (runtime, policy) = host.run(|| {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            (runtime, Policy::fixed(crate::egress::host::addresses(), servers))
        });
        let nat = {
            let _inside = runtime.enter();
            serve(device, Arc::new(policy))
        };
        Some(World { host, remote, sandbox, nat, runtime: Some(runtime), _alone: alone })
    }

    /// A TCP service at the remote; `serve` runs on a thread for each connection.
    pub fn service(&self, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
        self.service_at(REMOTE, serve)
    }

    pub fn service_at(&self, address: &str, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
        let address: std::net::IpAddr = address.parse().unwrap();
        let listener = self.remote.run(move || TcpListener::bind((address, 0)).unwrap());
        let at = listener.local_addr().unwrap();
        let serve = Arc::new(serve);
        // Left to itself: it ends with the process, and its namespace with it.
        self.remote.spawn(move || {
            for stream in listener.incoming() {
                let (serve, stream) = (Arc::clone(&serve), stream.unwrap());
                std::thread::Builder::new().stack_size(64 << 10).spawn(move || serve(stream)).unwrap();
            }
        });
        at
    }

    /// Connects as the function does.
    pub fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let stream = self.sandbox.run(move || TcpStream::connect(to))?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60)))?;
        Ok(stream)
    }

    /// Waits until `done`, looking again each time that something may have happened.
    pub fn eventually(&self, what: &str, mut done: impl FnMut() -> bool) {
        let began = std::time::Instant::now();
        while !done() {
            assert!(began.elapsed().as_secs() < 30, "still not so: {what}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.nat.abort();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        }
    }
}

fn join(interface: &str, v4: &str, v6: &str) {
    ip(&format!("address add {v4}/30 dev {interface}"));
    ip(&format!("address add {v6}/64 dev {interface} nodad"));
    ip(&format!("link set {interface} up"));
    ip("link set lo up");
}

fn ip(arguments: &str) {
    // The child is made by this thread, so it works in this thread's namespace.
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A small generator (xorshift64), so that both ends know the bytes without keeping them.
pub fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn fill(seed: &mut u64, chunk: &mut [u8]) {
    for word in chunk.chunks_mut(8) {
        let bytes = random(seed).to_le_bytes();
        word.copy_from_slice(&bytes[..word.len()]);
    }
}

/// Writes `length` bytes that follow from `seed`.
pub fn write_stream(mut to: &TcpStream, mut seed: u64, length: usize) -> io::Result<()> {
    let mut chunk = vec![0; 64 << 10];
    let mut left = length;
    while left > 0 {
        let size = left.min(chunk.len());
        fill(&mut seed, &mut chunk[..size]);
        to.write_all(&chunk[..size])?;
        left -= size;
    }
    Ok(())
}

/// Reads and compares them; panics at the first that differs.
pub fn check_stream(mut from: &TcpStream, mut seed: u64, length: usize) {
    let (mut chunk, mut expected) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut left = length;
    while left > 0 {
        let size = left.min(chunk.len());
        from.read_exact(&mut chunk[..size]).expect("the stream is whole");
        fill(&mut seed, &mut expected[..size]);
        assert!(chunk[..size] == expected[..size], "differs within {size} bytes, {left} before the end");
        left -= size;
    }
}

/// Sends back what comes, and the end after it.
pub fn echo(mut stream: TcpStream) {
    let mut other = stream.try_clone().unwrap();
    let _ = io::copy(&mut stream, &mut other);
    let _ = other.shutdown(std::net::Shutdown::Write);
}

/// A TCP packet with true checksums. `flags` other than SYN carry an acknowledgment of zero.
pub fn segment(
    source: SocketAddr,
    destination: SocketAddr,
    flags: u8,
    sequence: u32,
    payload_bytes: usize,
) -> Vec<u8> {
    let mut packet = datagram(source, destination, &vec![b'x'; 12 + payload_bytes]);
    let v4 = source.is_ipv4();
    let start = if v4 { 20 } else { 40 };
    packet[if v4 { 9 } else { 6 }] = 6;
    packet[start + 4..start + 8].copy_from_slice(&sequence.to_be_bytes());
    packet[start + 8..start + 12].fill(0);
    packet[start + 12] = 5 << 4;
    packet[start + 13] = flags;
    packet[start + 14..start + 20].copy_from_slice(&[0xff, 0xff, 0, 0, 0, 0]);
    let mut outer = Sum::default();
    if v4 {
        packet[10..12].fill(0);
        outer.add_bytes(&packet[..20]);
        let checksum = outer.finish().to_be_bytes();
        packet[10..12].copy_from_slice(&checksum);
    }
    let mut inner = Sum::default();
    inner.add_address(source.ip());
    inner.add_address(destination.ip());
    inner.add_word(6);
    inner.add_word((packet.len() - start) as u16);
    inner.add_bytes(&packet[start..]);
    packet[start + 16..start + 18].copy_from_slice(&inner.finish().to_be_bytes());
    packet
}

pub fn datagram(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; answer::datagram_header_bytes(source)];
    packet.extend_from_slice(payload);
    assert!(answer::seal_datagram(&mut packet, source, destination));
    packet
}
