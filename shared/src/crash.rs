//! The windows between any two effects, in which a process may die or freeze, each with a name. A test
//! sets `CRASH_AT=after-claim` and the process aborts in that window, `HOLD_AT=after-claim` and it stays there
//! until it is let go, or `PANIC_AT=after-claim` and the code there panics; `after-claim:3` means the third passage.
//!
//! [`crash_point!`](crate::crash_point) marks a window in the code. It is nothing at all unless the feature
//! `crash-points` is on, which only the crate `tests` asks for: what ships has no such code, and
//! `.ci/check-shipped` holds that against the features and the binaries.

/// Marks the window of that name.
#[cfg(feature = "crash-points")]
#[macro_export]
macro_rules! crash_point {
    ($window:ident) => {
        $crate::crash::reached($crate::crash::Window::$window)
    };
    // Within a call that is under way: after its first step, before its answer.
    ($window:ident in $call:ident) => {
        let $call = $crate::crash::under_way($call, $crate::crash::Window::$window);
    };
}

#[cfg(not(feature = "crash-points"))]
#[macro_export]
macro_rules! crash_point {
    ($window:ident) => {};
    ($window:ident in $call:ident) => {};
}

#[cfg(feature = "crash-points")]
pub use armed::{Window, reached, under_way};

#[cfg(feature = "crash-points")]
mod armed {
    use std::path::PathBuf;
    use std::pin::pin;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Poll;
    use std::time::Duration;

    use crate::config::{Environment, SystemEnvironment};

    /// Where a process may be lost. A new one makes its tests say what must come of it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Window {
        /// A request was read | get.
        BeforeRead,
        /// A request was read | put.
        BeforePut,
        /// Put (or the write of a manual retry) | produce.
        AfterPut,
        /// Produce | ack.
        AfterProduce,
        /// Ack | answer.
        AfterAck,
        /// Event, or answer of the outbox | claim.
        BeforeClaim,
        /// Claim or take-over | send.
        AfterClaim,
        /// Take-over | send.
        AfterTakeOver,
        /// Send | finish.
        AfterSend,
        /// Finish | what follows it: the next of its batch, an answer.
        AfterFinish,
        /// The whole batch | commit.
        BeforeCommit,
        /// Commit | next batch.
        AfterCommit,
        /// Seen to be due | re-arm.
        BeforeRearm,
        /// Re-arm | republish, or redrive's own work.
        AfterRearm,
        /// Republish | next due one.
        AfterRepublish,
    }

    impl Window {
        pub const ALL: [Self; 15] = [
            Self::BeforeRead,
            Self::BeforePut,
            Self::AfterPut,
            Self::AfterProduce,
            Self::AfterAck,
            Self::BeforeClaim,
            Self::AfterClaim,
            Self::AfterTakeOver,
            Self::AfterSend,
            Self::AfterFinish,
            Self::BeforeCommit,
            Self::AfterCommit,
            Self::BeforeRearm,
            Self::AfterRearm,
            Self::AfterRepublish,
        ];

        #[must_use]
        pub const fn as_str(self) -> &'static str {
            match self {
                Self::BeforeRead => "before-read",
                Self::BeforePut => "before-put",
                Self::AfterPut => "after-put",
                Self::AfterProduce => "after-produce",
                Self::AfterAck => "after-ack",
                Self::BeforeClaim => "before-claim",
                Self::AfterClaim => "after-claim",
                Self::AfterTakeOver => "after-take-over",
                Self::AfterSend => "after-send",
                Self::AfterFinish => "after-finish",
                Self::BeforeCommit => "before-commit",
                Self::AfterCommit => "after-commit",
                Self::BeforeRearm => "before-rearm",
                Self::AfterRearm => "after-rearm",
                Self::AfterRepublish => "after-republish",
            }
        }

        /// In the working folder while a process is held there. Who removes it lets the process go.
        #[must_use]
        pub fn held_file(self) -> PathBuf {
            PathBuf::from(format!("held-{}", self.as_str()))
        }
    }

    struct Armed {
        window: Window,
        /// Counts down to the passage that is meant.
        left: AtomicU32,
        then: Then,
    }

    #[derive(Clone, Copy, Debug)]
    enum Then {
        Abort,
        Hold,
        Panic,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        [("CRASH_AT", Then::Abort), ("HOLD_AT", Then::Hold), ("PANIC_AT", Then::Panic)]
            .into_iter()
            .find_map(|(variable, then)| armed(variable, then))
    });

    /// What can't be read arms nothing, and the test that waits for the crash says so.
    fn armed(variable: &str, then: Then) -> Option<Armed> {
        let value = SystemEnvironment.get(variable).ok()??;
        let (name, passage) = value.split_once(':').unwrap_or((&value, "1"));
        let window = Window::ALL.into_iter().find(|window| window.as_str() == name)?;
        Some(Armed { window, left: AtomicU32::new(passage.parse().ok()?), then })
    }

    pub fn reached(window: Window) {
        let Some(armed) = ARMED.as_ref().filter(|armed| armed.window == window) else { return };
        let passage = armed.left.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if passage != Ok(1) {
            return;
        }
        tracing::warn!(window = window.as_str(), then = ?armed.then, "the crash point that a test has armed");
        match armed.then {
            Then::Abort => std::process::abort(),
            Then::Hold => hold(&window.held_file()),
            Then::Panic => panic_here(),
        }
    }

    #[expect(clippy::panic, reason = "it is what a test asked for")]
    fn panic_here() {
        // Of no other panic's words can a test say that they are in no log and no answer.
        panic!("canary of a panic");
    }

    /// The thread itself is held: nothing of this task goes on, and no clock is asked.
    fn hold(file: &std::path::Path) {
        if let Err(error) = std::fs::write(file, "") {
            tracing::error!(%error, "can't be held here");
        }
        while file.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The call, with its window after its first step, with which it may have ended already.
    pub async fn under_way<T>(call: impl Future<Output = T>, window: Window) -> T {
        let mut call = pin!(call);
        let first = futures::poll!(&mut call);
        reached(window);
        match first {
            Poll::Ready(output) => output,
            Poll::Pending => call.await,
        }
    }
}
