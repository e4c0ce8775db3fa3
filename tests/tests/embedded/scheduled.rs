//! Many that are scheduled for the same instant: how long until all are sent, as a rate.
//!
//! `SCHEDULED=100000` schedules that many; 2,000 without it.

use std::time::Duration;

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use shared::domain::Timestamp;
use simulation::setting;
use tests::instant::from_now;
use tests::server_process::ServerProcess;
use tokio::time::{Instant, sleep};

const CLIENTS: usize = 8;
/// So many are created first, for how long one takes on this machine just now.
const TRIED: u32 = 100;
const AHEAD: Duration = Duration::from_secs(2);
/// For each, on a machine that is busy with other things; none is waited for this long unless it is wrong.
const PATIENCE_PER_ONE: Duration = Duration::from_millis(50);

/// The most memory that it held, in MB.
fn peak_megabytes(server: &ServerProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Once it is sent, and seldom before: what is read while they are sent takes its part of the machine.
async fn sent(server: &ServerProcess, id: &str, until: Instant) -> Value {
    loop {
        let n = server.notification(id).await;
        if n["status"] == "Sent" {
            return n;
        }
        assert!(Instant::now() < until, "not sent in time: {n}");
        sleep(Duration::from_millis(500)).await;
    }
}

/// Their ids.
async fn create(server: &ServerProcess, many: u32, at: &str) -> Vec<String> {
    let create = |n| async move {
        let user = format!("user-{}", n % 1_000);
        server.create(&json!({"userId": user, "channel": "push", "template": "t", "scheduledAt": at})).await
    };
    stream::iter(0..many).map(create).buffer_unordered(CLIENTS).collect().await
}

fn instant(n: &Value, name: &str) -> Timestamp {
    Timestamp::parse(n[name].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn all_that_is_scheduled_for_one_instant_is_sent_once_each_and_not_before() {
    let many = u32::try_from(setting::number("SCHEDULED").unwrap_or(2_000)).unwrap();
    // Patient, for a machine that builds beside.
    let settings = [("RUST_LOG", "warn"), ("STORE_TIMEOUT", "15s"), ("SEND_TIMEOUT", "20s")];
    let server = ServerProcess::start_with(&settings).await;
    let begun = Instant::now();
    create(&server, TRIED, &from_now(Duration::from_hours(24))).await;
    // Far enough ahead for all of them to be created before.
    let creating = begun.elapsed() / TRIED * 3 * many;
    let (at, until) = (from_now(AHEAD + creating), Instant::now() + AHEAD + creating + PATIENCE_PER_ONE * many);
    let ids = create(&server, many, &at).await;

    let at = Timestamp::parse(&at).unwrap();
    let newest = server.notification(ids.last().unwrap()).await;
    assert!(instant(&newest, "createdAt") < at, "the machine is too slow for this rate of creates: {newest}");
    let mut last = at;
    // A few are looked at until they are sent, and then the next ones: most are by then.
    let mut all = stream::iter(&ids).map(|id| sent(&server, id, until)).buffer_unordered(CLIENTS);
    while let Some(n) = all.next().await {
        assert_eq!(n["attempts"].as_array().unwrap().len(), 1, "{n}");
        assert!(instant(&n, "sentAt") >= at, "before its time: {n}");
        last = last.max(instant(&n, "sentAt"));
    }
    let took = at.until(last).as_secs_f64();
    println!(
        "{many} scheduled for one instant: the last was sent {took:.1} s after it, {:.0} a second; peak memory {} MB",
        f64::from(many) / took,
        peak_megabytes(&server)
    );
}
