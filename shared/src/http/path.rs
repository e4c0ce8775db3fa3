//! The parameter of a path.

use super::{Fault, Problem, query};
use crate::domain::NotificationId;
use crate::telemetry::trail;

/// `segment` has been percent-decoded; None where that gave no text. These operations take no query.
pub fn notification_id(segment: Option<String>, query: Option<&str>) -> Result<NotificationId, Problem> {
    let id = NotificationId::parse(&segment.unwrap_or_default());
    let mut faults = query::unknown(query);
    match id {
        Ok(id) if faults.is_empty() => {
            trail::is_about(id);
            Ok(id)
        }
        Ok(_) => Err(Problem::InvalidRequest { faults }),
        Err(invalid) => {
            faults.insert(0, Fault::parameter("id", invalid.to_string()));
            Err(Problem::InvalidRequest { faults })
        }
    }
}
