//! Load on a server, in two shapes: a crowd of clients that each wait for their answer before they ask again
//! finds out what the server can take, and arrivals at a fixed rate, which wait for nobody, are more than that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::raw::{Answer, Raw, create};

/// Creates by a thousand users, each with a key of its own.
#[derive(Debug)]
pub struct Load {
    address: String,
    next: AtomicU64,
    /// Open, and nobody is using them. The last one used is the next, as clients' pools have it.
    idle: Mutex<Vec<Raw>>,
}

/// What came back, and how long after it was due to be sent.
#[derive(Debug, Default)]
pub struct Seen {
    pub good: Vec<Duration>,
    /// 503 with `Retry-After: 1`.
    pub refused: Vec<Duration>,
    /// Anything else, by what it was.
    pub wrong: BTreeMap<String, u32>,
    pub elapsed: Duration,
}

enum Came {
    Good,
    Refused,
    Wrong(String),
}

impl Load {
    #[must_use]
    pub fn on(address: &str) -> Arc<Self> {
        Arc::new(Self { address: address.to_owned(), next: AtomicU64::new(0), idle: Mutex::default() })
    }

    /// So many clients for that long.
    pub async fn closed_loop(self: &Arc<Self>, clients: usize, time: Duration) -> Seen {
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            let load = Arc::clone(self);
            tasks.spawn(async move {
                let mut seen = Seen::default();
                while begun.elapsed() < time {
                    let asked = Instant::now();
                    seen.note(load.ask().await, asked.elapsed());
                }
                seen
            });
        }
        self.sum(tasks.join_all().await, begun)
    }

    /// So many a second for that long, whether or not the answers come.
    pub async fn open_loop(self: &Arc<Self>, per_second: f64, time: Duration) -> Seen {
        let begun = Instant::now();
        let mut ticks = interval(Duration::from_millis(2));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut tasks, mut seen, mut sent) = (JoinSet::new(), Vec::new(), 0_u32);
        while begun.elapsed() < time {
            ticks.tick().await;
            loop {
                let due = begun + Duration::from_secs_f64(f64::from(sent) / per_second);
                if due > Instant::now() {
                    break;
                }
                sent += 1;
                let load = Arc::clone(self);
                tasks.spawn(async move {
                    let came = load.ask().await;
                    let mut seen = Seen::default();
                    seen.note(came, due.elapsed());
                    seen
                });
            }
            while let Some(one) = tasks.try_join_next() {
                seen.push(one.expect("a client comes to its end"));
            }
        }
        seen.extend(tasks.join_all().await);
        self.sum(seen, begun)
    }

    async fn ask(&self) -> Came {
        match self.try_ask().await {
            Ok(answer) => Came::of(&answer),
            Err(error) => Came::Wrong(error.to_string()),
        }
    }

    async fn try_ask(&self) -> std::io::Result<Answer> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let user = n % 1000;
        let body = format!(
            r#"{{"userId":"user-{user}","channel":"email","template":"orders/shipped","to":{{"email":"user-{user}@example.com"}},"data":{{"order":{n}}},"idempotencyKey":"key-{n}"}}"#
        );
        let mut client = match self.open_one() {
            Some(client) => client,
            None => Raw::connect(&self.address).await?,
        };
        let answer = client.ask(&create(&body)).await?;
        self.idle.lock().unwrap().push(client);
        Ok(answer)
    }

    /// One that the server has not closed meanwhile.
    fn open_one(&self) -> Option<Raw> {
        loop {
            let mut client = self.idle.lock().unwrap().pop()?;
            if !client.is_closed() {
                return Some(client);
            }
        }
    }

    fn sum(&self, all: Vec<Seen>, begun: Instant) -> Seen {
        let mut sum = Seen { elapsed: begun.elapsed(), ..Seen::default() };
        for seen in all {
            sum.good.extend(seen.good);
            sum.refused.extend(seen.refused);
            for (what, times) in seen.wrong {
                *sum.wrong.entry(what).or_default() += times;
            }
        }
        sum.good.sort_unstable();
        sum.refused.sort_unstable();
        sum
    }
}

impl Came {
    fn of(answer: &Answer) -> Self {
        match answer.status {
            201 | 202 => Self::Good,
            503 if answer.header("retry-after") == Some("1") && answer.json()["code"] == "overloaded" => Self::Refused,
            status => Self::Wrong(format!("{status} {}", answer.json()["code"])),
        }
    }
}

impl Seen {
    fn note(&mut self, came: Came, after: Duration) {
        match came {
            Came::Good => self.good.push(after),
            Came::Refused => self.refused.push(after),
            Came::Wrong(what) => *self.wrong.entry(what).or_default() += 1,
        }
    }

    /// Of good answers.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        u32::try_from(self.good.len()).map_or(f64::NAN, f64::from) / self.elapsed.as_secs_f64()
    }

    /// In words, for whoever reads the test's output.
    #[must_use]
    pub fn told(&self) -> String {
        let Self { good, refused, wrong, elapsed } = self;
        format!(
            "{} good ({:.0}/s, p50 {:?}, p99 {:?}), {} refused (p50 {:?}, p99 {:?}), wrong {wrong:?}, in {elapsed:?}",
            good.len(),
            self.per_second(),
            percentile(good, 50),
            percentile(good, 99),
            refused.len(),
            percentile(refused, 50),
            percentile(refused, 99),
        )
    }
}

/// Of sorted times; none is as good as zero.
#[must_use]
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or_default()
}
