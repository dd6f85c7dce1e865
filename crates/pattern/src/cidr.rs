//! `cidr`: addresses of a network.

use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cidr {
    is_v6: bool,
    network: u128,
    /// Bits of an address behind the network's.
    host_bits: u32,
}

impl Cidr {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((address, bits)) = text.split_once('/').filter(|(_, bits)| !bits.contains('/')) else {
            return Err("Malformed CIDR, one '/' required".to_owned());
        };
        let address: IpAddr =
            address.parse().map_err(|_| format!("Malformed CIDR, '{address}' is not an IP address"))?;
        let bits: u32 =
            bits.parse().map_err(|_| "Malformed CIDR, mask bits must be an integer".to_owned())?;
        let (is_v6, number, width) = number(address);
        if bits > width {
            return Err(format!("IPv{} mask bits must be 0 to {width}", if is_v6 { 6 } else { 4 }));
        }
        let host_bits = width - bits;
        Ok(Self { is_v6, network: shifted(number, host_bits), host_bits })
    }

    pub(super) fn has(&self, text: &str) -> bool {
        text.parse().is_ok_and(|address| {
            let (is_v6, number, _) = number(address);
            is_v6 == self.is_v6 && shifted(number, self.host_bits) == self.network
        })
    }
}

/// Whether it is one of version 6, its number, and how many bits that has.
fn number(address: IpAddr) -> (bool, u128, u32) {
    match address {
        IpAddr::V4(address) => (false, u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (true, address.to_bits(), 128),
    }
}

fn shifted(number: u128, bits: u32) -> u128 {
    number.checked_shr(bits).unwrap_or(0)
}
