//! What an operator asks of a cluster, over HTTP: `POST /admin/transfer`, `/admin/add` and
//! `/admin/remove`, at the node that leads.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::config::check_url;
use super::server::{Api, Body, Failure, answer, parse};
use crate::replica::{Admin, NodeId, Replica, Request};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    to: NodeId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    node: NodeId,
    #[serde(default)]
    address: Option<Arc<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    node: NodeId,
}

type Shared<R> = State<Arc<Api<R>>>;

/// `{"to": 3}`: lets another node lead.
pub(super) async fn transfer<R: Replica>(
    State(api): Shared<R>,
    body: Body,
) -> Result<Response, Failure> {
    let Transfer { to } = parse(&body?)?;
    order(&api, Admin::Transfer { to }).await
}

/// `{"node": 4, "address": "http://127.0.0.1:4004"}`: makes a node a member.
pub(super) async fn add<R: Replica>(
    State(api): Shared<R>,
    body: Body,
) -> Result<Response, Failure> {
    let Add { node, address } = parse(&body?)?;
    if node == NodeId(0) {
        return Err(Failure::bad("node numbers start at 1"));
    }
    if let Some(address) = &address {
        check_url(address).map_err(|why| Failure::bad(format!("the address: {why}")))?;
    }
    order(&api, Admin::AddServer { node, address }).await
}

/// `{"node": 4}`: makes a node a member no longer.
pub(super) async fn remove<R: Replica>(
    State(api): Shared<R>,
    body: Body,
) -> Result<Response, Failure> {
    let Remove { node } = parse(&body?)?;
    order(&api, Admin::RemoveServer { node }).await
}

async fn order<R: Replica>(api: &Api<R>, order: Admin) -> Result<Response, Failure> {
    answer(api.ask(Request::Admin(order)).await?)
}
