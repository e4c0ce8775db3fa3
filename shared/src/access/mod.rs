//! Who asks. `http::access` finds out once for each request and leaves a [`Caller`] with it; whatever a
//! handler then reads or writes is of that caller's tenant, and nothing in a request can name another one.
//!
//! The API keys by which the server knows its callers are here too, as text and numbers only: the settings
//! read them at start, the server again whenever their file changes.

pub mod key;
pub mod keyring;

use crate::domain::Tenant;

/// Whom a request comes from. The default is anybody, where nobody has to prove who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    pub tenant: Tenant,
    /// The name of the key, the subject of the token, the ARN of the identity: what is stored as `createdBy`.
    pub name: Option<String>,
}
