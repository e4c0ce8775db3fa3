//! One life of a process: it can be killed, and frozen as by SIGSTOP, in which case all its tasks stand
//! still while time goes on; and it has a clock of its own.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use shared::clock::Clock;
use shared::domain::{Timestamp, Token};
use shared::service::Budget;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::story::{What, Who};
use crate::world::World;

#[derive(Debug)]
pub struct Machine {
    pub world: Arc<World>,
    pub number: usize,
    pub life: u32,
    /// For a product that makes one token for all its claims.
    pub token: Token,
    pub died: Notify,
    /// SIGTERM: no claim is begun any more, and nothing new is taken.
    pub stop: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    dead: bool,
    frozen_until: Option<Instant>,
    freezes: u32,
    tasks: Vec<AbortHandle>,
    offset_millis: i64,
}

impl Machine {
    #[must_use]
    pub fn start(world: &Arc<World>, number: usize, life: u32) -> Arc<Self> {
        let random: &dyn shared::random::Random = &world.dice;
        let machine = Self {
            world: Arc::clone(world),
            number,
            life,
            token: random.token(),
            died: Notify::new(),
            stop: CancellationToken::new(),
            state: Mutex::default(),
        };
        machine.set_clock();
        Arc::new(machine)
    }

    #[must_use]
    pub const fn who(&self) -> Who {
        Who::Process { number: self.number, life: self.life }
    }

    /// Runs in this process: stands still while it is frozen, and ends with it.
    pub fn spawn<T: Send + 'static>(self: &Arc<Self>, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let task = tokio::spawn(Gate { machine: Arc::clone(self), work: Box::pin(work), thaw: None });
        let mut state = self.lock();
        if state.dead {
            task.abort();
        }
        state.tasks.retain(|task| !task.is_finished());
        state.tasks.push(task.abort_handle());
        task
    }

    pub fn kill(&self) {
        self.world.tell(self.who(), What::Note("! killed"));
        self.end();
    }

    /// Whatever still runs in it is dropped.
    pub fn end(&self) {
        let tasks = {
            let mut state = self.lock();
            state.dead = true;
            std::mem::take(&mut state.tasks)
        };
        for task in tasks {
            task.abort();
        }
        self.died.notify_one();
    }

    #[must_use]
    pub fn budget(&self, time: Duration) -> Budget {
        Budget { deadline: Instant::now() + time, stop: self.stop.clone() }
    }

    /// How often it was frozen: whoever finds the same number twice was not, in between.
    #[must_use]
    pub fn freezes(&self) -> u32 {
        self.lock().freezes
    }

    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.lock().frozen_until.is_some_and(|until| until > Instant::now())
    }

    pub fn set_clock(&self) {
        let reach = self.world.plan.skew_millis;
        let offset = i64::try_from(self.world.dice.below(u64::try_from(2 * reach + 1).unwrap())).unwrap() - reach;
        self.lock().offset_millis = offset;
        self.world.tell(self.who(), What::Clock { offset_millis: offset });
    }

    /// At a call of a port, before or after its effect: a kill, a freeze, a delay.
    pub async fn peril(&self) {
        let (world, rates) = (&self.world, &self.world.plan.rates);
        if world.strikes(rates.kill) {
            self.kill();
            pending::<()>().await;
        }
        if world.strikes(rates.freeze) {
            let by = self.frozen_for();
            let until = Instant::now() + by;
            {
                let mut state = self.lock();
                state.frozen_until = Some(state.frozen_until.map_or(until, |other| other.max(until)));
                state.freezes += 1;
            }
            world.tell(self.who(), What::Frozen { by });
            sleep_until(until).await;
        }
        if world.strikes(rates.delay) {
            sleep(world.dice.millis(1..1_000)).await;
        }
    }

    /// Preferably around the edges: the time to send, the end of the lease, and the two skews.
    fn frozen_for(&self) -> Duration {
        let dice = &self.world.dice;
        match dice.below(5) {
            0 => dice.millis(100..6_000),
            1 => dice.millis(44_000..56_000),
            2 => dice.millis(58_000..72_000),
            3 => dice.millis(72_000..150_000),
            _ => dice.millis(100..30_000),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        let offset = self.lock().offset_millis;
        Timestamp::from_millis(self.world.now().as_millis() + offset)
    }
}

struct Gate<T> {
    machine: Arc<Machine>,
    work: Pin<Box<dyn Future<Output = T> + Send>>,
    thaw: Option<Pin<Box<Sleep>>>,
}

impl<T> Future for Gate<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        loop {
            let frozen_until = self.machine.lock().frozen_until.filter(|until| *until > Instant::now());
            let Some(until) = frozen_until else { return self.work.as_mut().poll(cx) };
            let mut thaw = Box::pin(sleep_until(until));
            if thaw.as_mut().poll(cx).is_pending() {
                self.thaw = Some(thaw);
                return Poll::Pending;
            }
        }
    }
}
