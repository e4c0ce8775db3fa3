//! What the SDK's failures mean. A failure that time may mend is told apart from one that needs a
//! person; the service's own code is kept, and never its message, which may repeat values.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::permission;
use crate::store::Error;

/// The codes that DynamoDB answers with HTTP 400 although the same call may work later:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>.
const TRANSIENT: [&str; 9] = [
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "TransactionConflictException",
];
/// Credentials that are good, of somebody who may not do this.
const FORBIDDEN: &str = "AccessDeniedException";

pub(super) fn error<E: ProvideErrorMetadata>(table: &str, failure: &SdkError<E, HttpResponse>) -> Error {
    match failure {
        SdkError::TimeoutError(_) => unavailable("no answer in time"),
        SdkError::ResponseError(_) => unavailable("the answer could not be read"),
        SdkError::ConstructionFailure(_) => refused("the request could not be built"),
        SdkError::DispatchFailure(dispatch) => {
            let source = dispatch.as_connector_error().map(|error| -> &(dyn std::error::Error + 'static) { error });
            undelivered(source, dispatch.is_timeout(), dispatch.is_user())
        }
        SdkError::ServiceError(answer) => answered(table, answer.err().code(), answer.raw().status().as_u16()),
        // The SDK's enum may grow; what it adds is not known to be a refusal.
        _ => unavailable("the call failed"),
    }
}

/// The action that the role lacks, where that is what failed and AWS says which.
pub(super) fn missing_permission<E: ProvideErrorMetadata>(failure: &SdkError<E, HttpResponse>) -> Option<&str> {
    let answer = failure.as_service_error().filter(|answer| answer.code() == Some(FORBIDDEN))?;
    permission::missing(answer.message()?)
}

fn answered(table: &str, code: Option<&str>, status: u16) -> Error {
    let code = code.unwrap_or("no code");
    if code == "ResourceNotFoundException" {
        Error::TableMissing { table: table.to_owned() }
    } else if code == FORBIDDEN {
        Error::Forbidden
    } else if status >= 500 || status == 429 || TRANSIENT.contains(&code) {
        Error::Unavailable { what: format!("{code} (HTTP {status})") }
    } else {
        Error::Refused { what: format!("{code} (HTTP {status})") }
    }
}

fn undelivered(source: Option<&(dyn std::error::Error + 'static)>, timeout: bool, user: bool) -> Error {
    let chain = std::iter::successors(source, |error| error.source());
    let credentials = chain.filter_map(|error| error.downcast_ref::<CredentialsError>()).last();
    match credentials {
        Some(CredentialsError::CredentialsNotLoaded(_)) => refused("no AWS credentials were found"),
        Some(CredentialsError::InvalidConfiguration(_)) => refused("the AWS credentials are not set up rightly"),
        Some(_) => unavailable("the provider of AWS credentials did not answer"),
        None if user => refused("the request could not be sent as it is"),
        None if timeout => unavailable("no connection in time"),
        None => unavailable("no connection, or it broke"),
    }
}

fn unavailable(what: &str) -> Error {
    Error::Unavailable { what: what.to_owned() }
}

fn refused(what: &str) -> Error {
    Error::Refused { what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waiting_mends_is_told_apart_from_what_needs_a_person() {
        for code in TRANSIENT {
            assert!(answered("t", Some(code), 400).is_transient(), "{code}");
        }
        assert!(answered("t", Some("SomethingNew"), 503).is_transient());
        assert!(answered("t", None, 500).is_transient());
        assert!(matches!(answered("t", Some("AccessDeniedException"), 400), Error::Forbidden));
        for code in ["UnrecognizedClientException", "ValidationException", "ExpiredTokenException"] {
            let refused = answered("t", Some(code), 400);
            assert!(!refused.is_transient(), "{code}");
            assert!(matches!(refused, Error::Refused { what } if what.starts_with(code)));
        }
        assert!(matches!(answered("t", Some("ResourceNotFoundException"), 400), Error::TableMissing { table } if table == "t"));
    }

    #[test]
    fn missing_credentials_are_a_refusal_and_a_silent_provider_of_them_an_outage() {
        let none = CredentialsError::not_loaded("none");
        assert!(matches!(undelivered(Some(&none), false, false), Error::Refused { .. }));
        let slow = CredentialsError::provider_timed_out(std::time::Duration::from_secs(1));
        assert!(undelivered(Some(&slow), false, false).is_transient());
    }

    #[test]
    fn a_call_that_did_not_get_there_says_how_far_it_got() {
        let what = |error| match error {
            Error::Unavailable { what } => format!("away: {what}"),
            Error::Refused { what } => format!("refused: {what}"),
            other @ (Error::Forbidden | Error::TableMissing { .. } | Error::Unreadable { .. }) => panic!("{other}"),
        };
        assert_eq!(what(undelivered(None, false, true)), "refused: the request could not be sent as it is");
        assert_eq!(what(undelivered(None, true, false)), "away: no connection in time");
        assert_eq!(what(undelivered(None, false, false)), "away: no connection, or it broke");

        type Failure = SdkError<aws_sdk_dynamodb::operation::get_item::GetItemError, HttpResponse>;
        let answer = || HttpResponse::new(200.try_into().unwrap(), aws_smithy_types::body::SdkBody::empty());
        let told = |failure: Failure| what(error("t", &failure));
        assert_eq!(told(SdkError::timeout_error("t")), "away: no answer in time");
        assert_eq!(told(SdkError::response_error("t", answer())), "away: the answer could not be read");
        assert_eq!(told(SdkError::construction_failure("t")), "refused: the request could not be built");
    }
}
