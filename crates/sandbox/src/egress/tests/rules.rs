//! What is allowed, by table.

use std::net::{IpAddr, SocketAddr};

use crate::egress::host;
use crate::egress::policy::{Refusal, Verdict, decide};

fn own() -> Vec<IpAddr> {
    ["192.0.2.10", "10.1.2.3", "2001:db8::10", "fe80::1"].map(|text| text.parse().unwrap()).to_vec()
}

fn verdict(destination: &str) -> Verdict {
    let destination: SocketAddr = destination.parse().unwrap();
    decide(destination, &own())
}

#[test]
fn the_host_and_what_only_it_can_mean_are_refused() {
    let table = [
        ("127.0.0.1:80", Refusal::Loopback),
        ("127.255.255.254:80", Refusal::Loopback),
        ("[::1]:80", Refusal::Loopback),
        ("0.0.0.0:80", Refusal::Unspecified),
        ("0.1.2.3:80", Refusal::Unspecified),
        ("[::]:80", Refusal::Unspecified),
        ("192.0.2.10:4566", Refusal::HostItself),
        ("10.1.2.3:22", Refusal::HostItself),
        ("[2001:db8::10]:22", Refusal::HostItself),
        ("169.254.169.254:80", Refusal::LinkLocal),
        ("169.254.0.1:80", Refusal::LinkLocal),
        ("[fe80::2]:80", Refusal::LinkLocal),
        ("[febf:ffff::1]:80", Refusal::LinkLocal),
        ("168.63.129.16:80", Refusal::Metadata),
        ("100.100.100.200:80", Refusal::Metadata),
        ("[fd00:ec2::254]:80", Refusal::Metadata),
        ("224.0.0.1:5353", Refusal::Multicast),
        ("239.255.255.250:1900", Refusal::Multicast),
        ("[ff02::1]:80", Refusal::Multicast),
        ("255.255.255.255:67", Refusal::Broadcast),
        ("10.255.255.1:80", Refusal::SandboxInternal),
        ("10.255.255.2:80", Refusal::SandboxInternal),
        ("10.255.255.254:80", Refusal::SandboxInternal),
        ("[fd00:6c61:6d62::1]:80", Refusal::SandboxInternal),
        ("93.184.216.34:0", Refusal::NoPort),
    ];
    for (destination, refusal) in table {
        assert_eq!(verdict(destination), Verdict::Refuse(refusal), "{destination}");
    }
}

#[test]
fn an_ipv6_address_is_judged_by_the_ipv4_address_that_it_carries() {
    let forms: [fn(u16, u16) -> String; 8] = [
        |high, low| format!("[::ffff:{high:x}:{low:x}]:80"),
        |high, low| format!("[::{high:x}:{low:x}]:80"),
        |high, low| format!("[::ffff:0:{high:x}:{low:x}]:80"),
        |high, low| format!("[64:ff9b::{high:x}:{low:x}]:80"),
        |high, low| format!("[64:ff9b:1::{high:x}:{low:x}]:80"),
        |high, low| format!("[2002:{high:x}:{low:x}::1]:80"),
        |high, low| format!("[2002:{high:x}:{low:x}:ffff:ffff:ffff:ffff:ffff]:80"),
        |high, low| format!("[2001:0:1:2:3:4:{:x}:{:x}]:80", !high, !low),
    ];
    let carried = [
        ([127, 0, 0, 1], Refusal::Loopback),
        ([192, 0, 2, 10], Refusal::HostItself),
        ([169, 254, 169, 254], Refusal::LinkLocal),
        ([10, 255, 255, 1], Refusal::SandboxInternal),
        ([224, 0, 0, 1], Refusal::Multicast),
        ([255, 255, 255, 255], Refusal::Broadcast),
        ([168, 63, 129, 16], Refusal::Metadata),
    ];
    for ([a, b, c, d], refusal) in carried {
        for form in forms {
            let destination = form(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            assert_eq!(verdict(&destination), Verdict::Refuse(refusal), "{destination}");
        }
    }
    assert_eq!(verdict("[::ffff:93.184.216.34]:80"), Verdict::Allow);
    assert_eq!(verdict("[64:ff9b::10.0.0.1]:80"), Verdict::Allow);
}

#[test]
fn the_rest_of_the_world_is_allowed_and_private_networks_with_it() {
    for destination in [
        "93.184.216.34:443",
        "10.0.0.1:5432",
        "10.255.254.255:5432",
        "10.1.2.4:22",
        "172.16.0.1:3306",
        "192.168.1.1:6379",
        "100.64.0.1:80",
        "126.255.255.255:80",
        "128.0.0.1:80",
        "[2001:db8::11]:443",
        "[fd12::1]:443",
    ] {
        assert_eq!(verdict(destination), Verdict::Allow, "{destination}");
    }
}

#[test]
fn the_gateway_answers_dns_and_nothing_else() {
    assert_eq!(verdict("10.255.255.1:53"), Verdict::Resolver);
    assert_eq!(verdict("[fd00:6c61:6d62::1]:53"), Verdict::Resolver);
    assert_eq!(verdict("10.255.255.1:54"), Verdict::Refuse(Refusal::SandboxInternal));
    assert_eq!(verdict("10.255.255.2:53"), Verdict::Refuse(Refusal::SandboxInternal));
}

#[test]
fn resolvers_are_read_as_the_c_library_reads_them() {
    let text = "# comment\nsearch example.org\nnameserver 127.0.0.53 # local\n nameserver\t2001:db8::53\n\
                nameserver fe80::1%eth0\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver\n";
    let expected = ["127.0.0.53:53", "[2001:db8::53]:53", "192.0.2.1:53"];
    let found: Vec<String> = host::parse_resolvers(text).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
    assert_eq!(host::parse_resolvers("")[0].to_string(), "127.0.0.1:53");
}

#[test]
fn this_host_knows_its_own_addresses_and_routes() {
    let loopback: IpAddr = "127.0.0.1".parse().unwrap();
    assert!(host::addresses().contains(&loopback));
    // Not in any list of addresses, but a local route claims all of 127/8.
    assert!(host::routes_to_itself("127.1.2.3:80".parse().unwrap()));
}
