//! Programs beside the first one, and sockets inside a sandbox's network.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use lambent_core::function::Egress;
use lambent_core::ports::sandbox::{Beside, ExitHow, Program, ProgramSignal, Running, SandboxError, Which};
use lambent_sandbox::Isolation;

use crate::support::{LIMITS, Lab, PATIENCE, host_processes, job, new_instance, read_until};

fn shell(code: &str) -> Program {
    job(&["/bin/sh", "-c", code], LIMITS, vec![]).program
}

/// A sandbox without a program.
async fn stands(lab: &Lab) -> Running {
    let mut job = job(&[], LIMITS, vec![]);
    job.program = Program::none();
    lab.cell(Egress::None).await.start(job).await.map_err(|error| error.to_string()).unwrap()
}

async fn beside(running: &Running, program: Program) -> Beside {
    running.environment.run_beside(program).await.map_err(|error| error.to_string()).unwrap()
}

async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it comes about")
}

#[tokio::test]
async fn a_program_that_begins_later_finds_what_one_beside_it_left() {
    for isolation in [Isolation::Full, Isolation::Process] {
        let Some(lab) = Lab::at(isolation).await else { continue };
        let running = stands(&lab).await;
        let scratch = if isolation == Isolation::Full { "/tmp" } else { "$TMPDIR" };
        let first =
            beside(&running, shell(&format!("id -u; echo left > {scratch}/f; echo done; exec sleep 60")))
                .await;
        let said = patiently(read_until(&first.output, "done")).await;
        let program = shell(&format!("id -u; cat {scratch}/f; exit 3"));
        running.environment.begin(program).await.map_err(|error| error.to_string()).unwrap();
        let uid = said.lines().next().unwrap();
        let told = patiently(read_until(&running.output, "left")).await;
        assert_eq!(told.lines().next(), Some(uid), "both are the same user");
        assert_eq!(patiently(running.environment.exited()).await.how, ExitHow::Code(3));
        // It outlives the first, until the sandbox goes.
        running.environment.signal(Which::Beside(first.number), ProgramSignal::Terminate).unwrap();
        assert_eq!(patiently(first.exited).await, ExitHow::Signal(15));
        running.environment.kill().await;
    }
}

#[tokio::test]
async fn a_sandbox_ends_with_every_program_in_it() {
    let Some(lab) = Lab::full().await else { return };
    let running = lab.start(&["/bin/sh", "-c", "exec sleep 100"], LIMITS, vec![]).await;
    let marker = format!("marker-{}", new_instance());
    let one = beside(&running, shell(&format!("sleep 100; echo {marker}"))).await;
    assert!(!host_processes(&marker).is_empty());
    running.environment.kill().await;
    assert_eq!(patiently(one.exited).await, ExitHow::Signal(9));
    assert!(host_processes(&marker).is_empty());
    assert!(running.environment.run_beside(shell("true")).await.is_err());
}

#[tokio::test]
async fn a_program_beside_is_confined_like_the_first() {
    let Some(lab) = Lab::full().await else { return };
    let running = lab.start(&["/bin/sh", "-c", "exec sleep 100"], LIMITS, vec![]).await;
    let probe = "grep -E '^(Seccomp|NoNewPrivs|CapEff):' /proc/self/status; ls /proc/self/fd | wc -l; \
                 touch /usr/x 2>/dev/null && echo WROTE; echo end";
    let one = beside(&running, shell(probe)).await;
    let said = patiently(read_until(&one.output, "end")).await;
    assert!(said.contains("Seccomp:\t2") && said.contains("NoNewPrivs:\t1"), "{said}");
    assert!(said.contains("CapEff:\t0000000000000000") && !said.contains("WROTE"), "{said}");
    running.environment.kill().await;
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_named_and_harms_nobody() {
    let Some(lab) = Lab::full().await else { return };
    let running = lab.start(&["/bin/sh", "-c", "sleep 0.2; exit 4"], LIMITS, vec![]).await;
    let missing = Program { argv: vec!["/opt/extensions/none".into()], env: vec![], cwd: "/".into() };
    match running.environment.run_beside(missing).await {
        Err(SandboxError::Program { program, errno: 2, .. }) => assert_eq!(program, "/opt/extensions/none"),
        other => panic!("{:?}", other.err()),
    }
    assert_eq!(patiently(running.environment.exited()).await.how, ExitHow::Code(4));
    running.environment.kill().await;
}

#[tokio::test]
async fn the_nodes_socket_reaches_a_listener_inside() {
    let Some(lab) = Lab::full().await else { return };
    let listen = "import socket\ns = socket.create_server(('sandbox.localdomain', 8080))\nprint('up', flush=True)\n\
                  c, _ = s.accept()\nc.sendall(c.recv(100).upper())\nc.close()\nimport time; time.sleep(60)";
    let running = lab.start(&["/usr/bin/python3", "-S", "-c", listen], LIMITS, vec![]).await;
    patiently(read_until(&running.output, "up")).await;
    let socket: OwnedFd = patiently(running.environment.socket()).await.unwrap();
    let socket = tokio::net::TcpSocket::from_std_stream(socket.into());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    let stream = patiently(socket.connect(address)).await.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = stream;
        stream.write_all(b"hello").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    assert_eq!(answer.await.unwrap(), "HELLO");
    running.environment.kill().await;
    assert!(running.environment.socket().await.is_err());
}
