//! Secrets that lie in AWS: read while a function starts, or the reason told why they can't be.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tests::function_process::run;
use tests::receiver::Receiver;
use tests::secret_store::{Kept, SecretStore};

use super::world::{World, order};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr";
const IN_JSON: &str = r#"{"username": "canary-user", "password": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"}"#;
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:webhook-AbCdEf";
const CREDENTIALS: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:both-AbCdEf";
const PARAMETER: &str = "arn:aws:ssm:eu-central-1:123456789012:parameter/notifications/mail";

#[tokio::test]
async fn what_lies_in_aws_is_used_as_if_it_stood_in_the_setting() {
    let (world, receiver) = (World::new().await, Receiver::start().await.unwrap());
    let binding: &'static str = receiver.binding().leak();
    let kept = [(SECRET, Kept::Text(KEY)), (CREDENTIALS, Kept::Text(IN_JSON)), (PARAMETER, Kept::Text(binding))];
    let secrets = SecretStore::start(&kept).await;
    for arn in [SECRET.to_owned(), format!("{CREDENTIALS}#password")] {
        let before = receiver.requests().len();
        let mut settings = secrets.settings().to_vec();
        settings.extend([("KAFKA_BOOTSTRAP_SERVERS", "none"), ("WEBHOOK_SECRET_ARN", &arn), ("EMAIL_PROVIDER_ARN", PARAMETER)]);
        // Given by the variable itself, it would be two.
        let create = world.start_without("EMAIL_PROVIDER", "create", &settings).await;
        let answer = create.http("POST", "/api/notifications", "", Some(&order())).await;
        assert_eq!((answer.status, &answer.body["status"]), (201, &"Sent".into()), "{}\n{}", answer.body, create.logs());

        let sent = &receiver.requests()[before];
        let signed = [sent.header("webhook-id").unwrap(), sent.header("webhook-timestamp").unwrap(), ""].join(".");
        let key = STANDARD.decode(KEY.trim_start_matches("whsec_")).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(signed.as_bytes());
        mac.update(&sent.body);
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(sent.header("webhook-signature"), Some(signature.as_str()));
        assert!(!create.logs().contains("whsec_") && !create.logs().contains("canary"), "{}", create.logs());
    }
    assert_eq!(secrets.asked().len(), 4, "each of the two, in each of the two starts: {:?}", secrets.asked());
}

#[tokio::test]
async fn each_secret_that_cant_be_had_is_told_with_what_is_missing_and_so_is_every_other_fault() {
    const NOT_ALLOWED: &str = "User: canary is not authorized to perform: secretsmanager:GetSecretValue on resource: canary \
                               because no identity-based policy allows the secretsmanager:GetSecretValue action";
    const NO_KEY: &str = "Access to KMS is not allowed";
    const NO_PARAMETER: &str = "User: canary is not authorized to perform: ssm:GetParameter on resource: canary";
    const NO_KEY_OF_PARAMETER: &str = "User: canary is not authorized to perform: kms:Decrypt on the resource associated with \
                                       this ciphertext because no identity-based policy allows the kms:Decrypt action";
    let denied = [
        (
            "arn:aws:secretsmanager:eu-west-1:1:secret:a",
            Kept::Denied(NOT_ALLOWED),
            "the permission secretsmanager:GetSecretValue",
        ),
        ("arn:aws:secretsmanager:eu-west-1:1:secret:b", Kept::Denied(NO_KEY), "the permission kms:Decrypt"),
        (
            "arn:aws:secretsmanager:eu-west-1:1:secret:c",
            Kept::Denied("no such words"),
            "the permission secretsmanager:GetSecretValue",
        ),
        ("arn:aws:secretsmanager:eu-west-1:1:secret:d", Kept::Bytes, "it holds bytes, and no text"),
        ("arn:aws:ssm:eu-west-1:1:parameter/e", Kept::Denied(NO_PARAMETER), "the permission ssm:GetParameter"),
        ("arn:aws:ssm:eu-west-1:1:parameter/f", Kept::Denied(NO_KEY_OF_PARAMETER), "the permission kms:Decrypt"),
    ];
    let mut all: Vec<(&'static str, Kept)> = denied.iter().map(|(arn, kept, _)| (*arn, kept.clone())).collect();
    all.push((CREDENTIALS, Kept::Text(IN_JSON)));
    let secrets = SecretStore::start(&all).await;
    let keys = [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "notasecret")];
    let others: [(&'static str, &'static str); 4] = [
        ("arn:aws:secretsmanager:eu-west-1:1:secret:none", "AWS has none of this name"),
        ("arn:aws:ssm:eu-west-1:1:parameter/none", "AWS has none of this name"),
        ("arn:aws:s3:::bucket", "it is no ARN of a secret or of a parameter"),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:both-AbCdEf#key", "no JSON object with a text under \"key\""),
    ];
    for (arn, why) in denied.iter().map(|(arn, _, why)| (*arn, *why)).chain(others) {
        let mut settings = [keys.as_slice(), &secrets.settings()].concat();
        settings.extend([("WEBHOOK_SECRET_ARN", arn), ("TABLE_NAME", "no spaces please"), ("EMAIL_PROVIDER", "dev:")]);
        for name in ["create", "process", "redrive"] {
            let output = run(name, &settings).await;
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(78), "{name}: {said}");
            let told: Vec<&str> = said.lines().filter_map(|line| line.split(':').next()).collect();
            assert_eq!(told, ["TABLE_NAME", "WEBHOOK_SECRET_ARN"], "{said}");
            assert!(said.contains(why), "{arn}: {said}");
            assert!(!said.contains("canary") && !said.contains("whsec_M"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_told_once_however_it_is_told() {
    let secrets = SecretStore::start(&[(SECRET, Kept::Text(KEY))]).await;
    for (twice, told) in [
        ([("WEBHOOK_SECRET", KEY), ("WEBHOOK_SECRET_ARN", SECRET)], "WEBHOOK_SECRET: is set, and so is WEBHOOK_SECRET_ARN"),
        (
            [("WEBHOOK_SECRET_FILE", "/none"), ("WEBHOOK_SECRET_ARN", SECRET)],
            "WEBHOOK_SECRET_FILE: is set, and so is WEBHOOK_SECRET_ARN",
        ),
    ] {
        let mut settings = secrets.settings().to_vec();
        settings.extend([("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "notasecret")]);
        settings.extend(twice);
        settings.push(("EMAIL_PROVIDER", "dev:"));
        let said = String::from_utf8(run("process", &settings).await.stderr).unwrap();
        assert!(said.starts_with(told) && said.lines().count() == 1, "{said}");
    }
}

#[tokio::test]
async fn a_function_without_secrets_asks_for_none() {
    let (world, secrets) = (World::new().await, SecretStore::start(&[(SECRET, Kept::Text(KEY))]).await);
    let mut settings = secrets.settings().to_vec();
    settings.push(("WEBHOOK_SECRET_ARN", SECRET));
    let _get = world.start("get", &settings).await;
    assert!(secrets.asked().is_empty(), "{:?}", secrets.asked());
}
