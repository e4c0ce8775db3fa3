//! A permission that AWS says is missing, by the name that a role's policy has for it. The store's adapter and
//! the reader of secrets ask; each names one action once, however often it is refused.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What AWS writes before it: `User: arn:… is not authorized to perform: dynamodb:PutItem on resource: arn:…`.
const BEFORE: &str = "is not authorized to perform: ";
/// No action's name is longer; what is, is no name.
const LONGEST: usize = 100;

/// The action (`dynamodb:PutItem`, `kms:Decrypt`) that the message of an `AccessDeniedException` names. Nothing else
/// of the message is kept: it holds the names of roles and resources.
#[must_use]
pub fn missing(message: &str) -> Option<&str> {
    let (_, named) = message.split_once(BEFORE)?;
    let end = named.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == ':')).unwrap_or(named.len());
    let (action, _) = named.split_at_checked(end)?;
    let (service, call) = action.split_once(':')?;
    let is_name = !service.is_empty() && !call.is_empty() && !call.contains(':') && action.len() <= LONGEST;
    is_name.then_some(action)
}

/// Those that were found missing so far. Its clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Missing(Arc<Mutex<BTreeSet<String>>>);

impl Missing {
    /// Logs it the first time.
    pub fn note(&self, action: &str) {
        let new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(action.to_owned());
        if new {
            tracing::error!(action, "a permission is missing: the policy of our role has to allow this action");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_is_read_out_of_awss_own_words() {
        let of_dynamodb = "User: arn:aws:sts::123456789012:assumed-role/r/f is not authorized to perform: dynamodb:PutItem on \
                           resource: arn:aws:dynamodb:eu-central-1:123456789012:table/notifications because no \
                           identity-based policy allows the dynamodb:PutItem action";
        assert_eq!(missing(of_dynamodb), Some("dynamodb:PutItem"));
        assert_eq!(missing("x is not authorized to perform: kms:Decrypt"), Some("kms:Decrypt"));
        assert_eq!(missing("x is not authorized to perform: kafka-cluster:Connect."), Some("kafka-cluster:Connect"));
    }

    #[test]
    fn what_is_no_name_of_an_action_is_not_repeated() {
        let long = format!("is not authorized to perform: a:{}", "b".repeat(100));
        for words in [
            "",
            "Access to KMS is not allowed",
            "is not authorized to perform: everything",
            "is not authorized to perform: ",
            &long,
        ] {
            assert_eq!(missing(words), None, "{words}");
        }
    }
}
