//! How much sooner a client has its answer because nobody waits for the provider: the same server with its
//! broker and without, in front of a webhook that takes 20 ms.

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::{Size, median};
use crate::binaries::{Binaries, SERVER};
use crate::load::{Crowd, Requests, Round};
use crate::process::{Process, Settings};
use crate::table::{Figure, Goal, Ratio};

const PROVIDER: Duration = Duration::from_millis(20);
const ACCEPTED: u16 = 202;
const CREATED: u16 = 201;

pub(super) async fn measure(binaries: &Binaries, size: &Size) -> anyhow::Result<Vec<Figure>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let hook = format!("webhook+http://{}/hook", listener.local_addr()?);
    let slow = Router::new().route("/hook", post(|| sleep(PROVIDER)));
    let provider = tokio::spawn(async move { axum::serve(listener, slow).await });

    let background = Process::start(&binaries.of(SERVER), &[], &settings(&hook, &[])).await?;
    let at_once = Process::start(&binaries.of(SERVER), &[], &settings(&hook, &[("KAFKA_BOOTSTRAP_SERVERS", "none")])).await?;
    let requests = Requests::new();
    let mut background_clients = Crowd::connect(background.address, 1).await?;
    let mut at_once_clients = Crowd::connect(at_once.address, 1).await?;
    let (mut background_rounds, mut at_once_rounds) = (Vec::new(), Vec::new());
    // The first round warms up.
    for _ in 0..=size.rounds {
        background_rounds.push(background_clients.round(size.alone, &requests, ACCEPTED).await?);
        // It waits 20 ms for each: a few tell as much.
        at_once_rounds.push(at_once_clients.round((size.alone / 10).max(1), &requests, CREATED).await?);
    }
    background.end().await?;
    at_once.end().await?;
    provider.abort();
    let middle = |rounds: &[Round]| median(rounds.iter().skip(1).map(|round| round.percentile(50)).collect());
    let figure = Figure::new(
        "answer with a provider of 20 ms, p50: async (floor: sync)",
        "ms",
        middle(&background_rounds),
        middle(&at_once_rounds),
        Goal::RatioAtLeast(10.0),
    );
    Ok(vec![Figure { ratio: Ratio::FloorToOurs, ..figure }])
}

fn settings(hook: &str, more: &[(&str, &str)]) -> Settings {
    let ours = [
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("EMAIL_PROVIDER", hook),
        // A key of nobody's, made of zeros.
        ("WEBHOOK_SECRET", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ];
    ours.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
