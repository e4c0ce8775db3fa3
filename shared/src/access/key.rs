//! An API key: `nk_` and 256 random bits in base64url. The prefix is for people and for whoever scans
//! repositories for secrets.
//!
//! What is kept of a key is its SHA-256 and nothing slower. Slow hashes (scrypt, Argon2) make each guess dear
//! where people choose the secret; among 2²⁵⁶ keys nobody guesses, and every request would pay for it. For
//! the same reason there is no salt: no two keys are alike, and no table of them can be made.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::random::Random;

/// Every key begins with it.
pub const PREFIX: &str = "nk_";

/// Shown once, to whoever asked for it.
pub struct ApiKey(String);

impl ApiKey {
    #[must_use]
    pub fn make(random: &(dyn Random + 'static)) -> Self {
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([random.bytes(), random.bytes()].concat())))
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(not shown)")
    }
}

/// SHA-256 of a key, all of its letters; written as `sha256sum` does.
#[derive(Clone, Copy, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// From 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        let digit = |letter: u8| char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes = pairs.iter().map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?)).collect::<Option<Vec<u8>>>()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

/// In a time that tells nothing about where they differ; there is no other comparison.
impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn keys_are_long_random_and_known_by_their_beginning() {
        let (one, other) = (ApiKey::make(&SystemRandom), ApiKey::make(&SystemRandom));
        assert_ne!(one.expose(), other.expose());
        let random = one.expose().strip_prefix("nk_").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32);
        assert!(!format!("{one:?}").contains(random));
    }

    #[test]
    fn a_digest_is_what_sha256sum_prints() {
        // printf %s nk_abc | sha256sum
        let printed = "d3a39b684d8f307050b5ed75b34ba6f180306aa34eff5b3f924c85263a9869b4";
        let digest = Digest::of(b"nk_abc");
        assert_eq!(digest.to_string(), printed);
        assert!(Digest::parse(printed) == Some(digest) && Digest::parse(&printed.to_uppercase()) == Some(digest));
        let shorter: String = printed.chars().skip(1).collect();
        for refused in ["", "ab", &shorter, &format!("{printed}00"), &printed.replace('a', "g"), &printed.replace("d3", "ä")] {
            assert!(Digest::parse(refused).is_none(), "{refused}");
        }
    }
}
