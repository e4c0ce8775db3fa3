//! The statuses and the one table of what may happen in each. Every conditional write takes its
//! condition on the status from here, so an illegal transition cannot be written, whoever races whom.

use super::Invalid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Pending,
    Processing,
    Retrying,
    Sent,
    Failed,
    Cancelled,
    Expired,
}

/// What can be done to a stored notification. (Creating one has no status to start from.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Claim,
    TakeOver,
    Finish,
    GiveUp,
    Cancel,
    Expire,
    Retry,
    Rearm,
}

impl Action {
    pub const ALL: [Self; 8] =
        [Self::Claim, Self::TakeOver, Self::Finish, Self::GiveUp, Self::Cancel, Self::Expire, Self::Retry, Self::Rearm];

    /// The statuses that the action may start from.
    #[must_use]
    pub const fn from(self) -> &'static [Status] {
        match self {
            Self::Claim | Self::Cancel | Self::Expire => &[Status::Pending, Status::Retrying],
            Self::TakeOver | Self::Finish | Self::GiveUp => &[Status::Processing],
            Self::Retry => &[Status::Failed],
            Self::Rearm => &[Status::Pending, Status::Processing, Status::Retrying],
        }
    }

    /// The statuses that the action may lead to.
    #[must_use]
    pub const fn to(self) -> &'static [Status] {
        match self {
            Self::Claim | Self::TakeOver => &[Status::Processing],
            Self::Finish => &[Status::Sent, Status::Failed, Status::Expired, Status::Retrying],
            Self::GiveUp => &[Status::Failed, Status::Expired],
            Self::Cancel => &[Status::Cancelled],
            Self::Expire => &[Status::Expired],
            Self::Retry => &[Status::Pending],
            Self::Rearm => Self::Rearm.from(),
        }
    }
}

impl Status {
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Processing, Self::Retrying, Self::Sent, Self::Failed, Self::Cancelled, Self::Expired];

    /// No worker touches it any more. (A client may still put a failed one back to work.)
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Processing | Self::Retrying => false,
            Self::Sent | Self::Failed | Self::Cancelled | Self::Expired => true,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Processing => "Processing",
            Self::Retrying => "Retrying",
            Self::Sent => "Sent",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Expired => "Expired",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(Invalid("is no status"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_that_is_not_final_has_a_way_on_and_every_final_one_but_failed_has_none() {
        for status in Status::ALL {
            let ways = Action::ALL.into_iter().filter(|a| *a != Action::Rearm && a.from().contains(&status)).count();
            assert_eq!(ways > 0, !status.is_final() || status == Status::Failed, "{status:?}");
            assert_eq!(Action::Rearm.from().contains(&status), !status.is_final(), "{status:?}");
        }
    }

    #[test]
    fn the_written_form_reads_back() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Ok(status));
        }
    }
}
