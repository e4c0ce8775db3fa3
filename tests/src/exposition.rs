//! A server's `/metrics`: where it is, and what it shows.

use std::sync::LazyLock;

use simulation::exposition::Exposition;

use crate::server_process::ServerProcess;

/// Made once, as its TLS takes longer than a scrape. No connection is kept: each test has a runtime of its own.
static CLIENT: LazyLock<reqwest::Client> =
    LazyLock::new(|| reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("a client"));

/// Where the server serves its metrics: it says so in its log.
pub async fn url(server: &ServerProcess) -> String {
    server.wait_for_log("metrics are served").await;
    let logs = server.logs();
    let line = logs.lines().find(|line| line.contains("metrics are served")).expect("it was just there");
    let (_, rest) = line.split_once("http://").expect("a URL");
    format!("http://{}", rest.split(['"', ' ']).next().expect("its end"))
}

pub async fn scrape(url: &str) -> Exposition {
    let answer = CLIENT.get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let media_type = answer.headers()["content-type"].to_str().expect("text").to_owned();
    assert_eq!(media_type, "text/plain; version=0.0.4; charset=utf-8");
    Exposition::parse(&answer.text().await.expect("a body"))
}
