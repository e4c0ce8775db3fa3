//! What a notification is and what may happen to it. No SDK, no HTTP, no Kafka, no clock: time and
//! tokens come in as arguments, so that every rule here can be held against the same facts twice.

pub mod attempt;
pub mod change;
pub mod channel;
pub mod due;
pub mod idempotency;
pub mod json;
pub mod notification;
pub mod recipient;
pub mod status;
pub mod step;
pub mod tenant;
pub mod timestamp;
pub mod values;
pub mod why;

pub use attempt::{Attempt, ErrorCode, Outcome};
pub use change::{Change, Next};
pub use channel::Channel;
pub use due::{DueAt, DueShard};
pub use idempotency::{Fingerprint, IdempotencyKey};
pub use json::JsonObject;
pub use notification::{NewNotification, Notification, NotificationId, Token};
pub use recipient::Recipient;
pub use status::{Action, Status};
pub use tenant::Tenant;
pub use timestamp::Timestamp;
pub use values::{Invalid, Metadata, Template, UserId};
pub use why::Explanation;
