//! The contract, held against what is seen: every write and every send as it happens, and the whole
//! history at the end. It shares no rule with the product: what may follow what is written down again.

pub mod history;
pub mod send;
pub mod write;
