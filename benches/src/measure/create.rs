//! Create, asynchronous, with nothing behind it: the real router against a handler that does the bare put and
//! the bare produce, both in processes of their own on one store and one broker.

use super::{Size, median};
use crate::load::{Crowd, Requests, Round};
use crate::process::Process;
use crate::stores::Stores;
use crate::table::{Figure, Goal};
use crate::{bare, service};

const ACCEPTED: u16 = 202;

pub(super) async fn measure(size: &Size) -> anyhow::Result<Vec<Figure>> {
    let stores = Stores::start().await?;
    let settings = stores.settings();
    let ours = Process::start_own(&[service::COMMAND], &settings).await?;
    let requests = Requests::new();
    let mut first = Crowd::connect(ours.address, 1).await?;
    let id = first.round(1, &requests, ACCEPTED).await?.ids()?.concat();
    let floor = Process::start_own(&[bare::COMMAND, &id], &settings).await?;
    let mut figures = Vec::new();
    for (clients, creates) in [(1, size.alone), (32, size.together)] {
        let mut ours = (Crowd::connect(ours.address, clients).await?, Vec::new());
        let mut floor = (Crowd::connect(floor.address, clients).await?, Vec::new());
        ours.0.round(creates, &requests, ACCEPTED).await?;
        floor.0.round(creates, &requests, ACCEPTED).await?;
        for round in 0..size.rounds {
            // Whoever goes second finds the larger store: so they take turns at that too.
            let order = if round % 2 == 0 { [&mut ours, &mut floor] } else { [&mut floor, &mut ours] };
            for (crowd, rounds) in order {
                rounds.push(crowd.round(creates, &requests, ACCEPTED).await?);
            }
        }
        figures.extend(compare(clients, &ours.1, &floor.1));
    }
    ours.end().await?;
    floor.end().await?;
    stores.end().await;
    Ok(figures)
}

fn compare(clients: u32, ours: &[Round], floor: &[Round]) -> Vec<Figure> {
    let middle = |rounds: &[Round], of: fn(&Round) -> f64| median(rounds.iter().map(of).collect());
    let name = |what: &str| format!("create, {clients} client{}: {what}", if clients == 1 { "" } else { "s" });
    let figure =
        |what, unit, of: fn(&Round) -> f64, goal| Figure::new(name(what), unit, middle(ours, of), middle(floor, of), goal);
    let mut figures = vec![
        figure("p50", "ms", |round| round.percentile(50), Goal::RatioAtMost(1.15)),
        figure("p99", "ms", |round| round.percentile(99), Goal::None),
        figure("throughput", "/s", Round::per_second, Goal::RatioAtLeast(0.8)),
    ];
    if clients > 1 {
        figures.push(Figure::new(
            name("throughput by itself"),
            "/s",
            middle(ours, Round::per_second),
            None,
            Goal::AtLeast(2_000.0),
        ));
    }
    figures
}
