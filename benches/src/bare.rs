//! The floor of a create: a handler that does the bare put and the bare produce and answers, on the same HTTP
//! library, store and broker. A child of the benchmark, with a function's settings.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use shared::config::{CreateSettings, SystemEnvironment};
use shared::store::dynamodb::DynamoDb;

use crate::floor::{Produces, Puts};
use crate::service;

pub const COMMAND: &str = "bare";

/// A call whose answer is late is repeated after a third of it; the repeat of a put finds the item there, which ours
/// knows for its own success and a bare handler does not.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Bare {
    puts: Puts,
    produces: Produces,
}

/// `id` is of a notification that ours has created: what is copied.
pub async fn run(id: &str) -> anyhow::Result<()> {
    let settings = CreateSettings::read(&SystemEnvironment).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let db = DynamoDb::from_environment(&settings.store.table_name, PATIENCE).await?;
    let kafka = settings.kafka.context("it produces too")?;
    let produces = Produces::like(&db, id, &kafka.bootstrap_servers, &kafka.topic).await?;
    let bare = Bare { puts: Puts::like(&db, id).await?, produces };
    service::serve(Router::new().route("/api/notifications", post(create)).with_state(Arc::new(bare))).await
}

async fn create(State(bare): State<Arc<Bare>>, _body: Bytes) -> Response {
    match bare.create().await {
        Ok(body) => (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_failed) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Bare {
    async fn create(&self) -> anyhow::Result<String> {
        let id = self.puts.put().await?.to_string();
        self.produces.produce(&id).await?;
        Ok(format!(r#"{{"id":"{id}"}}"#))
    }
}
