//! Before the first event: a function that can work asks for it, one that can't says all of why, and ends.

use tests::function_process::{ALL, FunctionProcess, run};

use super::world::World;

#[tokio::test]
async fn each_function_asks_for_an_event_once_it_is_ready() {
    let world = World::new().await;
    for name in ALL {
        let mut function = world.start(name, &[]).await;
        assert!(function.is_alive() && function.lines_with("ERROR") == 0, "{name}: {}", function.logs());
    }
}

#[tokio::test]
async fn a_store_that_is_away_keeps_no_function_from_starting() {
    let world = World::new().await;
    for name in ALL {
        let away = [("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"), ("STORE_TIMEOUT", "300ms")];
        let function = FunctionProcess::start(name, &world.settings(&away)).await;
        assert_eq!(function.lines_with("started without the store"), 1, "{name}: {}", function.logs());
    }
}

#[tokio::test]
async fn settings_that_cant_work_are_all_told_at_once_and_no_event_is_asked_for() {
    let faults = [
        ("TABLE_NAME", "no spaces please"),
        ("STORE_TIMEOUT", "3"),
        ("KAFKA_BOOTSTRAP_SERVERS", "canary"),
        ("EMAIL_PROVIDER", "pigeon:canary"),
        ("WEBHOOK_SECRET", "canary"),
        ("LEASE", "1s"),
        ("RUST_LOG", "inof"),
    ];
    for name in ALL {
        let output = run(name, &faults).await;
        assert_eq!(output.status.code(), Some(78), "{name}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let told: Vec<&str> = said.lines().map(|line| line.split_once(':').map_or(line, |(setting, _)| setting)).collect();
        let expected: &[&str] = match name {
            "get" => &["TABLE_NAME", "STORE_TIMEOUT", "RUST_LOG"],
            "process" => &["TABLE_NAME", "STORE_TIMEOUT", "WEBHOOK_SECRET", "EMAIL_PROVIDER", "LEASE", "RUST_LOG"],
            _ => &[
                "TABLE_NAME",
                "STORE_TIMEOUT",
                "KAFKA_BOOTSTRAP_SERVERS",
                "WEBHOOK_SECRET",
                "EMAIL_PROVIDER",
                "LEASE",
                "RUST_LOG",
            ],
        };
        assert_eq!(told, expected, "{name}");
        for secret in ["WEBHOOK_SECRET", "EMAIL_PROVIDER"] {
            let line = said.lines().find(|line| line.starts_with(secret));
            assert!(!line.unwrap_or_default().contains("canary"), "{name}: {said}");
        }
    }
}
