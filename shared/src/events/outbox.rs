//! Whether an event goes through Kafka now: the fast path while it works, left alone for a while after
//! it failed. The truth is in the `due` index either way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::reading::Reading;
use super::{Error, Event, Publisher};
use crate::traces::Traces;

/// How long Kafka is left alone after a failure.
pub const PAUSE: Duration = Duration::from_secs(5);

/// How a notification is brought to its worker at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    Async,
    /// `reason` is for people.
    Sync {
        reason: String,
    },
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// The broker has it.
    Published,
    /// It was tried, and no answer came: the broker may have it all the same. Whoever asks does the work at once.
    Unanswered,
    /// There is no Kafka, it is left alone, or it refused: whoever asks does the work at once.
    NotPublished,
}

#[derive(Debug)]
pub struct Outbox {
    publisher: Option<Arc<dyn Publisher>>,
    state: Mutex<State>,
    traces: Traces,
    /// For the name of a span.
    topic: String,
    /// Whether what it publishes is read.
    pub reading: Arc<Reading>,
}

#[derive(Debug)]
enum State {
    Up,
    /// Nobody tries before `until`; then one does, and the others wait for what it finds.
    Down {
        until: Instant,
        last: Error,
    },
}

impl Outbox {
    /// None: there is no Kafka, everything is processed at once.
    #[must_use]
    pub fn new(publisher: Option<Arc<dyn Publisher>>) -> Self {
        Self { publisher, state: Mutex::new(State::Up), traces: Traces::default(), topic: String::new(), reading: Arc::default() }
    }

    /// With a span for each event that is published, which is then the parent of whatever the event causes.
    #[must_use]
    pub fn traced(self, traces: Traces, topic: String) -> Self {
        Self { traces, topic, ..self }
    }

    pub async fn hand_over(&self, event: &Event) -> Handed {
        let Some(publisher) = &self.publisher else { return Handed::NotPublished };
        if !self.may_try() {
            return Handed::NotPublished;
        }
        match self.publish(&**publisher, event).await {
            Ok(()) => {
                if self.change(State::Up) {
                    tracing::info!("kafka takes events again");
                }
                Handed::Published
            }
            Err(error) => {
                // With many requests under way each meets the same failure: the first one tells.
                if self.is_news(&error) {
                    match &error {
                        Error::Unavailable { what } => tracing::warn!(what, "kafka is away: processing at once"),
                        Error::Refused { what } => {
                            tracing::error!(what, "kafka refuses events, no waiting mends that: processing at once");
                        }
                    }
                }
                let handed = match &error {
                    Error::Unavailable { .. } => Handed::Unanswered,
                    Error::Refused { .. } => Handed::NotPublished,
                };
                self.change(State::Down { until: Instant::now() + PAUSE, last: error });
                handed
            }
        }
    }

    async fn publish(&self, publisher: &dyn Publisher, event: &Event) -> Result<(), Error> {
        if !self.traces.are_on() {
            return publisher.publish(event).await;
        }
        let mut span = self.traces.publish(&self.topic, event);
        let within = Event { traceparent: span.context().map(|context| context.to_string()), ..event.clone() };
        let published = publisher.publish(&within).await;
        span.published(&published);
        published
    }

    /// What a new notification meets, and why.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.publisher.is_none() {
            return Mode::Sync { reason: "no Kafka is configured".to_owned() };
        }
        match &*self.lock() {
            State::Up => Mode::Async,
            State::Down { last, .. } => Mode::Sync { reason: last.to_string() },
        }
    }

    /// After a pause, the first to ask tries and holds the others off while it does.
    fn may_try(&self) -> bool {
        match &mut *self.lock() {
            State::Up => true,
            State::Down { until, .. } => {
                let now = Instant::now();
                let over = now >= *until;
                if over {
                    *until = now + PAUSE;
                }
                over
            }
        }
    }

    fn is_news(&self, error: &Error) -> bool {
        match &*self.lock() {
            State::Up => true,
            State::Down { last, .. } => last != error,
        }
    }

    /// Whether this was a change from down to up or from up to down.
    fn change(&self, to: State) -> bool {
        let mut state = self.lock();
        let changed = matches!(*state, State::Up) != matches!(to, State::Up);
        *state = to;
        changed
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is one assignment: a panic elsewhere can't have left it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio::sync::{mpsc, oneshot};
    use tokio::time::advance;

    use super::*;
    use crate::domain::{Channel, NotificationId, Timestamp};
    use crate::telemetry::captured::Captured;

    const MOMENT: Duration = Duration::from_millis(1);

    /// Hands each try to the test, which answers it.
    #[derive(Debug)]
    struct Asking(mpsc::UnboundedSender<oneshot::Sender<Result<(), Error>>>);

    #[async_trait]
    impl Publisher for Asking {
        async fn publish(&self, _event: &Event) -> Result<(), Error> {
            let (answer, answered) = oneshot::channel();
            self.0.send(answer).unwrap();
            answered.await.unwrap()
        }
    }

    type Tries = mpsc::UnboundedReceiver<oneshot::Sender<Result<(), Error>>>;

    fn outbox() -> (Arc<Outbox>, Tries) {
        let (sender, tries) = mpsc::unbounded_channel();
        (Arc::new(Outbox::new(Some(Arc::new(Asking(sender))))), tries)
    }

    fn hand_over(outbox: &Arc<Outbox>) -> tokio::task::JoinHandle<Handed> {
        let outbox = Arc::clone(outbox);
        tokio::spawn(async move { outbox.hand_over(&event()).await })
    }

    fn event() -> Event {
        let id = NotificationId::parse("018f0000-0000-7000-8000-000000000000").unwrap();
        Event { id, channel: Channel::Email, attempt: 1, time: Timestamp::from_millis(0), traceparent: None, key: String::new() }
    }

    fn away() -> Error {
        Error::Unavailable { what: "away".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_kafka_is_left_alone_for_the_pause() {
        let (outbox, mut tries) = outbox();
        let first = hand_over(&outbox);
        tries.recv().await.unwrap().send(Err(away())).unwrap();
        assert_eq!(first.await.unwrap(), Handed::Unanswered);
        advance(PAUSE - MOMENT).await;
        for _ in 0..10 {
            assert_eq!(outbox.hand_over(&event()).await, Handed::NotPublished);
        }
        assert!(tries.try_recv().is_err(), "nobody may try within the pause");
        assert_eq!(outbox.mode(), Mode::Sync { reason: away().to_string() });
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_pause_exactly_one_of_many_tries() {
        let (outbox, mut tries) = outbox();
        let first = hand_over(&outbox);
        tries.recv().await.unwrap().send(Err(away())).unwrap();
        first.await.unwrap();
        advance(PAUSE).await;

        let many: Vec<_> = (0..64).map(|_| hand_over(&outbox)).collect();
        let only = tries.recv().await.unwrap();
        tokio::time::sleep(MOMENT).await;
        assert!(tries.try_recv().is_err(), "one try is enough");
        only.send(Ok(())).unwrap();
        let mut published = 0;
        for handed in many {
            published += usize::from(handed.await.unwrap() == Handed::Published);
        }
        assert_eq!(published, 1);
        assert_eq!(outbox.mode(), Mode::Async);
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_fails_begins_a_new_pause() {
        let (outbox, mut tries) = outbox();
        for n in 0..3 {
            let one = hand_over(&outbox);
            // A refusal is an answer: the broker has it for certain not.
            let (error, handed) = if n == 1 {
                (Error::Refused { what: "no such topic".to_owned() }, Handed::NotPublished)
            } else {
                (away(), Handed::Unanswered)
            };
            tries.recv().await.unwrap().send(Err(error)).unwrap();
            assert_eq!(one.await.unwrap(), handed);
            assert_eq!(outbox.hand_over(&event()).await, Handed::NotPublished);
            assert!(tries.try_recv().is_err());
            advance(PAUSE).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_that_meet_one_failure_the_first_tells_and_so_does_the_end() {
        let captured = Captured::default();
        let guard = captured.start();
        let (outbox, mut tries) = outbox();
        let refused = || Error::Refused { what: "no such topic".to_owned() };
        let many: Vec<_> = (0..4).map(|_| hand_over(&outbox)).collect();
        for (one, error) in many.into_iter().zip([away(), away(), refused(), refused()]) {
            tries.recv().await.unwrap().send(Err(error)).unwrap();
            one.await.unwrap();
        }
        advance(PAUSE).await;
        for _ in 0..3 {
            let one = hand_over(&outbox);
            tries.recv().await.unwrap().send(Ok(())).unwrap();
            one.await.unwrap();
        }
        drop(guard);
        let levels: Vec<_> = captured.lines().iter().map(|line| line["level"].clone()).collect();
        assert_eq!(levels, ["WARN", "ERROR", "INFO"]);
    }

    #[tokio::test(start_paused = true)]
    async fn while_kafka_works_all_try_at_once() {
        let (outbox, mut tries) = outbox();
        let many: Vec<_> = (0..8).map(|_| hand_over(&outbox)).collect();
        for _ in 0..8 {
            tries.recv().await.unwrap().send(Ok(())).unwrap();
        }
        for handed in many {
            assert_eq!(handed.await.unwrap(), Handed::Published);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_kafka_nothing_is_published_and_the_mode_says_why() {
        let outbox = Outbox::new(None);
        assert_eq!(outbox.hand_over(&event()).await, Handed::NotPublished);
        assert_eq!(outbox.mode(), Mode::Sync { reason: "no Kafka is configured".to_owned() });
    }
}
