//! Each connection is an open file, and a system gives a process only so many: often 1,024, until it asks
//! for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many of `wanted` connections the process can have, after it has asked for all files that it may
/// have. Half of them are kept for what a request needs in turn: the store, the broker, the provider.
pub(super) fn room_for(wanted: usize) -> usize {
    let given = getrlimit(Resource::Nofile);
    let asked = Rlimit { current: given.maximum, maximum: given.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, asked) {
        tracing::debug!(%error, "the process keeps the limit of open files that it was started with");
    }
    let Some(limit) = getrlimit(Resource::Nofile).current else { return wanted };
    let room = usize::try_from(limit / 2).unwrap_or(usize::MAX);
    if room < wanted {
        tracing::warn!(limit, wanted, room, "too few open files are allowed for so many connections: there will be fewer");
    }
    room.clamp(1, wanted)
}
