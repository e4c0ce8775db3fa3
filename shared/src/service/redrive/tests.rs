//! What redrive counts, says and waits for, to the millisecond. What it does is tested on a real store, in the crate
//! `tests`.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::super::stub::{Always, NOW, StubStore, worker};
use super::*;
use crate::channels::Providers;
use crate::domain::Token;
use crate::domain::notification::Birth;
use crate::sample::{POLICY, new_notification};
use crate::telemetry::captured::told_by;
use crate::traces::Traces;

const HOUR: Duration = Duration::from_hours(1);

/// Nothing that is due is there any more.
fn redrive(due: Vec<Due>, random: Always) -> (Redrive, Arc<StubStore>) {
    let store = Arc::new(StubStore { due, ..StubStore::new(|_, _| Ok(Applied::Missing)) });
    let worker = worker(Arc::clone(&store), Providers::default(), random, Traces::default());
    (Redrive { worker, outbox: Arc::new(Outbox::new(None)) }, store)
}

/// So many, due just now.
fn due(many: u128) -> Vec<Due> {
    let id = |n| NotificationId::from_uuid(Uuid::from_u128(n));
    (1..=many).map(|n| Due { id: id(n), due_at: DueAt::first(NOW) }).collect()
}

fn shard() -> DueShard {
    DueShard::all_from(0).next().unwrap()
}

#[test]
fn a_run_says_what_it_left_and_what_it_did_and_of_nothing_nothing() {
    let nothing = Report::default();
    let warning = [("WARN".to_owned(), "redrive left work undone".to_owned())];
    let news = [("INFO".to_owned(), "redrive".to_owned())];
    assert_eq!(told_by(|| log(Report { put_off: 1, published: 5, ..nothing })), warning);
    assert_eq!(told_by(|| log(Report { left: 1, ..nothing })), warning);
    assert_eq!(told_by(|| log(Report { published: 1, ..nothing })), news);
    assert_eq!(told_by(|| log(Report { processed: 1, ..nothing })), news);
    assert_eq!(told_by(|| log(Report { passed: 3, waiting: 3, ..nothing })), []);
}

#[test]
fn what_shards_report_is_summed_up_each_by_itself() {
    let one = Report { published: 1, processed: 2, passed: 3, put_off: 4, waiting: 5, left: 6 };
    let other = Report { published: 10, processed: 20, passed: 30, put_off: 40, waiting: 50, left: 60 };
    let sum = Report { published: 11, processed: 22, passed: 33, put_off: 44, waiting: 55, left: 66 };
    assert_eq!(one.plus(other), sum);
}

#[test]
fn a_pass_that_brought_one_on_is_worth_another_look() {
    let of = |report| Pass { report, ..Pass::default() }.progressed();
    let nothing = Report::default();
    assert!(of(Report { published: 1, ..nothing }) && of(Report { processed: 1, ..nothing }));
    assert!(!of(Report { passed: 1, put_off: 1, waiting: 1, left: 1, ..nothing }));
}

#[tokio::test]
async fn a_guard_is_one_two_and_then_ten_times_the_due_guard_and_up_to_a_fifth_more() {
    for (random, fifths) in [(0, 0.0), (255, 0.2), (128, 0.1)] {
        let (redrive, _) = redrive(Vec::new(), Always(random));
        for (redriven, seconds) in [(0, 30.0), (1, 30.0), (2, 60.0), (3, 300.0), (4, 300.0), (u32::MAX, 300.0)] {
            let DueAt { at, redriven: kept } = redrive.guarded(redriven);
            let (after, expected) = (NOW.until(at).as_secs_f64(), seconds * (1.0 + fifths));
            assert!((after - expected).abs() < 0.002 * expected, "{redriven}: {after} s and not {expected} s");
            assert_eq!(kept, redriven);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_rests_until_its_next_is_due_or_for_a_breath_or_is_looked_at_beside_others() {
    let (redrive, _) = redrive(Vec::new(), Always(0));
    let idle_until = Instant::now() + Duration::from_secs(10);
    let after = |seconds| Some(NOW.plus(Duration::from_secs(seconds)));
    let left = Report { left: 1, ..Report::default() };
    for (pass, wake, awaited) in [
        (Pass { next: after(9), ..Pass::default() }, Duration::from_secs(9), true),
        (Pass { next: after(10), ..Pass::default() }, LOOK, false),
        (Pass { next: None, ..Pass::default() }, LOOK, false),
        (Pass { next: after(9), report: left, ..Pass::default() }, BREATH, true),
    ] {
        let rest = redrive.rest(shard(), &pass, idle_until);
        assert_eq!((rest.wake - Instant::now(), rest.awaited), (wake, awaited));
    }
    // Sooner than a look, and yet too late to be waited for.
    let pass = Pass { next: after(1), ..Pass::default() };
    let rest = redrive.rest(shard(), &pass, Instant::now() + Duration::from_millis(999));
    assert_eq!((rest.wake - Instant::now(), rest.awaited), (LOOK, false));
}

#[tokio::test(start_paused = true)]
async fn a_pass_reads_page_after_page_to_what_is_not_due_yet() {
    let mut all = due(250);
    let later = NOW.plus(HOUR);
    all.push(Due { id: NotificationId::from_uuid(Uuid::from_u128(251)), due_at: DueAt::first(later) });
    let (redrive, store) = redrive(all, Always(0));
    let pass = redrive.shard(shard(), &Budget::until(Instant::now() + HOUR)).await;
    assert_eq!(pass.report, Report { passed: 250, ..Report::default() });
    assert_eq!((pass.next, pass.overdue), (Some(later), Some(Duration::ZERO)));
    assert_eq!(store.looks.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pass_without_time_for_a_claim_reads_one_page_and_leaves_it() {
    let (redrive, store) = redrive(due(250), Always(0));
    let pass = redrive.shard(shard(), &Budget::until(Instant::now() + Duration::from_secs(9))).await;
    assert_eq!(pass.report, Report { left: 100, ..Report::default() });
    assert_eq!(store.looks.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_was_told_to_stop_or_has_no_time_at_all_reads_nothing() {
    let stopped = Budget::until(Instant::now() + HOUR);
    stopped.stop.cancel();
    for budget in [stopped, Budget::until(Instant::now())] {
        let (redrive, store) = redrive(due(1), Always(0));
        let pass = redrive.shard(shard(), &budget).await;
        assert_eq!((pass.report, store.looks.load(Ordering::Relaxed)), (Report::default(), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_re_armed_and_not_begun_when_a_run_ends_is_due_for_the_next_one() {
    let budget = Budget::until(Instant::now() + HOUR);
    let (stop, asked) = (budget.stop.clone(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&asked);
    let store = StubStore::new(move |id, change| {
        // Told to stop once the re-arm is made.
        stop.cancel();
        let Change::Rearm { seen, due_at } = change else { panic!("nobody asks for {change:?}") };
        asked.lock().unwrap().push((*seen, *due_at));
        let create_token = Token::from_uuid(Uuid::from_u128(9));
        let birth = Birth { id, create_token, now: NOW, attempt_limit: 30, due_guard: Duration::ZERO };
        Ok(Applied::Done(Box::new(Notification::create(new_notification(), birth))))
    });
    let store = Arc::new(StubStore { due: due(1), ..store });
    let redrive = Redrive {
        worker: worker(store, Providers::default(), Always(0), Traces::default()),
        outbox: Arc::new(Outbox::new(None)),
    };

    let pass = redrive.shard(shard(), &budget).await;
    assert_eq!(pass.report, Report { left: 1, ..Report::default() });
    let guarded = DueAt { at: NOW.plus(POLICY.due_guard), redriven: 1 };
    assert_eq!(*seen.lock().unwrap(), [(DueAt::first(NOW), guarded), (guarded, DueAt::first(NOW))]);
}
