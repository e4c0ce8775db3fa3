//! What the tests of outages share: clients that go on asking, and the ledger of what they were answered.

pub mod ledger;
pub mod load;
