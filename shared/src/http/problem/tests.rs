use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::domain::ErrorCode;
use crate::store;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

async fn body(response: Response) -> Value {
    serde_json::from_slice(&axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

#[test]
fn each_problem_has_its_page_and_each_page_its_problem() {
    let pages: BTreeSet<String> = std::fs::read_dir(Path::new(DOCS).join("problems"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    let slugs: BTreeSet<String> = Kind::ALL.iter().map(|kind| format!("{}.md", kind.slug())).collect();
    assert_eq!(pages, slugs);
    let index = std::fs::read_to_string(Path::new(DOCS).join("problems/README.md")).unwrap();
    for kind in Kind::ALL {
        let page = std::fs::read_to_string(Path::new(DOCS).join("problems").join(format!("{}.md", kind.slug()))).unwrap();
        let head = format!("# {}\n\n`{}`, status {}\n", kind.title(), kind.slug(), kind.status().as_u16());
        assert!(page.starts_with(&head), "{}", kind.slug());
        let row = format!("| [{0}]({0}.md) | {1} | {2} |", kind.slug(), kind.status().as_u16(), kind.title());
        assert!(index.contains(&row), "{row}");
    }
}

#[test]
fn each_error_code_has_its_row_and_each_row_its_code() {
    let text = std::fs::read_to_string(Path::new(DOCS).join("error-codes.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(rows, ErrorCode::ALL.map(ErrorCode::as_str));
}

#[tokio::test]
async fn a_problem_has_every_member_of_the_contract() {
    let faults = vec![Fault::at(&["userId"], "is required"), Fault::header("Idempotency-Key", "must be given once")];
    let response = Problem::InvalidRequest { faults }.render("/api/notifications".to_owned(), "r-1".to_owned());
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    assert_eq!(
        body(response).await,
        serde_json::json!({
            "type": "https://notifications.invalid/problems/invalid-request",
            "title": "The request is not valid",
            "status": 400,
            "detail": "2 faults were found; see errors.",
            "instance": "/api/notifications",
            "code": "invalid-request",
            "requestId": "r-1",
            "errors": [
                {"pointer": "#/userId", "detail": "is required"},
                {"header": "Idempotency-Key", "detail": "must be given once"},
            ],
        })
    );
}

#[tokio::test]
async fn a_conflict_names_the_status_that_stands_against_it() {
    let response = Problem::NotCancellable { status: Status::Sent }.render("/x".to_owned(), "r".to_owned());
    assert_eq!(response.status(), StatusCode::CONFLICT);
    let body = body(response).await;
    assert_eq!((&body["code"], &body["notificationStatus"]), (&"not-cancellable".into(), &"Sent".into()));
    assert_eq!(body.get("errors"), None);
}

#[tokio::test]
async fn who_finds_every_place_taken_is_told_to_come_again_in_a_second() {
    let response = Problem::Overloaded.render("/x".to_owned(), "r".to_owned());
    assert_eq!((response.status(), &response.headers()[RETRY_AFTER]), (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap()));
    assert_eq!(body(response).await["code"], "overloaded");
}

#[tokio::test]
async fn a_failure_tells_nothing_internal() {
    let what = || "canary-internal-host".to_owned();
    let cases = [
        (service::Error::Store(store::Error::Unavailable { what: what() }), Problem::StoreUnavailable),
        (service::Error::Store(store::Error::Forbidden), Problem::StoreUnavailable),
        (service::Error::Store(store::Error::Refused { what: what() }), Problem::Internal),
        (service::Error::Store(store::Error::Unreadable { what: what() }), Problem::Internal),
        (service::Error::Foreign, Problem::Internal),
    ];
    for (error, expected) in cases {
        let problem = Problem::of_failure(&error);
        assert_eq!(problem, expected);
        let response = problem.render("/x".to_owned(), "r".to_owned());
        assert_eq!(response.headers().contains_key(RETRY_AFTER), expected == Problem::StoreUnavailable);
        assert!(!body(response).await.to_string().contains("canary"));
    }
}
