//! The key that a receiver shares with us, and the signature that is made with it: symmetric Standard
//! Webhooks (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::Invalid;

/// `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

const SHAPE: Invalid = Invalid("must be whsec_ and 24 to 64 bytes in base64");

impl Secret {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let encoded = text.strip_prefix("whsec_").ok_or(SHAPE)?;
        let key = STANDARD.decode(encoded).map_err(|_not_base64| SHAPE)?;
        if !(24..=64).contains(&key.len()) {
            return Err(SHAPE);
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|_length| SHAPE)
    }

    /// What `webhook-signature` holds: `v1,` and the HMAC over `{id}.{timestamp}.{body}`.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use sha2::Digest;

    use super::*;

    /// RFC 2104 spelled out, for a key of at most one block.
    fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
        let pad = |with: u8| -> Vec<u8> { (0..64).map(|n| key.get(n).copied().unwrap_or(0) ^ with).collect() };
        let inner = Sha256::digest([pad(0x36).as_slice(), text].concat());
        Sha256::digest([pad(0x5c).as_slice(), inner.as_slice()].concat()).into()
    }

    proptest! {
        #[test]
        fn a_signature_is_the_hmac_over_id_timestamp_and_body(
            key in vec(any::<u8>(), 24..=64), id in "[a-z0-9-]{1,40}", timestamp in 0..4_102_444_800_i64, body in vec(any::<u8>(), 0..200),
        ) {
            let secret = Secret::parse(&format!("whsec_{}", STANDARD.encode(&key))).unwrap();
            let text = [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", &body].concat();
            let expected = format!("v1,{}", STANDARD.encode(hmac(&key, &text)));
            prop_assert_eq!(secret.sign(&id, timestamp, &body), expected);
        }

        #[test]
        fn a_secret_has_24_to_64_bytes_or_is_refused(key in vec(any::<u8>(), 0..100)) {
            let parsed = Secret::parse(&format!("whsec_{}", STANDARD.encode(&key)));
            prop_assert_eq!(parsed.is_ok(), (24..=64).contains(&key.len()));
        }

        #[test]
        fn parsing_a_secret_never_panics(text in "(whsec_)?\\PC{0,60}") {
            if let Err(reason) = Secret::parse(&text) {
                prop_assert_eq!(reason, SHAPE);
            }
        }
    }

    /// The vector that the standard's own libraries are tested with.
    #[test]
    fn the_signature_is_that_of_the_standards_own_test_vector() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_needs_its_prefix_and_shows_in_no_debug_print() {
        assert!(Secret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
