//! Five times what the machine can take.

use std::sync::Arc;
use std::time::Duration;

use tests::load::{Load, percentile};
use tests::server_process::ServerProcess;

use super::MACHINE;

const AT_ONCE: Duration = Duration::from_secs(1);
/// After an overload, until it is as quick as before.
const RECOVERY: usize = 5;

/// In seconds; `OVERLOAD_SECONDS` says another.
fn time() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "the test's own switch")]
    let said = std::env::var("OVERLOAD_SECONDS").ok();
    Duration::from_secs(said.map_or(4, |seconds| seconds.parse().expect("a number of seconds")))
}

/// So many places that a request waits an eighth of a second behind the others, and about twice as long while
/// the refusals take their share of the machine: the default where it does two thousand requests a second, and
/// fewer on a slower one or in a build for debugging.
async fn places() -> usize {
    let server = ServerProcess::start_with(&[]).await;
    let load = Load::on(server.address());
    load.closed_loop(32, Duration::from_secs(1)).await;
    load.closed_loop(32, Duration::from_secs(1)).await.good.len().div_ceil(8).clamp(4, 256)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_five_times_what_it_can_take_answers_are_good_or_503_at_once() {
    let _alone = MACHINE.write().await;
    let places = places().await;
    let server = ServerProcess::start_with(&[("MAX_REQUESTS_IN_FLIGHT", &places.to_string())]).await;
    let load: Arc<Load> = Load::on(server.address());
    let clients = places.min(32);
    // The first ones pay for connections and caches.
    load.closed_loop(clients, Duration::from_secs(1)).await;
    let before = load.closed_loop(clients, Duration::from_secs(2)).await;
    let (rate, memory) = (before.per_second(), server.peak_megabytes());
    println!("{places} places; before: {}; at most {memory} MB", before.told());
    assert!(before.wrong.is_empty() && before.refused.is_empty(), "{}", before.told());

    let during = load.open_loop(5.0 * rate, time()).await;
    let grown = server.peak_megabytes() - memory;
    println!("at 5 × {rate:.0}/s: {}; {grown} MB more", during.told());

    let mut best: f64 = 0.0;
    for second in 1..=RECOVERY {
        let after = load.closed_loop(clients, Duration::from_secs(1)).await;
        println!("second {second} after: {}", after.told());
        best = best.max(after.per_second());
    }
    assert!(during.wrong.is_empty(), "{}", during.told());
    assert!(!during.refused.is_empty(), "this was no overload: {}", during.told());
    assert!(percentile(&during.good, 99) < AT_ONCE && percentile(&during.refused, 99) < AT_ONCE, "{}", during.told());
    assert!(best >= 0.8 * rate, "within {RECOVERY} s it is not as quick as before: {best:.0} of {rate:.0}/s");
    assert!(grown < 150, "it holds {grown} MB more");
}
