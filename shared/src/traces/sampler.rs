//! Whether a trace is recorded, by the names of OpenTelemetry's specification:
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration>.

use super::Context;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Whether what the parent decided holds.
    pub follows_parent: bool,
    /// From 0 to 1: of the traces for which nobody has decided.
    pub share: f64,
}

impl Sampler {
    /// By the trace's id, as others' samplers do it: whoever asks for a smaller share takes a part of these.
    pub(super) fn takes(self, trace: u128, parent: Option<Context>) -> bool {
        const ALL: f64 = 4_294_967_296.0;
        match parent {
            Some(parent) if self.follows_parent => parent.is_sampled(),
            // The id's lower half is random; the upper 32 bits of it are fine enough.
            Some(_) | None => u32::try_from((trace >> 32) & 0xffff_ffff).is_ok_and(|place| f64::from(place) < self.share * ALL),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_is_all_and_none_is_none_and_a_larger_share_has_the_smaller_one(trace in any::<u128>(), share in 0.0..1.0_f64) {
            let takes = |share| Sampler { follows_parent: true, share }.takes(trace, None);
            prop_assert!(takes(1.0) && !takes(0.0));
            prop_assert!(!takes(share / 2.0) || takes(share));
        }

        #[test]
        fn a_parent_is_followed_only_where_it_is_to_be(trace in 1..u128::MAX, sampled in any::<bool>()) {
            let parent = Some(Context::new(trace, 1, sampled));
            for share in [0.0, 1.0] {
                prop_assert_eq!(Sampler { follows_parent: true, share }.takes(trace, parent), sampled);
                prop_assert_eq!(Sampler { follows_parent: false, share }.takes(trace, parent), share > 0.5);
            }
        }
    }

    /// `u64::from_be_bytes(low 8 bytes) >> 1 < ratio * 2^63`, as in OpenTelemetry's own SDKs.
    #[test]
    fn the_same_traces_are_taken_as_by_others() {
        let quarter = Sampler { follows_parent: true, share: 0.25 };
        for (low, taken) in [(0x3fff_ffff_ffff_ffff_u128, true), (0x4000_0000_0000_0000, false), (u128::from(u64::MAX), false)] {
            assert_eq!(quarter.takes((0xabcd << 64) | low, None), taken, "{low:x}");
        }
    }
}
