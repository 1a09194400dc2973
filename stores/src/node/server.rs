//! The HTTP side of a node: `/kv/{key}` and `/status` for clients, `/admin` for operators, `/peer`
//! for the other nodes.
//!
//! Everything that is not an answer is an error in JSON, also for a route that does not exist or a
//! body that is not JSON:
//! `{"error": "<code>", "message": "...", "leader": <id or null>, "definite": <bool>}`, where
//! `definite` says that a write certainly has not happened and never will. What only reads never
//! changes anything, so its errors are always definite.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{self, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::admin;
use super::host::Call;
use super::snapshot;
use super::transport::{self, Traffic};
use crate::catalogue::Store;
use crate::kv::{self, Command, Op, Output, Rejection, Session, Value};
use crate::replica::{NodeId, Refusal, Replica, Request, Status};

/// The longest key, in bytes.
pub const KEY_MAX: usize = 256;

/// The largest value that a request may carry, in bytes; see [`Value::size`].
pub const VALUE_MAX: usize = 64 << 10;

/// How deeply lists may be nested in a value.
pub const DEPTH_MAX: usize = 16;

/// The longest name of a client in a session, in bytes.
pub const CLIENT_MAX: usize = 128;

/// The header that names the client of a session.
pub const SESSION_HEADER: &str = "rashomon-session";
/// Whom a request is meant for, as [`addressee`] writes it. Who does not say asks whoever listens; but a
/// node that has ended may have left its port to one of another cluster.
pub const TO_HEADER: &str = "rashomon-to";

/// A node as [`TO_HEADER`] names it: `CLUSTER/3`.
pub fn addressee(cluster: &str, node: u16) -> String {
    format!("{cluster}/{node}")
}

/// The header that numbers the client's commands.
pub const SEQUENCE_HEADER: &str = "rashomon-sequence";

/// The header with which a client tells what it has seen of the key; its value is the `context` of
/// an earlier answer.
pub const CONTEXT_HEADER: &str = "rashomon-context";

/// Enough for two values in which every byte is escaped to six.
const CLIENT_BODY_MAX: usize = 2 * 6 * VALUE_MAX + 1024;

/// Enough for what a link puts into one request: a megabyte, and the largest message on top.
const PEER_BODY_MAX: usize = 16 << 20;

/// What handlers know.
#[derive(Debug)]
pub(super) struct Api<R: Replica> {
    pub(super) calls: mpsc::Sender<Call<R>>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) commits: Arc<AtomicU64>,
    pub(super) about: About,
    pub(super) id: NodeId,
    /// How requests name this node.
    pub(super) addressee: String,
    pub(super) request_timeout: Duration,
}

/// What never changes while a node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The name of its cluster.
    pub cluster: String,
    /// The store it runs.
    pub store: Store,
    /// The bug planted in it.
    pub bug: Option<String>,
    /// How often it has started on this data directory.
    pub incarnation: u64,
}

/// The body of `GET /status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusBody {
    /// What the protocol says.
    #[serde(flatten)]
    pub status: Status,
    /// What never changes.
    #[serde(flatten)]
    pub about: About,
    /// Messages that peers have taken.
    pub messages_sent: u64,
    /// Messages given up because a link failed, hung, or could not keep up.
    pub messages_dropped: u64,
    /// Transactions that are durable on its disk, each with all that was waiting when it began.
    #[serde(default)]
    pub disk_commits: u64,
}

/// The body of every answer that is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, in a word for programs.
    pub error: String,
    /// What went wrong, in a sentence for people.
    pub message: String,
    /// Who leads, or is a member, where it helps and is known.
    pub leader: Option<NodeId>,
    /// Whether a write certainly has not happened and never will.
    pub definite: bool,
}

pub(super) fn router<R: Replica>(api: Arc<Api<R>>) -> Router {
    let put = with_value(MethodFilter::PUT, |key, value| Op::Put { key, value });
    let append = with_value(MethodFilter::POST, |key, value| Op::Append { key, value });
    let add = with_value(MethodFilter::POST, |key, element| Op::Add { key, element });
    let clients = Router::new()
        .route("/kv/{key}", get(read::<R>).delete(delete::<R>).merge(put))
        .route("/kv/{key}/cas", post(cas::<R>))
        .route("/kv/{key}/append", append)
        .route("/kv/{key}/add", add)
        .route("/kv/{key}/increment", post(increment::<R>))
        .route("/status", get(status::<R>))
        .route("/snapshot", get(snapshot::latest::<R>).post(snapshot::begin::<R>))
        .route("/snapshot/{number}", get(snapshot::part::<R>))
        .route("/admin/transfer", post(admin::transfer::<R>))
        .route("/admin/add", post(admin::add::<R>))
        .route("/admin/remove", post(admin::remove::<R>))
        .layer(middleware::from_fn_with_state(api.clone(), check_addressee::<R>))
        .layer(DefaultBodyLimit::max(CLIENT_BODY_MAX));
    let peers = Router::new()
        .route(transport::PATH, post(peer::<R>))
        .layer(DefaultBodyLimit::max(PEER_BODY_MAX));
    clients
        .merge(peers)
        .fallback(|| async { Failure::new(StatusCode::NOT_FOUND, "no-route", NO_ROUTE) })
        .method_not_allowed_fallback(|| async {
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, "no-method", NO_METHOD)
        })
        .with_state(api)
}

/// Refuses what is meant for another node.
async fn check_addressee<R: Replica>(
    State(api): State<Arc<Api<R>>>,
    request: extract::Request,
    next: middleware::Next,
) -> Response {
    let is_ours = |to: &HeaderValue| to.as_bytes() == api.addressee.as_bytes();
    if request.headers().get(TO_HEADER).is_none_or(is_ours) {
        return next.run(request).await;
    }
    let message = format!("this is {}", api.addressee);
    Failure::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", message).into_response()
}

const NO_ROUTE: &str = "there is only /kv/{key}, /kv/{key}/cas, /kv/{key}/append, /kv/{key}/add, \
                        /kv/{key}/increment, /status, /snapshot, /snapshot/{number}, /admin/transfer, \
                        /admin/add and /admin/remove";
const NO_METHOD: &str = "GET, PUT and DELETE go to /kv/{key}; POST to its /cas, /append, /add and \
                         /increment, to /admin/... and to /snapshot; GET to /status, /snapshot and \
                         /snapshot/{number}";

/// An answer that is not 2xx.
#[derive(Debug)]
pub(super) struct Failure {
    code: StatusCode,
    body: ErrorBody,
}

impl Failure {
    /// A failure that leaves no doubt: the request had no effect.
    pub(super) fn new(code: StatusCode, error: &str, message: impl Into<String>) -> Self {
        let body = ErrorBody {
            error: error.into(),
            message: message.into(),
            leader: None,
            definite: true,
        };
        Failure { code, body }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    fn too_large(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
    }

    /// A failure after which a write may or may not have taken effect.
    fn unsure(code: StatusCode, error: &str, message: impl Into<String>) -> Self {
        let mut failure = Failure::new(code, error, message);
        failure.body.definite = false;
        failure
    }

    fn refused(refusal: &Refusal) -> Self {
        let (code, error, leader) = match refusal {
            Refusal::NotLeader { leader } => {
                (StatusCode::MISDIRECTED_REQUEST, "not-leader", *leader)
            }
            Refusal::NotMember { member } => {
                (StatusCode::MISDIRECTED_REQUEST, "not-member", *member)
            }
            Refusal::LostLeadership { leader } => {
                (StatusCode::SERVICE_UNAVAILABLE, "lost-leadership", *leader)
            }
            Refusal::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", None),
            Refusal::NotChosen { .. } => (StatusCode::SERVICE_UNAVAILABLE, "not-chosen", None),
            Refusal::Inapplicable { .. } => (StatusCode::CONFLICT, "inapplicable", None),
            Refusal::Unfinished { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unfinished", None),
        };
        let mut failure = Failure::new(code, error, refusal.to_string());
        failure.body.leader = leader;
        failure.body.definite = refusal.is_definite();
        failure
    }

    fn rejected(rejection: &Rejection) -> Self {
        let message = rejection.to_string();
        match rejection {
            Rejection::TypeMismatch { .. } => {
                Failure::new(StatusCode::CONFLICT, "type-mismatch", message)
            }
            Rejection::TooLarge => Failure::too_large(message),
            Rejection::Overflow => Failure::new(StatusCode::CONFLICT, "overflow", message),
            // It has no effect now, but an earlier copy of it may have had one.
            Rejection::StaleSequence { .. } => {
                Failure::unsure(StatusCode::CONFLICT, "stale-sequence", message)
            }
        }
    }

    /// The same failure of something that changes nothing.
    fn of_a_read(mut self) -> Self {
        self.body.definite = true;
        self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.code, Json(self.body)).into_response()
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        Failure::bad(format!("the key is not UTF-8: {}", rejection.body_text()))
    }
}

impl From<BytesRejection> for Failure {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Failure::too_large("the body is too large"),
            _ => Failure::bad(rejection.body_text()),
        }
    }
}

pub(super) type Shared<R> = State<Arc<Api<R>>>;
type KeyPath = Result<Path<kv::Key>, PathRejection>;
pub(super) type Body = Result<Bytes, BytesRejection>;

async fn read<R: Replica>(
    State(api): Shared<R>,
    key: KeyPath,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let request = in_context(&headers, Request::Read(checked_key(key)?))?;
    let output = api.ask(request).await.map_err(Failure::of_a_read)?;
    answer(output)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueBody {
    #[serde(deserialize_with = "present")]
    value: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasBody {
    #[serde(deserialize_with = "present")]
    expected: Value,
    #[serde(deserialize_with = "present")]
    new: Value,
}

/// With a function of its own, a field that is missing is an error also where null would do.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Value::deserialize(deserializer)
}

/// The route of a change that takes a value.
fn with_value<R: Replica>(
    method: MethodFilter,
    op: fn(kv::Key, Value) -> Op,
) -> MethodRouter<Arc<Api<R>>> {
    on(
        method,
        move |State(api): Shared<R>, key: KeyPath, headers: HeaderMap, body: Body| async move {
            let key = checked_key(key)?;
            let ValueBody { value } = parse(&body?)?;
            api.write(&headers, op(key, checked_value(value)?)).await
        },
    )
}

async fn delete<R: Replica>(
    State(api): Shared<R>,
    key: KeyPath,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    api.write(&headers, Op::Delete { key: checked_key(key)? }).await
}

async fn cas<R: Replica>(
    State(api): Shared<R>,
    key: KeyPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let key = checked_key(key)?;
    let CasBody { expected, new } = parse(&body?)?;
    let op = Op::Cas { key, expected: checked_value(expected)?, new: checked_value(new)? };
    api.write(&headers, op).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IncrementBody {
    by: i64,
}

async fn increment<R: Replica>(
    State(api): Shared<R>,
    key: KeyPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let key = checked_key(key)?;
    let IncrementBody { by } = parse(&body?)?;
    api.write(&headers, Op::Increment { key, by }).await
}

async fn status<R: Replica>(State(api): Shared<R>) -> Result<Json<StatusBody>, Failure> {
    let (reply, said) = oneshot::channel();
    let status = api.hear(Call::Status(reply), said).await?;
    Ok(Json(StatusBody {
        status,
        about: api.about.clone(),
        messages_sent: api.traffic.sent(),
        messages_dropped: api.traffic.dropped(),
        disk_commits: api.commits.load(Ordering::Relaxed),
    }))
}

async fn peer<R: Replica>(State(api): Shared<R>, body: Body) -> Result<StatusCode, Failure> {
    let (head, parcels) = transport::decode(&body?)
        .map_err(|error| Failure::bad(format!("not messages of a peer: {error}")))?;
    let for_this_node = head.cluster == api.about.cluster && head.to == api.id;
    if !for_this_node || head.from == api.id {
        let message = format!("this is {} of the cluster {:?}", api.id, api.about.cluster);
        return Err(Failure::new(StatusCode::MISDIRECTED_REQUEST, "wrong-node", message));
    }
    api.call(Call::Messages(head.from, parcels)).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl<R: Replica> Api<R> {
    async fn write(&self, headers: &HeaderMap, op: Op) -> Result<Response, Failure> {
        let session = session(headers)?;
        let request = in_context(headers, Request::Write(Command { session, op }))?;
        answer(self.ask(request).await?)
    }

    /// Asks the core and waits for the outcome, but not for ever.
    pub(super) async fn ask(&self, request: Request) -> Result<Output, Failure> {
        let (reply, outcome) = oneshot::channel();
        let asked = async {
            self.call(Call::Request(request, reply)).await?;
            outcome.await.map_err(|_| {
                let message = "the node stopped before it knew the outcome";
                Failure::unsure(StatusCode::SERVICE_UNAVAILABLE, "stopped", message)
            })
        };
        tokio::time::timeout(self.request_timeout, asked)
            .await
            .map_err(|_| self.timed_out())??
            .map_err(|refusal| Failure::refused(&refusal))
    }

    /// Asks the host for something that it knows, and waits for it, but not for ever.
    pub(super) async fn hear<T>(
        &self,
        call: Call<R>,
        said: oneshot::Receiver<T>,
    ) -> Result<T, Failure> {
        self.call(call).await?;
        tokio::time::timeout(self.request_timeout, said)
            .await
            .map_err(|_| self.timed_out().of_a_read())?
            .map_err(|_| stopping())
    }

    async fn call(&self, call: Call<R>) -> Result<(), Failure> {
        self.calls.send(call).await.map_err(|_| stopping())
    }

    fn timed_out(&self) -> Failure {
        let message = format!("no outcome within {} ms", self.request_timeout.as_millis());
        Failure::unsure(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }
}

/// The host did not take the call up.
fn stopping() -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the node is stopping")
}

pub(super) fn answer(output: Output) -> Result<Response, Failure> {
    Ok(Json(answer_body(output)?).into_response())
}

fn answer_body(output: Output) -> Result<serde_json::Value, Failure> {
    Ok(match output {
        Output::Done => json!({}),
        Output::Value(value) => json!({ "value": value }),
        Output::Siblings(values) => json!({ "values": values }),
        Output::Cas { applied: true, .. } => json!({ "applied": true }),
        Output::Cas { applied: false, current } => json!({ "applied": false, "current": current }),
        Output::Rejected(rejection) => return Err(Failure::rejected(&rejection)),
        Output::Causal { context, output } => {
            let mut body = answer_body(*output)?;
            body["context"] = json!(context);
            body
        }
    })
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::bad(format!("the body: {error}")))
}

fn checked_key(key: KeyPath) -> Result<kv::Key, Failure> {
    let Path(key) = key?;
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(Failure::bad(format!("a key has 1 to {KEY_MAX} bytes")));
    }
    Ok(key)
}

fn checked_value(value: Value) -> Result<Value, Failure> {
    if value.size() > VALUE_MAX {
        return Err(Failure::too_large(format!("a value has at most {VALUE_MAX} bytes")));
    }
    if value.depth() > DEPTH_MAX {
        return Err(Failure::bad(format!("lists are nested at most {DEPTH_MAX} deep")));
    }
    Ok(value)
}

/// The request of a client that may say what it has seen of the key.
fn in_context(headers: &HeaderMap, request: Request) -> Result<Request, Failure> {
    let Some(header) = headers.get(CONTEXT_HEADER) else { return Ok(request) };
    let bad = |why: String| Failure::bad(format!("{CONTEXT_HEADER}: {why}"));
    let text = header.to_str().map_err(|_| bad("it is no visible ASCII".to_owned()))?;
    let context = text.parse().map_err(|why: kv::NoContext| bad(why.to_string()))?;
    Ok(Request::Causal { context, request: Box::new(request) })
}

/// The session of a request: both headers or neither.
fn session(headers: &HeaderMap) -> Result<Option<Session>, Failure> {
    let (client, sequence) = match (headers.get(SESSION_HEADER), headers.get(SEQUENCE_HEADER)) {
        (None, None) => return Ok(None),
        (Some(client), Some(sequence)) => (client, sequence),
        _ => {
            let both = format!("{SESSION_HEADER} and {SEQUENCE_HEADER} go together");
            return Err(Failure::bad(both));
        }
    };
    let client = client.to_str().ok().filter(|name| (1..=CLIENT_MAX).contains(&name.len()));
    let client = client.ok_or_else(|| {
        Failure::bad(format!("{SESSION_HEADER} is 1 to {CLIENT_MAX} visible ASCII characters"))
    })?;
    let sequence = sequence.to_str().ok().and_then(|text| text.parse().ok());
    let sequence = sequence
        .ok_or_else(|| Failure::bad(format!("{SEQUENCE_HEADER} is a whole number from 0")))?;
    Ok(Some(Session { client: client.into(), sequence }))
}
