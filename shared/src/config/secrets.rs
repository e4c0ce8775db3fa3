//! Secrets that lie in AWS: what an `_ARN` setting names, fetched once, before the settings are read. A `main` whose
//! command has secrets calls [`fetch`] and reads its settings from what that gives.
//!
//! An ARN may end in `#key`: the secret is then a JSON object, and the value its member of that name, as AWS's own
//! services keep credentials (`{"username": …, "password": …}`).

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;
use std::path::Path;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use futures::future::join_all;
use serde_json::Value;

use super::environment::{Environment, NotUtf8, Output};
use super::table::{self, Command, Sensitivity};
use super::values::Secret;
use crate::permission;

/// For all of them: Lambda gives a function 10 s to start.
const WITHIN: Duration = Duration::from_secs(6);
const TRIES: u32 = 3;

/// An environment whose secrets in AWS were fetched.
#[derive(Debug)]
pub struct Fetched<E> {
    environment: E,
    /// By what the setting says; why it could not be had, in words for the operator.
    secrets: BTreeMap<String, Result<Secret, String>>,
}

/// Fetches whatever the command's `_ARN` settings name. Without any, nobody is asked for anything.
pub async fn fetch<E: Environment>(command: Command, environment: E) -> Fetched<E> {
    let settings = table::ALL.iter().filter(|setting| setting.used_by.contains(&command));
    let twins = settings.filter(|setting| setting.sensitivity == Sensitivity::Secret).filter_map(|setting| setting.arn_twin());
    let named: BTreeSet<String> = twins.filter_map(|twin| environment.get(&twin).ok().flatten()).collect();
    if named.is_empty() {
        return Fetched { environment, secrets: BTreeMap::new() };
    }
    let config = aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(TimeoutConfig::builder().operation_timeout(WITHIN).operation_attempt_timeout(WITHIN / TRIES).build())
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
        .load()
        .await;
    // One that is named with several keys is fetched once.
    let arns: BTreeSet<&str> = named.iter().map(|reference| parts(reference).0).collect();
    let texts: BTreeMap<&str, Result<String, String>> =
        join_all(arns.into_iter().map(async |arn| (arn, text(&config, arn).await))).await.into_iter().collect();
    let found = |reference: &String| {
        let (arn, key) = parts(reference);
        let text = texts.get(arn).cloned().unwrap_or_else(|| Err("it was not fetched".to_owned()));
        (reference.clone(), text.and_then(|text| member(text, key)).map(Secret::new))
    };
    let secrets = named.iter().map(found).collect();
    Fetched { environment, secrets }
}

impl<E: Environment> Environment for Fetched<E> {
    fn get(&self, name: &str) -> Result<Option<String>, NotUtf8> {
        self.environment.get(name)
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        self.environment.read_file(path)
    }

    fn secret(&self, reference: &str) -> Result<String, String> {
        match self.secrets.get(reference) {
            Some(Ok(secret)) => Ok(secret.expose().to_owned()),
            Some(Err(why)) => Err(why.clone()),
            None => self.environment.secret(reference),
        }
    }

    fn stderr(&self) -> Output {
        self.environment.stderr()
    }
}

fn parts(reference: &str) -> (&str, Option<&str>) {
    reference.split_once('#').map_or((reference, None), |(arn, key)| (arn, Some(key)))
}

fn member(text: String, key: Option<&str>) -> Result<String, String> {
    let Some(key) = key else { return Ok(text) };
    // The parser's own error is not kept: it quotes what it read.
    let found = serde_json::from_str::<Value>(&text).ok().and_then(|value| Some(value.get(key)?.as_str()?.to_owned()));
    found.ok_or_else(|| format!("it is no JSON object with a text under {key:?}"))
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>: `arn:partition:service:region:account:resource`.
async fn text(config: &SdkConfig, arn: &str) -> Result<String, String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "secretsmanager", region, _, resource] if resource.starts_with("secret:") => {
            of_secret(config, region, arn).await
        }
        ["arn", _, "ssm", region, _, resource] if resource.starts_with("parameter/") => of_parameter(config, region, arn).await,
        _ => Err("it is no ARN of a secret or of a parameter".to_owned()),
    }
}

async fn of_secret(config: &SdkConfig, region: &str, arn: &str) -> Result<String, String> {
    let config = aws_sdk_secretsmanager::config::Builder::from(config).region(Region::new(region.to_owned())).build();
    let asked = aws_sdk_secretsmanager::Client::from_conf(config).get_secret_value().secret_id(arn).send().await;
    let secret = asked.map_err(|failed| why(&failed, "secretsmanager:GetSecretValue"))?;
    secret.secret_string.ok_or_else(|| "it holds bytes, and no text".to_owned())
}

async fn of_parameter(config: &SdkConfig, region: &str, arn: &str) -> Result<String, String> {
    let config = aws_sdk_ssm::config::Builder::from(config).region(Region::new(region.to_owned())).build();
    let asked = aws_sdk_ssm::Client::from_conf(config).get_parameter().name(arn).with_decryption(true).send().await;
    let parameter = asked.map_err(|failed| why(&failed, "ssm:GetParameter"))?;
    parameter.parameter.and_then(|parameter| parameter.value).ok_or_else(|| "it holds nothing".to_owned())
}

/// In words for the operator, of which none is AWS's own: its messages name roles and keys.
fn why<E: ProvideErrorMetadata>(failed: &SdkError<E, HttpResponse>, action: &str) -> String {
    let answer = match failed {
        SdkError::ServiceError(answer) => answer.err(),
        SdkError::TimeoutError(_) => return "AWS did not answer in time".to_owned(),
        SdkError::DispatchFailure(sent) if sent.as_connector_error().is_some_and(|error| is_of_credentials(error)) => {
            return "no AWS credentials could be had".to_owned();
        }
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) | _ => {
            return "AWS could not be reached".to_owned();
        }
    };
    let (code, message) = (answer.code().unwrap_or("no code"), answer.message().unwrap_or_default());
    match code {
        // Of the key by which it is encrypted, Secrets Manager names no action.
        "AccessDeniedException" if message.contains("Access to KMS is not allowed") => lacking("kms:Decrypt"),
        "AccessDeniedException" => lacking(permission::missing(message).unwrap_or(action)),
        "ResourceNotFoundException" | "ParameterNotFound" => "AWS has none of this name".to_owned(),
        _ => format!("AWS answered {code}"),
    }
}

fn is_of_credentials(error: &(dyn Error + 'static)) -> bool {
    error.is::<CredentialsError>() || error.source().is_some_and(is_of_credentials)
}

fn lacking(action: &str) -> String {
    format!("our role lacks the permission {action}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::fixed::Fixed;

    #[test]
    fn a_member_is_taken_out_of_a_json_object_and_nothing_of_it_is_told() {
        let credentials = r#"{"username": "u", "password": "canary", "port": 9096}"#;
        assert_eq!(member("canary".to_owned(), None).as_deref(), Ok("canary"));
        assert_eq!(member(credentials.to_owned(), Some("password")).as_deref(), Ok("canary"));
        for (text, key) in
            [(credentials, "Password"), (credentials, "port"), (r#"["canary"]"#, "0"), ("canary", "password"), ("{", "")]
        {
            assert_eq!(member(text.to_owned(), Some(key)), Err(format!("it is no JSON object with a text under {key:?}")));
        }
    }

    #[tokio::test]
    async fn nobody_is_asked_for_anything_where_nothing_is_named() {
        let environment = fetch(Command::Create, Fixed::new([("EMAIL_PROVIDER", "dev:")])).await;
        assert!(environment.secrets.is_empty());
        assert_eq!(environment.get("EMAIL_PROVIDER"), Ok(Some("dev:".to_owned())));
    }

    #[tokio::test]
    async fn what_is_no_arn_of_a_secret_is_sent_to_nobody() {
        let no_arns = [
            "canary",
            "arn:aws:s3:::bucket",
            "arn:aws:secretsmanager:eu-central-1:123456789012:parameter/x",
            "arn:aws:ssm:eu-central-1:123456789012:secret:x",
            "arn:aws:ssm:eu-central-1",
        ];
        for no_arn in no_arns {
            let config = SdkConfig::builder().build();
            assert_eq!(text(&config, no_arn).await, Err("it is no ARN of a secret or of a parameter".to_owned()), "{no_arn}");
        }
    }
}
