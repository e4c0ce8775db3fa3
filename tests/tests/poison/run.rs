//! Batches made from a seed, handed to `process` as Lambda does, and held against the model.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use shared::domain::{NotificationId, Status};
use shared::service::Budget;
use simulation::dice::Dice;
use simulation::setting;
use tests::stage::plenty;
use tokio::time::{Instant, sleep};
use tracing_subscriber::util::SubscriberInitExt;

use crate::model::{Model, Outcome, Placed, Weather};
use crate::records::{self, CANARY, Must};
use crate::world::{Fate, World};

/// As many as Lambda hands over at once unless told otherwise.
const MOST_IN_A_BATCH: u64 = 100;
const BATCHES_IN_A_WORLD: u64 = 10;
const USERS: u64 = 7;

/// What was logged since it was last read.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// On this thread, until the guard is dropped.
    fn begin(&self) -> impl Sized + use<> {
        let writer = self.clone();
        tracing_subscriber::fmt().json().with_writer(move || writer.clone()).set_default()
    }

    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

/// The places of poison that the log names, in its order.
fn places(log: &str) -> Vec<(String, Option<i64>)> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"].take());
    let poison = lines.filter(|fields| fields["message"] == "poison: passed over");
    poison.map(|fields| (fields["partition"].as_str().unwrap().to_owned(), fields["offset"].as_i64())).collect()
}

struct Player {
    seed: u64,
    dice: Arc<Dice>,
    world: World,
    model: Model,
    log: Log,
    offset: i64,
    known: Vec<NotificationId>,
    kinds: BTreeMap<&'static str, u64>,
}

impl Player {
    fn new(seed: u64) -> Self {
        let dice = Arc::new(Dice::new(seed));
        let world = World::new(&dice);
        let (model, log) = (Model::default(), Log::default());
        Self { seed, dice, world, model, log, offset: 0, known: Vec::new(), kinds: BTreeMap::new() }
    }

    fn store(&mut self, fate: Fate, user: u64) -> NotificationId {
        let id = self.world.store(fate, user);
        self.model.fates.insert(id, fate);
        id
    }

    fn fate(&self) -> Fate {
        match self.dice.below(100) {
            0..5 => Fate::Missing,
            5..8 => Fate::NotDue,
            8..11 => Fate::Expired,
            11..14 => Fate::Foreign,
            14..17 => Fate::Unreadable,
            17..20 => Fate::FailsOnce,
            20 => Fate::StorePanics,
            // One in a world: a provider that fails again and again is another matter.
            21 if !self.model.fates.values().any(|fate| *fate == Fate::ProviderPanics) => Fate::ProviderPanics,
            _ => Fate::Plain,
        }
    }

    fn batch(&mut self) -> Vec<Placed> {
        let dice = Arc::clone(&self.dice);
        (0..=dice.below(MOST_IN_A_BATCH))
            .map(|_| {
                let user = dice.below(USERS);
                // Now and then the event of one that was named before.
                let id =
                    if dice.one_in(8) && !self.known.is_empty() { dice.pick(&self.known) } else { self.store(self.fate(), user) };
                self.known.push(id);
                self.offset += 1;
                let made = records::make(&dice, id, user, self.offset);
                *self.kinds.entry(made.kind).or_default() += 1;
                Placed { partition: format!("notification-events-{}", dice.below(4)), id, made }
            })
            .collect()
    }

    fn weather(&self) -> Weather {
        match self.dice.below(10) {
            0 => Weather::StoreAway,
            1 => Weather::NoTime,
            _ => Weather::Calm,
        }
    }

    /// A batch until it is done, as Lambda calls; and now and then once more, as after a lost commit.
    async fn play(&mut self) -> u64 {
        let batch = self.batch();
        let payload = payload(&batch);
        let mut weather = self.weather();
        while !self.call(&batch, &payload, weather).await {
            weather = Weather::Calm;
        }
        if self.dice.one_in(3) {
            assert!(self.call(&batch, &payload, Weather::Calm).await, "what was done once is done");
        }
        u64::try_from(batch.len()).unwrap()
    }

    /// Whether the batch is done.
    async fn call(&mut self, batch: &[Placed], payload: &str, weather: Weather) -> bool {
        let expected = self.model.expect(batch, weather);
        self.world.parts.away.store(weather == Weather::StoreAway, Ordering::Relaxed);
        let budget = if weather == Weather::NoTime { Budget::until(Instant::now() + Duration::from_secs(1)) } else { plenty() };
        let result = process::handle(&self.world.process, payload.as_bytes(), &budget).await;
        self.world.parts.away.store(false, Ordering::Relaxed);
        let log = self.log.take();
        let found = Outcome { report: result.ok(), poison: places(&log) };
        if found != expected {
            let kinds: Vec<_> = batch.iter().map(|placed| (placed.made.kind, self.model.fates[&placed.id])).collect();
            panic!(
                "POISON_SEED={} plays it again\nexpected {expected:?}\nfound    {found:?}\n{weather:?} {kinds:?}\n{payload}",
                self.seed
            );
        }
        assert!(!log.contains(CANARY), "POISON_SEED={}: what a record holds is logged", self.seed);
        for placed in batch {
            self.check(placed.id);
        }
        found.report.is_some()
    }

    /// As many messages as the model says, whatever was made of the events.
    fn check(&self, id: NotificationId) {
        let (fate, over) = (self.model.fates[&id], self.model.over.contains(&id));
        let taken = u32::from(over && matches!(fate, Fate::Plain | Fate::FailsOnce));
        assert_eq!(self.world.taken(id), taken, "POISON_SEED={}: {fate:?}, {over}", self.seed);
        if over || fate == Fate::Missing {
            return;
        }
        // Nothing that was left is forgotten.
        let n = self.world.read(id);
        assert!(!n.status.is_final() && n.due_at.is_some(), "POISON_SEED={}: {fate:?}: {n:?}", self.seed);
    }

    /// Redrive finds all that was left: poison took its event from a notification, and no more.
    async fn end(&self) {
        self.world.parts.healed.store(true, Ordering::Relaxed);
        for _ in 0..6 {
            sleep(Duration::from_hours(1)).await;
            self.world.redrive.run(&plenty(), Instant::now()).await;
        }
        for (id, fate) in &self.model.fates {
            let (status, taken) = match fate {
                Fate::Missing | Fate::Foreign | Fate::Unreadable => {
                    assert_eq!(self.world.taken(*id), 0);
                    continue;
                }
                Fate::Expired => (Status::Expired, 0),
                Fate::Plain | Fate::NotDue | Fate::FailsOnce | Fate::StorePanics | Fate::ProviderPanics => (Status::Sent, 1),
            };
            let found = (self.world.read(*id).status, self.world.taken(*id));
            assert_eq!(found, (status, taken), "POISON_SEED={}: {fate:?}", self.seed);
        }
    }
}

/// The event as Lambda hands it over.
fn payload(batch: &[Placed]) -> String {
    let mut partitions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for placed in batch {
        partitions.entry(&placed.partition).or_default().push(&placed.made.text);
    }
    let partitions: Vec<String> =
        partitions.iter().map(|(partition, records)| format!("\"{partition}\":[{}]", records.join(","))).collect();
    format!(r#"{{"eventSource":"aws:kafka","records":{{{}}}}}"#, partitions.join(","))
}

fn on_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(work)
}

/// One world: how many events it read, and of which kinds.
fn world(seed: u64) -> (u64, BTreeMap<&'static str, u64>) {
    on_virtual_time(async {
        let mut player = Player::new(seed);
        let _logging = player.log.begin();
        let mut events = 0;
        for _ in 0..BATCHES_IN_A_WORLD {
            events += player.play().await;
        }
        player.end().await;
        (events, player.kinds)
    })
}

#[test]
fn every_event_is_done_as_the_model_says_and_none_stops_another() {
    if let Some(seed) = setting::number("POISON_SEED") {
        world(seed);
        return;
    }
    let wanted = setting::number("POISON").unwrap_or(10_000);
    let mut events = 0;
    let mut kinds = BTreeMap::new();
    for seed in 0.. {
        let (read, of_kinds) = world(seed);
        events += read;
        of_kinds.into_iter().for_each(|(kind, n)| *kinds.entry(kind).or_insert(0) += n);
        if events >= wanted {
            println!("{events} events in {} worlds", seed + 1);
            break;
        }
    }
    // A table that is never drawn from would hold anything.
    let drawn: BTreeSet<_> = kinds.into_keys().collect();
    assert_eq!(drawn, records::kinds().collect());
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_nothing_but_poison_is_done_and_never_comes_again() {
    let mut player = Player::new(1);
    let _logging = player.log.begin();
    let id = player.store(Fate::Plain, 1);
    let dice = Arc::clone(&player.dice);
    let bad = records::one_of_each(&dice, id).filter(|made| made.must != Must::Deliver);
    let batch: Vec<Placed> = bad.map(|made| Placed { partition: "t-0".to_owned(), id, made }).collect();
    for weather in [Weather::Calm, Weather::StoreAway, Weather::NoTime] {
        assert!(player.call(&batch, &payload(&batch), weather).await, "{weather:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_of_five_megabytes_spoils_nothing_but_itself() {
    let mut player = Player::new(2);
    let _logging = player.log.begin();
    let ids: Vec<_> = (0..4).map(|user| player.store(Fate::Plain, user)).collect();
    let dice = Arc::clone(&player.dice);
    let mut batch: Vec<Placed> = (0..)
        .zip(&ids)
        .map(|(n, id)| {
            let made = loop {
                let made = records::make(&dice, *id, n, 1);
                if made.kind == "as it should be" && made.offset.is_some() {
                    break made;
                }
            };
            Placed { partition: "t-0".to_owned(), id: *id, made }
        })
        .collect();
    let five_megabytes = "A".repeat(5 * 1024 * 1024);
    // One is noise all through, the other a good event with too much around it.
    let noise = &mut batch[1].made;
    noise.text = noise.text.replace("\"value\":\"", &format!("\"value\":\"{five_megabytes}"));
    noise.must = Must::CallPoison;
    let padded = &mut batch[2].made;
    padded.text = padded.text.replacen('{', &format!("{{\"more\":\"{five_megabytes}\","), 1);
    assert!(player.call(&batch, &payload(&batch), Weather::Calm).await);
    assert_eq!(ids.iter().map(|id| player.world.taken(*id)).collect::<Vec<_>>(), [1, 0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_breaks_off_anywhere_fails_as_a_whole_and_touches_nothing() {
    let mut player = Player::new(3);
    let batch = player.batch();
    let payload = payload(&batch);
    // What is larger by nature breaks off in fewer places.
    for end in (0..payload.len()).step_by(1 + payload.len() / 2_000).chain([payload.len() - 1]) {
        let broken = process::handle(&player.world.process, &payload.as_bytes()[..end], &plenty()).await;
        assert!(matches!(broken, Err(process::Error::NotABatch(_))), "{end}: {broken:?}");
    }
    batch.iter().for_each(|placed| player.check(placed.id));
}
