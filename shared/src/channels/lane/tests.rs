use tokio::time::{advance, timeout};

use super::*;
use crate::domain::ErrorCode;
use crate::random::SystemRandom;

const PAUSE: Duration = Duration::from_secs(10);

fn lane(room: u32, failures: u32) -> Arc<Lane> {
    let pause = RetryPolicy { base: PAUSE, cap: Duration::from_secs(60), max_attempts: u32::MAX };
    let limits = Limits { email: room, endurance: Endurance { failures, pause }, ..Limits::default() };
    Arc::new(Lane::new(Channel::Email, None, &limits))
}

async fn at_once(lane: &Arc<Lane>) -> Turn {
    lane.enter(Instant::now()).await
}

async fn permit(lane: &Arc<Lane>) -> Permit {
    match at_once(lane).await {
        Turn::Go(permit) => permit,
        other @ (Turn::Full | Turn::LeftAlone) => panic!("{other:?}"),
    }
}

fn accepted() -> Sent {
    Sent::Accepted { provider_message_id: None }
}

fn refused() -> Sent {
    Sent::Refused { code: ErrorCode::ProviderRefused, detail: None }
}

fn not_sent() -> Sent {
    Sent::NotSent { code: ErrorCode::ProviderUnavailable, detail: None, retry_after: None }
}

fn unknown() -> Sent {
    Sent::Unknown { code: ErrorCode::Timeout, detail: None }
}

async fn left_alone(lane: &Arc<Lane>) {
    while !matches!(lane.condition(), Condition::LeftAlone { .. }) {
        permit(lane).await.answered(&unknown(), &SystemRandom);
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_room_for_so_many_and_the_next_waits_for_one_of_them() {
    let lane = lane(2, 10);
    let (first, _second) = (permit(&lane).await, permit(&lane).await);
    assert_eq!(lane.condition(), Condition::Full);
    assert!(matches!(at_once(&lane).await, Turn::Full));
    let begun = Instant::now();
    assert!(matches!(lane.enter(begun + PAUSE).await, Turn::Full));
    assert_eq!(begun.elapsed(), PAUSE);
    let waiting = tokio::spawn({
        let lane = Arc::clone(&lane);
        async move { lane.enter(Instant::now() + PAUSE).await }
    });
    advance(PAUSE / 2).await;
    drop(first);
    assert!(matches!(waiting.await.unwrap(), Turn::Go(_)));
}

#[tokio::test(start_paused = true)]
async fn only_what_speaks_against_the_provider_counts_against_it() {
    for (answer, ends) in [(accepted(), true), (refused(), true), (not_sent(), false), (unknown(), false)] {
        let lane = lane(1, 2);
        permit(&lane).await.answered(&not_sent(), &SystemRandom);
        permit(&lane).await.answered(&answer, &SystemRandom);
        let left_alone = matches!(lane.condition(), Condition::LeftAlone { .. });
        assert_eq!(left_alone, !ends, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_that_did_not_ask_the_provider_leaves_its_place_to_the_next() {
    let lane = lane(4, 1);
    left_alone(&lane).await;
    assert!(matches!(at_once(&lane).await, Turn::LeftAlone));
    advance(PAUSE).await;
    let first = permit(&lane).await;
    assert!(matches!(at_once(&lane).await, Turn::LeftAlone), "one at a time");
    drop(first);
    let second = permit(&lane).await;
    second.answered(&refused(), &SystemRandom);
    drop(second);
    assert_eq!(lane.condition(), Condition::Clear);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_is_told_as_soon_as_the_provider_is_left_alone() {
    let lane = lane(1, 1);
    let first = permit(&lane).await;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let lane = Arc::clone(&lane);
            tokio::spawn(async move { lane.enter(Instant::now() + 100 * PAUSE).await })
        })
        .collect();
    tokio::task::yield_now().await;
    first.answered(&unknown(), &SystemRandom);
    drop(first);
    for waiting in waiting {
        assert!(matches!(timeout(PAUSE / 2, waiting).await.unwrap().unwrap(), Turn::LeftAlone));
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_to_come_again_is_told_a_turn_of_his_own() {
    let lane = lane(2, 1);
    let first = permit(&lane).await;
    advance(Duration::from_secs(4)).await;
    first.answered(&accepted(), &SystemRandom);
    let (now, most) = (Instant::now(), Duration::from_secs(7));
    let turns: Vec<Duration> = (0..5).map(|_| lane.later(most) - now).collect();
    // Two at a time, of 4 s each.
    assert_eq!(turns.iter().map(Duration::as_secs).collect::<Vec<_>>(), [2, 4, 6, 7, 7]);
    drop(first);
    permit(&lane).await.answered(&unknown(), &SystemRandom);
    let Condition::LeftAlone { yet } = lane.condition() else { panic!("{lane:?}") };
    assert!(lane.later(most) >= now + yet, "not while it is left alone");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_fell_behind_is_so_for_the_time_said() {
    let lane = lane(1, 1);
    assert!(lane.is_open());
    lane.fall_behind(Instant::now() + PAUSE);
    assert!(lane.is_behind() && !lane.is_open());
    assert_eq!(lane.condition(), Condition::Full);
    advance(PAUSE).await;
    assert!(!lane.is_behind() && lane.is_open());

    lane.user_falls_behind("ada".to_owned(), Instant::now() + PAUSE);
    assert!(lane.is_behind_for("ada") && !lane.is_behind_for("bob") && lane.is_open());
    advance(PAUSE).await;
    assert!(!lane.is_behind_for("ada"));
}

#[tokio::test(start_paused = true)]
async fn it_is_slow_for_whom_it_was_slow_since_it_was_quick_and_not_for_ever() {
    let lane = lane(2, 10);
    assert_eq!(lane.slow_within(PAUSE), Slow::ForNobody);
    lane.was_slow(true, "ada");
    lane.was_slow(true, "ada");
    assert_eq!(lane.slow_within(PAUSE), Slow::ForOne("ada".to_owned()));
    lane.was_slow(true, "bob");
    assert_eq!(lane.slow_within(PAUSE), Slow::ForSeveral);
    lane.user_falls_behind("ada".to_owned(), Instant::now() + PAUSE);
    assert_eq!(lane.slow_within(PAUSE), Slow::ForOne("bob".to_owned()));
    advance(PAUSE).await;
    assert_eq!(lane.slow_within(PAUSE), Slow::ForOne("bob".to_owned()));
    advance(Duration::from_millis(1)).await;
    assert_eq!(lane.slow_within(PAUSE), Slow::ForNobody, "that was long ago");
    lane.was_slow(true, "bob");
    lane.was_slow(false, "cy");
    assert_eq!(lane.slow_within(PAUSE), Slow::ForNobody);
    lane.was_slow(true, "bob");
    lane.fall_behind(Instant::now() + PAUSE);
    assert_eq!(lane.slow_within(PAUSE), Slow::ForNobody, "something was done about it");
    for n in 0..10 * KNOWN_SLOW {
        lane.was_slow(true, &n.to_string());
    }
    assert_eq!(lane.lock().slow_for.len(), KNOWN_SLOW);
}
