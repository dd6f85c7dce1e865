//! The checksums that bodies bear in `x-amz-checksum-*` headers and trailers.
//!
//! SHA-1 is absent by choice: nothing else here needs it, and every current client defaults to a CRC. A body
//! that names it is refused by name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// What the names of checksum headers and trailers begin with.
pub const HEADER_PREFIX: &str = "x-amz-checksum-";

/// A checksum algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha256,
}

impl Algorithm {
    /// The algorithm of a header's name, such as `x-amz-checksum-crc32`; `None` for any other header and for
    /// algorithms that this node doesn't have.
    pub fn of_header(name: &str) -> Option<Self> {
        match name.strip_prefix(HEADER_PREFIX)? {
            "crc32" => Some(Self::Crc32),
            "crc32c" => Some(Self::Crc32c),
            "crc64nvme" => Some(Self::Crc64Nvme),
            "sha256" => Some(Self::Sha256),
            _ => None,
        }
    }

    /// The reference's spelling, as errors show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha256 => "SHA256",
        }
    }

    /// The checksum in base64, most significant byte first.
    pub fn of(self, bytes: &[u8]) -> String {
        match self {
            Self::Crc32 => STANDARD.encode(crc32fast::hash(bytes).to_be_bytes()),
            Self::Crc32c => STANDARD.encode(crc32c(bytes).to_be_bytes()),
            Self::Crc64Nvme => STANDARD.encode(crc64_nvme(bytes).to_be_bytes()),
            Self::Sha256 => STANDARD.encode(Sha256::digest(bytes)),
        }
    }
}

/// Castagnoli's polynomial, reflected.
const CRC32C_POLYNOMIAL: u64 = 0x82F6_3B78;
/// The NVM Express polynomial, reflected.
const CRC64_NVME_POLYNOMIAL: u64 = 0x9A6C_9329_AC4B_C9B5;

static CRC32C_TABLE: [u64; 256] = table(CRC32C_POLYNOMIAL);
static CRC64_NVME_TABLE: [u64; 256] = table(CRC64_NVME_POLYNOMIAL);

/// One table serves both widths: a reflected CRC only ever shifts right.
const fn table(polynomial: u64) -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ polynomial } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}

fn reflected(table: &[u64; 256], ones: u64, bytes: &[u8]) -> u64 {
    let sum =
        bytes.iter().fold(ones, |sum, byte| table[((sum ^ u64::from(*byte)) & 0xff) as usize] ^ (sum >> 8));
    sum ^ ones
}

fn crc32c(bytes: &[u8]) -> u32 {
    reflected(&CRC32C_TABLE, u64::from(u32::MAX), bytes) as u32
}

fn crc64_nvme(bytes: &[u8]) -> u64 {
    reflected(&CRC64_NVME_TABLE, u64::MAX, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogued_check_values_hold() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc64_nvme(b"123456789"), 0xAE8B_1486_0A79_9888);
        assert_eq!(crc32c(b""), 0);
        assert_eq!(Algorithm::Crc32.of(b"123456789"), STANDARD.encode(0xCBF4_3926_u32.to_be_bytes()));
        assert_eq!(Algorithm::Sha256.of(b""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn an_algorithm_that_is_absent_has_no_name_here() {
        assert_eq!(Algorithm::of_header("x-amz-checksum-crc32c"), Some(Algorithm::Crc32c));
        for name in ["x-amz-checksum-sha1", "x-amz-checksum-", "crc32", "x-amz-meta-crc32"] {
            assert_eq!(Algorithm::of_header(name), None, "{name}");
        }
    }
}
