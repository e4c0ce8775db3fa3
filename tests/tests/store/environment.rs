//! Where AWS's own variables lead. They belong to a process, so each test asks one of its own.

use std::process::Command;
use std::time::Duration;

use shared::store::Store;
use shared::store::dynamodb::DynamoDb;
use tests::test_store::TestStore;

#[tokio::test]
#[ignore = "the other half of the tests below, each of which runs it in a process with its own environment"]
async fn asked_in_an_environment_of_its_own() {
    let answer = match DynamoDb::from_environment("nowhere", Duration::from_secs(2)).await {
        Ok(db) => db.check().await,
        Err(failed) => Err(failed),
    };
    println!("answer: {answer:?}");
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "canary"), ("AWS_SECRET_ACCESS_KEY", "canary")];
const REGION: (&str, &str) = ("AWS_REGION", "eu-central-1");

/// What the store's check says there.
async fn answer_in(environment: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "environment::asked_in_an_environment_of_its_own", "--ignored", "--nocapture"]);
    child.env_clear().env("AWS_EC2_METADATA_DISABLED", "true").envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("canary"), "{text}");
    text.lines().find_map(|line| line.split_once("answer: ")).unwrap_or_else(|| panic!("{text}")).1.to_owned()
}

#[tokio::test]
async fn no_region_is_said_before_anything_is_sent() {
    assert_eq!(answer_in(&KEYS).await, r#"Err(Refused { what: "no AWS region is set (AWS_REGION)" })"#);
}

#[tokio::test]
async fn no_credentials_are_a_refusal() {
    assert_eq!(answer_in(&[REGION]).await, r#"Err(Refused { what: "no AWS credentials were found" })"#);
}

#[tokio::test]
async fn the_sdks_own_endpoint_variable_names_the_store() {
    let store = TestStore::start().await;
    let environment = [REGION, KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL_DYNAMODB", store.endpoint())];
    assert_eq!(answer_in(&environment).await, r#"Err(TableMissing { table: "nowhere" })"#);
    let gone = [REGION, KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")];
    assert_eq!(answer_in(&gone).await, r#"Err(Unavailable { what: "no connection, or it broke" })"#);
}
