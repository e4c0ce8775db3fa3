//! `traceparent` (W3C Trace Context, level 1, <https://www.w3.org/TR/trace-context-1/>): which trace something
//! belongs to, and below which span.

use std::fmt;

/// The bit of the flags that says that the trace is recorded.
const SAMPLED: u8 = 1;

/// Neither id is ever zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    pub(super) trace: u128,
    pub(super) span: u64,
    /// As they came. Of our own spans at most [`SAMPLED`] is set: the other bits are reserved.
    flags: u8,
}

impl Context {
    pub(super) fn new(trace: u128, span: u64, sampled: bool) -> Self {
        Self { trace: trace.max(1), span: span.max(1), flags: if sampled { SAMPLED } else { 0 } }
    }

    /// In the form of version 00, which is also how a later version begins.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let more = parts.next().is_some();
        let known = is_hex(version, 2) && version != "ff" && (version != "00" || !more);
        let valid = known && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
        if !valid {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        Some(Self { trace, span, flags: u8::from_str_radix(flags, 16).ok()? })
    }

    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// As logs and collectors write it.
    #[must_use]
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }

    #[must_use]
    pub const fn is_same_trace(self, other: Self) -> bool {
        self.trace == other.trace
    }
}

/// The header's value.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_itself(trace in 1..=u128::MAX, span in 1..=u64::MAX, flags in any::<u8>()) {
            let context = Context { trace, span, flags };
            prop_assert_eq!(Context::parse(&context.to_string()), Some(context));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}|[0-9a-f]{1,3}-[0-9a-fé]{31,33}-[0-9a-f]{15,17}-.{1,3}") {
            if let Some(context) = Context::parse(&text) {
                prop_assert!(text.contains(context.to_string().trim_start_matches("00")));
            }
        }
    }

    #[test]
    fn only_the_last_bit_of_the_flags_says_that_it_is_recorded() {
        for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
            let context = Context::parse(&format!("00-{:032x}-{:016x}-{flags}", 7, 9)).unwrap();
            assert_eq!(context.is_sampled(), sampled, "{flags}");
        }
    }
}
