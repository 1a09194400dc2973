//! Snapshots over HTTP: `GET /snapshot` tells the number of the latest one that the node knows, `POST
//! /snapshot` begins one, and `GET /snapshot/{number}` tells the node's part of it, as far as it is
//! recorded; see [`crate::observe::snapshot`].

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::host::Call;
use super::server::{Body, Failure, Shared, parse};
use crate::observe::cut::would_change;
use crate::observe::snapshot::{Manner, Part};
use crate::replica::{Replica, Status};

/// How a live node takes its part: patient for as long as messages wait for a link, and as long again.
pub(super) fn manner(link_timeout: Duration) -> Manner {
    Manner { patience: 2 * link_timeout, resend: link_timeout / 6, bug: None }
}

/// The body of `GET /snapshot` and `POST /snapshot`, and of the answers to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotBody {
    /// The number of a snapshot; 0 is none.
    pub snapshot: u64,
}

/// The body of `GET /snapshot/{number}`: a node's part, its state told by its status and its messages
/// in words.
pub type PartBody = Part<Status, Told>;

/// A message that was on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What it says.
    pub text: String,
    /// Whether it would change what its receiver has, by its digest; not known of what its sender's
    /// host held back.
    pub changes: Option<bool>,
}

/// A node's part as it is told.
pub(super) fn body<R: Replica>(part: &Part<R, R::Message>) -> PartBody {
    part.map(
        |part| part.state.status(),
        |part, from, message| Told {
            text: format!("{message:?}"),
            changes: from.map(|from| would_change(&part.state, part.at, from, message)),
        },
    )
}

/// The latest snapshot that the node knows.
pub(super) async fn latest<R: Replica>(
    State(api): Shared<R>,
) -> Result<Json<SnapshotBody>, Failure> {
    let (reply, said) = oneshot::channel();
    let snapshot = api.hear(Call::Snapshot(None, reply), said).await?;
    Ok(Json(SnapshotBody { snapshot }))
}

/// Begins a snapshot: the next one, or the one of the number in the body.
pub(super) async fn begin<R: Replica>(
    State(api): Shared<R>,
    body: Body,
) -> Result<Json<SnapshotBody>, Failure> {
    let body = body?;
    let snapshot = if body.is_empty() {
        latest(State(api.clone())).await?.0.snapshot + 1
    } else {
        parse::<SnapshotBody>(&body)?.snapshot
    };
    let (reply, said) = oneshot::channel();
    let snapshot = api.hear(Call::Snapshot(Some(snapshot), reply), said).await?;
    Ok(Json(SnapshotBody { snapshot }))
}

/// The node's part of a snapshot, if it is the latest that it knows.
pub(super) async fn part<R: Replica>(
    State(api): Shared<R>,
    number: Result<Path<u64>, PathRejection>,
) -> Result<Json<PartBody>, Failure> {
    let Path(number) = number.map_err(|error| Failure::bad(error.body_text()))?;
    let (reply, said) = oneshot::channel();
    let part = api.hear(Call::Part(reply), said).await?;
    part.filter(|part| part.snapshot == number).map(Json).ok_or_else(|| {
        let message = format!("this node has no part of snapshot {number}, or of a later one");
        Failure::new(StatusCode::NOT_FOUND, "no-snapshot", message)
    })
}
