//! The edge: HTTP in, domain inside, HTTP out. `create` and `get` build their routers from these parts;
//! whoever runs one or both of them calls [`front::complete`] on the (merged) router once, which gives
//! every answer its request id, every handler its caller, every path and method that nobody owns its answer, and
//! every panic a 500.

pub mod access;
pub mod body;
pub mod cursor;
pub mod explanation;
pub mod fault;
pub mod front;
pub mod gateway;
pub mod list;
pub mod openapi;
pub mod path;
pub mod problem;
pub mod query;
pub mod request;
pub mod response;
pub mod routes;
pub mod work;

pub use fault::Fault;
pub use front::RequestId;
pub use problem::{Kind, Problem};
pub use request::Channels;
