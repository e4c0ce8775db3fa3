//! When an export ends, and when a collector is left alone. What it sends is tested with real processes, in the crate
//! `tests`.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::clock::SystemClock;
use crate::random::SystemRandom;
use crate::traces::Sampler;

/// Takes whatever comes, each after so long, and counts.
async fn collector(takes: Duration) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                while read(&mut connection).await.is_some() {
                    sleep(takes).await;
                    count.fetch_add(1, Ordering::SeqCst);
                    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                }
            });
        }
    });
    (endpoint, taken)
}

/// One request, to its end.
async fn read(connection: &mut TcpStream) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(bytes.get(..head)?).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
        if bytes.len() >= head + 4 + length {
            return Some(());
        }
    }
}

fn exporter(endpoint: String) -> (Traces, Arc<Export>) {
    let sampler = Sampler { follows_parent: true, share: 1.0 };
    let settings = TraceSettings { endpoint, headers: Vec::new(), service_name: "test".to_owned(), sampler };
    let (traces, Exporter(export)) = open(Some(settings), Pace::EachCall, Arc::new(SystemClock), Arc::new(SystemRandom)).unwrap();
    (traces, export.unwrap())
}

/// Far more than [`FLUSH`], so that a busy machine is not taken for a slow collector.
const TIME: Duration = Duration::from_secs(2);

fn end_one(traces: &Traces) {
    drop(traces.request("POST", "/x", None));
}

#[tokio::test]
async fn spans_that_end_all_the_while_hold_up_no_export() {
    let (endpoint, taken) = collector(Duration::from_millis(20)).await;
    let (traces, export) = exporter(endpoint);
    let load = tokio::spawn({
        let traces = traces.clone();
        async move {
            loop {
                end_one(&traces);
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
    for exports in 1..=3 {
        end_one(&traces);
        export.all(TIME).await;
        assert_eq!(taken.load(Ordering::SeqCst), exports, "one request each, and nobody is left alone");
    }
    load.abort();
}

#[tokio::test]
async fn a_collector_is_not_judged_by_the_time_that_another_export_has_left() {
    let (endpoint, taken) = collector(TIME * 11 / 20).await;
    let (traces, export) = exporter(endpoint);
    end_one(&traces);
    let second = async {
        // Once the first one is at it.
        sleep(TIME / 40).await;
        end_one(&traces);
        export.all(TIME).await;
    };
    tokio::join!(export.all(TIME), second);
    export.all(TIME).await;
    assert_eq!(taken.load(Ordering::SeqCst), 2, "what had no time left went out with the next");
}
