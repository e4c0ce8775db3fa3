//! Real processes that are lost: in every window between two effects, at random moments, and frozen. On
//! embedded parts, or on Apache Kafka and DynamoDB Local where the environment names them.

#[path = "crash/frozen.rs"]
#[cfg(test)]
mod frozen;
#[path = "crash/torture.rs"]
#[cfg(test)]
mod torture;
#[path = "crash/windows.rs"]
#[cfg(test)]
mod windows;

/// Any key: nobody here looks at signatures.
#[cfg(test)]
const SECRET: (&str, &str) = ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

/// A claim that ends with its worker, before anything is sent.
#[cfg(test)]
const OVER_AT_ONCE: [(&str, &str); 2] = [("SEND_TIMEOUT", "1s"), ("LEASE", "1300ms")];
/// A claim in which there is time to send even on a machine that builds beside, and which is soon over.
#[cfg(test)]
const SOON_OVER: [(&str, &str); 2] = [("SEND_TIMEOUT", "1500ms"), ("LEASE", "5s")];
/// A worker that nobody disturbs.
#[cfg(test)]
const AT_EASE: [(&str, &str); 2] = [("SEND_TIMEOUT", "5s"), ("LEASE", "60s")];
