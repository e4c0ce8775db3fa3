//! SIGKILL at random moments under load, again and again: `KILLS=10000` kills that often, `SEED=<n>` begins
//! with another round. A round has some fifty kills on one store, then a server that nobody disturbs, and
//! its own seed, from which come the load, the lives' lengths and what the provider does; the moments are
//! the machine's, so a seed replays a round only as far as real processes allow.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::NotificationId;
use simulation::dice::Dice;
use simulation::setting;
use tests::aftermath::{Figures, come_to_rest, faults_at_rest, faults_at_the_end, posts};
use tests::home::Home;
use tests::instant::from_now;
use tests::ledger::Ledger;
use tests::receiver::{Receiver, Reply};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{SECRET, SOON_OVER};

/// Leases that end soon: what a kill leaves is taken over within the next lives.
const SETTINGS: [(&str, &str); 8] = [
    ("SEND_TIMEOUT", "500ms"),
    ("CLOCK_SKEW", "50ms"),
    ("LEASE", "1500ms"),
    ("DUE_GUARD", "300ms"),
    ("RETRY_BASE", "50ms"),
    ("RETRY_CAP", "500ms"),
    ("RETRY_MAX_ATTEMPTS", "1000"),
    SECRET,
];
const KILLS_OF_A_ROUND: u64 = 50;
const CLIENTS: u64 = 8;
/// More than a round's requests.
const REPLIES: usize = 50_000;
/// A life ends when so many requests were answered, or so much time has passed without.
const ANSWERS_OF_A_LIFE: u64 = 40;
const LONGEST_LIFE: Duration = Duration::from_secs(5);
/// For everything to come to its end once nobody disturbs any more.
const HEALING: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_at_any_moment_loses_nothing_that_was_accepted() {
    let (kills, first) = (setting::number("KILLS").unwrap_or(KILLS_OF_A_ROUND), setting::number("SEED").unwrap_or(0));
    let mut total = Figures::default();
    for round in 0..kills.div_ceil(KILLS_OF_A_ROUND) {
        let kills_now = KILLS_OF_A_ROUND.min(kills - round * KILLS_OF_A_ROUND);
        // First, so that it is known whatever ends the round.
        println!("seed {}: {kills_now} kills", first + round);
        let (figures, faults) = torture(first + round, kills_now).await;
        total = total.plus(figures);
        println!("seed {}: {figures}", first + round);
        assert!(faults.is_empty(), "seed {}:\n{}", first + round, faults.join("\n"));
        assert!(figures.sent > 0 && figures.unanswered > 0, "nothing was at stake");
    }
    println!("{kills} kills: {total}; lost: 0");
}

async fn torture(seed: u64, kills: u64) -> (Figures, Vec<String>) {
    let dice = Dice::new(seed);
    let receiver = Receiver::start().await.unwrap();
    let script: Vec<Reply> = (0..REPLIES).map(|_| reply(&dice)).collect();
    for reply in &script {
        receiver.then(reply.clone());
    }
    let binding = receiver.binding();
    let home = Home::of_one_process(&[&SETTINGS[..], &[("PUSH_PROVIDER", &binding)]].concat()).await;
    let ledger = Arc::new(Ledger::default());

    let mut server = home.start(&[]).await;
    // Where the server is now; dropped when the clients are to come to an end.
    let (place, where_it_is) = watch::channel(server.url.clone());
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let dice = Dice::new(dice.roll());
        let client = Client { n, dice, ledger: Arc::clone(&ledger), server: where_it_is.clone(), known: Vec::new(), asked: 0 };
        clients.spawn(client.live());
    }
    for _ in 0..kills {
        let answers = ledger.read().answered() + dice.below(ANSWERS_OF_A_LIFE);
        let until = Instant::now() + LONGEST_LIFE;
        while ledger.read().answered() < answers && Instant::now() < until {
            sleep(Duration::from_millis(1)).await;
        }
        sleep(dice.millis(0..30)).await;
        server.kill().await;
        // Some don't get as far as to serve.
        while dice.one_in(6) {
            home.run_for(dice.millis(1..250)).await;
        }
        server = home.start(&[]).await;
        place.send_replace(server.url.clone());
    }
    server.kill().await;
    let users = ledger.read().users.clone();
    let faults: Vec<String> = faults_at_rest(&home.stored(users).await);

    let server = home.start(&SOON_OVER).await;
    place.send_replace(server.url.clone());
    drop(place);
    timeout(HEALING, clients.join_all()).await.expect("every client with a key has its answer");
    let stored = come_to_rest(server, &home, &ledger, HEALING).await;
    let posts = posts(&receiver, &script);
    let faults = faults.into_iter().chain(faults_at_the_end(&stored, &ledger, &posts)).collect();
    (Figures::of(&stored, &ledger, &posts), faults)
}

/// Mostly it takes what comes.
fn reply(dice: &Dice) -> Reply {
    match dice.below(100) {
        0..4 => Reply::status(503),
        4..7 => Reply::status(500),
        7..9 => Reply::Cut,
        9 => Reply::status(400),
        10 => Reply::Silence,
        11 => Reply::with_header(429, "retry-after", "1"),
        _ => Reply::status(200),
    }
}

struct Client {
    n: u64,
    dice: Dice,
    ledger: Arc<Ledger>,
    server: watch::Receiver<String>,
    known: Vec<NotificationId>,
    asked: u64,
}

impl Client {
    /// Until nobody disturbs the server any more.
    async fn live(mut self) {
        while self.server.has_changed().is_ok() {
            sleep(self.dice.millis(0..30)).await;
            let known = (!self.known.is_empty()).then(|| self.dice.pick(&self.known));
            match (known, self.dice.below(20)) {
                (Some(id), 0) => self.ledger.cancel(&self.url(), id).await,
                (Some(id), 1) => self.ledger.retry(&self.url(), id).await,
                _ => self.create().await,
            }
        }
    }

    async fn create(&mut self) {
        self.asked += 1;
        let mut body = json!({"userId": format!("user-{}", self.dice.below(12)), "channel": "push", "template": "t"});
        let keyed = self.dice.one_in(2);
        if keyed {
            body["idempotencyKey"] = Value::from(format!("{}-{}", self.n, self.asked));
        }
        match self.dice.below(10) {
            0 => body["scheduledAt"] = Value::from(from_now(self.dice.millis(0..1_000))),
            1 => body["expiresAt"] = Value::from(from_now(self.dice.millis(1..1_000))),
            _ => {}
        }
        loop {
            let url = self.server.borrow_and_update().clone();
            let promised = self.ledger.create(&url, &body).await;
            self.known.extend(promised);
            if promised.is_none() {
                self.wait_for_another_server().await;
            }
            // Who has a key repeats until there is an answer, and now and then once more.
            if !keyed || promised.is_some() && !self.dice.one_in(10) {
                return;
            }
        }
    }

    /// Or for a while, if it was the request that failed.
    async fn wait_for_another_server(&mut self) {
        drop(timeout(Duration::from_millis(500), self.server.changed()).await);
    }

    fn url(&self) -> String {
        self.server.borrow().clone()
    }
}
