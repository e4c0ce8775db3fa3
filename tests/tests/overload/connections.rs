//! Too many connections: idle ones make room for those that ask, and running out of files is survived.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tests::raw::{Raw, create, get};
use tests::server_process::{PATIENCE, ServerProcess};
use tokio::time::{Instant, sleep};

use super::MACHINE;

const BODY: &str = r#"{"userId":"ada","channel":"email","template":"t"}"#;

/// The other ends of the connections are files of this process.
fn as_many_files_as_allowed() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
}

#[tokio::test]
async fn thousands_of_idle_connections_stop_nobody_and_are_cut_off() {
    let _beside_others = MACHINE.read().await;
    as_many_files_as_allowed();
    let server = ServerProcess::start_with(&[("IDLE_TIMEOUT", "4s")]).await;
    let own = server.open_files();
    println!("without any: at most {} MB", server.peak_megabytes());
    let mut idle = Vec::new();
    for n in 0..3000 {
        idle.push(Raw::connect(server.address()).await.unwrap());
        // Half of them were clients once.
        if n % 2 == 0 {
            idle[n].send(&get("/health")).await.unwrap();
        }
        if n % 500 == 499 {
            let asked = Instant::now();
            let mut client = Raw::connect(server.address()).await.unwrap();
            assert_eq!(client.ask(&create(BODY)).await.unwrap().status, 202);
            assert!(asked.elapsed() < Duration::from_secs(5), "behind {n} idle ones it took {:?}", asked.elapsed());
            let open = server.open_files();
            assert!(open <= 1024 + own + 50, "{open} files are open");
        }
    }
    println!("3000 idle connections: at most {} MB", server.peak_megabytes());
    let until = Instant::now() + PATIENCE;
    while !idle.iter_mut().all(Raw::is_closed) {
        assert!(Instant::now() < until, "{} files are open", server.open_files());
        sleep(Duration::from_millis(20)).await;
    }
    let id = server.create(&json!({"userId": "ada", "channel": "push", "template": "t"})).await;
    server.wait_for(&id, "Sent").await;
}

#[tokio::test]
async fn a_busy_connection_makes_no_room_and_an_idle_one_does() {
    let _beside_others = MACHINE.read().await;
    let server = ServerProcess::start_with(&[("MAX_CONNECTIONS", "2")]).await;
    let (mut idle, mut busy) = (Raw::connect(server.address()).await.unwrap(), Raw::connect(server.address()).await.unwrap());
    for client in [&mut idle, &mut busy] {
        assert_eq!(client.ask(&get("/health")).await.unwrap().status, 200);
    }
    let (begin, rest) = BODY.split_at(10);
    let head = create("").replace("content-length: 0", &format!("content-length: {}", BODY.len()));
    busy.send(&format!("{head}{begin}")).await.unwrap();
    let mut third = Raw::connect(server.address()).await.unwrap();
    assert_eq!(third.ask(&get("/health")).await.unwrap().status, 200);
    idle.closed().await;
    assert_eq!(busy.ask(rest).await.unwrap().status, 202, "it was in the middle of its request");
}

#[tokio::test]
async fn out_of_files_it_says_so_and_takes_connections_again_later() {
    let _beside_others = MACHINE.read().await;
    as_many_files_as_allowed();
    let probe = ServerProcess::start_with(&[]).await;
    // Too few for the half that connections may have.
    let files = u32::try_from(probe.open_files() + 30).unwrap();
    drop(probe);
    let server = ServerProcess::start_with_few_files(files, &[]).await;
    let mut flood = Vec::new();
    for _ in 0..files {
        flood.push(Raw::connect(server.address()).await.unwrap());
    }
    server.wait_for_log("no connection can be taken now").await;
    // Idle ones make room in this case too.
    let mut client = Raw::connect(server.address()).await.unwrap();
    assert_eq!(client.ask(&get("/health")).await.unwrap().status, 200);
    drop(flood);
    let id = server.create(&json!({"userId": "ada", "channel": "push", "template": "t"})).await;
    server.wait_for(&id, "Sent").await;
}

/// An answer to a body is another way to silence than an answer to a head alone.
#[tokio::test]
async fn a_client_that_asked_once_and_then_says_nothing_is_cut_off() {
    let _beside_others = MACHINE.read().await;
    let server = ServerProcess::start_with(&[("IDLE_TIMEOUT", "1s")]).await;
    for request in [get("/health"), create(BODY)] {
        let mut client = Raw::connect(server.address()).await.unwrap();
        let since = Instant::now();
        assert!(client.ask(&request).await.unwrap().status < 300);
        client.closed().await;
        let silent = since.elapsed();
        assert!(silent > Duration::from_millis(900) && silent < Duration::from_secs(9), "{silent:?}");
    }
}
