//! The data folder and the port: what is wrong with them is said at start, in words, and loses nothing.

use std::process::Output;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::server_process::{ServerProcess, run_on};

fn said(output: &Output) -> String {
    assert!(!output.status.success(), "it started");
    assert!(output.stdout.is_empty(), "it never said that it serves");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = TempDir::new().unwrap();
    let said = said(&run_on(&data, &[], &[("LISTEN_ADDR", &address)]).await);
    assert!(said.contains(&format!("can't listen on {address}")), "{said}");
    assert!(!data.path().join("data").exists(), "nothing was opened");
}

#[tokio::test]
async fn a_data_folder_that_can_not_be_written_is_named() {
    let data = TempDir::new().unwrap();
    // A file in its place: root, as whom tests may run, may write any folder.
    std::fs::write(data.path().join("data"), "mine").unwrap();
    let said = said(&run_on(&data, &[], &[]).await);
    assert!(said.contains("can't write into the data folder"), "{said}");
    assert!(said.contains(data.path().join("data").to_str().unwrap()), "{said}");
    assert_eq!(std::fs::read(data.path().join("data")).unwrap(), b"mine");
}

#[tokio::test]
async fn a_data_folder_in_use_by_another_server_is_left_to_it() {
    let first = ServerProcess::start_with(&[]).await;
    let data = first.data();
    for arguments in [[].as_slice(), &["create-table"]] {
        let said = said(&run_on(&data, arguments, &[]).await);
        assert!(said.contains("is in use by another server"), "{said}");
    }
    let id = first.create(&json!({"userId": "ada", "channel": "push", "template": "t"})).await;
    first.wait_for(&id, "Sent").await;
}

#[tokio::test]
async fn a_data_file_that_is_no_database_is_named_and_left_as_it_is() {
    let data = TempDir::new().unwrap();
    let file = data.path().join("data").join("store.db");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "Dear diary, today I was mistaken for a database.").unwrap();
    let said = said(&run_on(&data, &[], &[]).await);
    assert!(said.contains(&format!("{} is not a database", file.display())), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), b"Dear diary, today I was mistaken for a database.");
}

#[tokio::test]
async fn a_damaged_database_is_an_error_and_not_an_empty_one() {
    let data = TempDir::new().unwrap();
    let file = data.path().join("data").join("store.db");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    let damaged = [b"SQLite format 3\0".as_slice(), &[0xff; 8192]].concat();
    std::fs::write(&file, &damaged).unwrap();
    let said = said(&run_on(&data, &[], &[]).await);
    assert!(said.contains("the database can't be opened"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), damaged);
}

#[tokio::test]
async fn on_a_full_disk_new_ones_are_refused_and_earlier_ones_can_be_read() {
    let settings = [("KAFKA_BOOTSTRAP_SERVERS", "none")];
    let server = ServerProcess::start_on_small_disk(1024, &settings).await;
    let text = "x".repeat(60_000);
    let mut kept = Vec::new();
    let refused = loop {
        let body = json!({"userId": "ada", "channel": "push", "template": "t", "data": {"text": text}});
        let answer = server.post("/api/notifications", &body).await;
        if answer.status().is_success() {
            let n: Value = answer.json().await.unwrap();
            kept.push(n["id"].as_str().unwrap().to_owned());
            assert!(kept.len() < 100, "the disk never was full");
        } else {
            break answer;
        }
    };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    let problem = refused.text().await.unwrap();
    for internal in ["sqlite", "SQLite", "disk", "store.db", "I/O", "Database"] {
        assert!(!problem.contains(internal), "{internal} in {problem}");
    }
    assert!(!kept.is_empty());
    for id in kept {
        let n = server.notification(&id).await;
        assert_eq!(n["data"]["text"], text.as_str(), "{}", n["status"]);
    }
    assert_eq!(server.get("/health").await.status(), 200);
}
