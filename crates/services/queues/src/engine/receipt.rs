//! Receipt handles: which receive of which message, authenticated.
//!
//! The queue's ARN is under the tag and not in the handle: a handle of one queue is none of another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use lambent_store::queues::{Receipt, Shelf};
use sha2::Sha256;

const TAG_BYTES: usize = 16;
const FACTS_BYTES: usize = 24;

pub struct ReceiptKey(Hmac<Sha256>);

impl ReceiptKey {
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Hmac::new_from_slice(&secret).expect("HMAC takes keys of any length"))
    }

    pub fn write(&self, queue_arn: &str, shelf: Shelf, receipt: Receipt) -> String {
        let mut bytes = [0; FACTS_BYTES + TAG_BYTES];
        bytes[..8].copy_from_slice(&shelf.0.to_be_bytes());
        bytes[8..16].copy_from_slice(&receipt.number.to_be_bytes());
        bytes[16..24].copy_from_slice(&receipt.turn.to_be_bytes());
        let tag = self.mac(queue_arn, &bytes[..FACTS_BYTES]).finalize().into_bytes();
        bytes[FACTS_BYTES..].copy_from_slice(&tag[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None`: nobody was given this handle for this queue.
    pub fn read(&self, queue_arn: &str, handle: &str) -> Option<(Shelf, Receipt)> {
        let bytes = URL_SAFE_NO_PAD.decode(handle).ok()?;
        let (facts, tag) = bytes.split_at_checked(FACTS_BYTES)?;
        if tag.len() != TAG_BYTES {
            return None;
        }
        self.mac(queue_arn, facts).verify_truncated_left(tag).ok()?;
        let number = |at: usize| facts[at..at + 8].try_into().map(u64::from_be_bytes).ok();
        Some((Shelf(number(0)?), Receipt { number: number(8)?, turn: number(16)? }))
    }

    fn mac(&self, queue_arn: &str, facts: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(b"receipt");
        mac.update(facts);
        mac.update(queue_arn.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_handle_is_good_for_its_queue_only() {
        let key = ReceiptKey::new([7; 32]);
        let receipt = Receipt { number: 5, turn: 2 };
        let handle = key.write("arn:a", Shelf(9), receipt);
        assert_eq!(key.read("arn:a", &handle), Some((Shelf(9), receipt)));
        assert_eq!(key.read("arn:b", &handle), None);
        assert_eq!(ReceiptKey::new([8; 32]).read("arn:a", &handle), None);
    }

    proptest! {
        #[test]
        fn a_changed_handle_is_no_handle(at in 0usize..53, to in "[A-Za-z0-9_-]") {
            let key = ReceiptKey::new([7; 32]);
            let handle = key.write("arn", Shelf(1), Receipt { number: 1, turn: 1 });
            let changed = format!("{}{to}{}", &handle[..at], &handle[at + 1..]);
            prop_assert_eq!(key.read("arn", &changed).is_some(), changed == handle);
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".{0,80}") {
            prop_assert_eq!(ReceiptKey::new([7; 32]).read("arn", &text), None);
        }
    }
}
