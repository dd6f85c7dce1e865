//! What can be reached from inside.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use lambent_core::function::Egress;

use crate::support::{LIMITS, Lab, ended, job, read_until};

const TRY: &str = r"
import socket, errno, sys
def attempt(host, port):
    try:
        socket.create_connection((host, port), timeout=5).close()
        return 'ok'
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)
";

#[tokio::test]
async fn a_sandbox_without_egress_reaches_nothing_but_the_runtime_api() {
    let Some(lab) = Lab::full().await else { return };
    let cell = lab.cell(Egress::None).await;
    assert_eq!(cell.runtime_api_addr(), SocketAddr::from(([127, 0, 0, 1], 9001)));
    assert_eq!(cell.services_addr(), None);
    let script = format!(
        "{TRY}
print(attempt('127.0.0.1', 9001), attempt('127.0.0.1', 4566), attempt('8.8.8.8', 53), attempt('10.255.255.1', 53))
print(open('/proc/net/route').read().count('\\n'), socket.if_nameindex())
try:
    socket.getaddrinfo('example.com', 80)
except OSError:
    print('no names')
"
    );
    let running = cell.start(job(&["/usr/bin/python3", "-S", "-c", &script], LIMITS, vec![])).await;
    let running = running.map_err(|error| error.to_string()).unwrap();
    assert!(running.services.is_none());
    assert_eq!(ended_text(running).await, "ok ECONNREFUSED ENETUNREACH ENETUNREACH\n1 [(1, 'lo')]\nno names");
}

async fn ended_text(running: lambent_core::ports::sandbox::Running) -> String {
    // The listener must outlive the program.
    let _keep =
        (running.runtime_api.try_clone().unwrap(), running.services.as_ref().map(TcpListener::try_clone));
    let ended = ended(running).await;
    ended.text().to_owned()
}

#[tokio::test]
async fn the_hosts_loopback_cannot_be_reached() {
    let Some(lab) = Lab::full().await else { return };
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    let any = TcpListener::bind("0.0.0.0:0").unwrap();
    let second = any.local_addr().unwrap().port();
    for egress in [Egress::None, Egress::Services] {
        let cell = lab.cell(egress).await;
        let script = format!("{TRY}\nprint(attempt('127.0.0.1', {port}), attempt('127.0.0.1', {second}))");
        let running = cell.start(job(&["/usr/bin/python3", "-S", "-c", &script], LIMITS, vec![])).await;
        let running = running.map_err(|error| error.to_string()).unwrap();
        assert_eq!(ended_text(running).await, "ECONNREFUSED ECONNREFUSED");
    }
}

#[tokio::test]
async fn the_node_answers_what_the_program_asks_on_its_two_addresses() {
    let Some(lab) = Lab::full().await else { return };
    let cell = lab.cell(Egress::Services).await;
    let (api, services) = (cell.runtime_api_addr(), cell.services_addr().unwrap());
    assert_eq!(services, SocketAddr::from(([127, 0, 0, 1], 4566)));
    let script = format!(
        "
import socket
for host, port in (('{}', {}), ('{}', {})):
    connection = socket.create_connection((host, port))
    connection.sendall(b'ask')
    print(connection.recv(10).decode(), flush=True)
",
        api.ip(),
        api.port(),
        services.ip(),
        services.port()
    );
    let running = cell.start(job(&["/usr/bin/python3", "-S", "-c", &script], LIMITS, vec![])).await;
    let running = running.map_err(|error| error.to_string()).unwrap();
    let listeners =
        [running.runtime_api.try_clone().unwrap(), running.services.as_ref().unwrap().try_clone().unwrap()];
    let node = tokio::task::spawn_blocking(move || {
        for (listener, answer) in listeners.iter().zip(["one", "two"]) {
            listener.set_nonblocking(false).unwrap();
            let (mut connection, _) = listener.accept().unwrap();
            connection.set_nonblocking(false).unwrap();
            let mut asked = [0; 3];
            connection.read_exact(&mut asked).unwrap();
            assert_eq!(&asked, b"ask");
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    let text = read_until(&running.output, "two").await;
    assert_eq!(text, "one\ntwo\n");
    node.await.unwrap();
    running.environment.kill().await;
}

#[tokio::test]
async fn two_sandboxes_do_not_meet() {
    let Some(lab) = Lab::full().await else { return };
    let script = r"
import socket, time
tcp = socket.create_server(('127.0.0.1', 7777))
local = socket.socket(socket.AF_UNIX)
local.bind('\0meeting')
print('bound', flush=True)
time.sleep(60)
";
    let argv = ["/usr/bin/python3", "-S", "-c", script];
    let first = lab.start(&argv, LIMITS, vec![]).await;
    read_until(&first.output, "bound").await;
    let second = lab.start(&argv, LIMITS, vec![]).await;
    // Both could bind, so neither saw the other's.
    read_until(&second.output, "bound").await;
    first.environment.kill().await;
    second.environment.kill().await;
}

#[tokio::test]
async fn internet_egress_reaches_the_node_for_names_and_not_the_host() {
    let Some(lab) = Lab::full().await else { return };
    if !std::path::Path::new("/dev/net/tun").exists() {
        eprintln!("NOT EXERCISED on this host: internet egress");
        return;
    }
    let host = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = host.local_addr().unwrap().port();
    let own = own_address();
    let cell = lab.cell(Egress::Internet).await;
    let script = format!(
        "{TRY}
names = [name for _, name in socket.if_nameindex()]
print('tun0' in names, open('/etc/resolv.conf').read().strip())
print(attempt('127.0.0.1', {port}), attempt('{own}', {port}) == 'ok', attempt('169.254.169.254', 80) == 'ok')
"
    );
    let running = cell.start(job(&["/usr/bin/python3", "-S", "-c", &script], LIMITS, vec![])).await;
    let running = running.map_err(|error| error.to_string()).unwrap();
    assert_eq!(ended_text(running).await, "True nameserver 10.255.255.1\nECONNREFUSED False False");
}

/// The address that this host would reach others from; its loopback where it has no other.
fn own_address() -> std::net::IpAddr {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let routed = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    routed.map_or(std::net::Ipv4Addr::LOCALHOST.into(), |address| address.ip())
}
