//! Messages to peers: one-way, over one kept HTTP connection per link.
//!
//! A message from a to b is part of the body of a POST on the link a→b, answered by an empty 204;
//! what the protocol answers is a message of its own on the link b→a. Cutting one link therefore
//! cuts exactly one direction.
//!
//! Each link has a bounded queue and a task that sends what has gathered, one request at a time, so
//! messages stay in order. Nothing is sent twice: protocols bear loss, and have to. A link that
//! hangs is given up after a short time together with the connection, and messages that have
//! waited longer than that are dropped, so that after the network heals peers hear fresh news first.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::observe::Envelope;
use crate::observe::snapshot::Marker;
use crate::replica::NodeId;

/// The path under which a node takes its peers' messages.
pub(super) const PATH: &str = "/peer";

/// How many messages may wait for a link; what comes on top is dropped.
const QUEUE_MAX: usize = 1024;

/// When the messages of one request are at least this many bytes, the rest waits for the next.
const REQUEST_BYTES: usize = 1 << 20;

/// How long a link rests after a failure, so that a peer that is down costs little.
const REST: Duration = Duration::from_millis(20);

/// The first line of a request's body. Each further line is a message, unless it begins with
/// [`ENVELOPE`], for what is sent along with the message on the next line, or with [`MARKER`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) cluster: String,
    pub(super) from: NodeId,
    pub(super) to: NodeId,
}

/// With this begins the line of an envelope, and no JSON.
const ENVELOPE: u8 = b'@';

/// With this begins the line of a marker, and no JSON.
const MARKER: u8 = b'!';

/// What travels on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parcel<Message> {
    /// A message of the core, with what is sent along.
    Message(Letter<Message>),
    /// A marker of the observer.
    Marker(Marker),
}

/// A message with what is sent along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter<Message> {
    pub(super) envelope: Option<Envelope>,
    pub(super) message: Message,
}

impl<Message: Serialize> Parcel<Message> {
    /// Adds its lines, each after the end of the line before.
    fn write(&self, body: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        match self {
            Parcel::Message(Letter { envelope, message }) => {
                if let Some(envelope) = envelope {
                    body.extend([b'\n', ENVELOPE]);
                    serde_json::to_writer(&mut *body, envelope)?;
                }
                body.push(b'\n');
                serde_json::to_writer(body, message)
            }
            Parcel::Marker(marker) => {
                body.extend([b'\n', MARKER]);
                serde_json::to_writer(body, marker)
            }
        }
    }
}

/// Reads the body of a request on a link.
pub(super) fn decode<Message: DeserializeOwned>(
    body: &[u8],
) -> Result<(Head, Vec<Parcel<Message>>), serde_json::Error> {
    let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let head = serde_json::from_slice(lines.next().unwrap_or_default())?;
    let (mut parcels, mut envelope) = (Vec::new(), None);
    for line in lines {
        match line {
            [ENVELOPE, line @ ..] => envelope = Some(serde_json::from_slice(line)?),
            [MARKER, line @ ..] => parcels.push(Parcel::Marker(serde_json::from_slice(line)?)),
            line => {
                let message = serde_json::from_slice(line)?;
                parcels.push(Parcel::Message(Letter { envelope: envelope.take(), message }));
            }
        }
    }
    Ok((head, parcels))
}

/// What the links have done.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Traffic {
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The links from this node to all others; dropping them ends their tasks.
#[derive(Debug)]
pub(super) struct Links<Message> {
    cluster: String,
    from: NodeId,
    timeout: Duration,
    queues: BTreeMap<NodeId, mpsc::Sender<(Instant, Parcel<Message>)>>,
    traffic: Arc<Traffic>,
    tasks: JoinSet<()>,
}

impl<Message: Serialize + Send + 'static> Links<Message> {
    /// Prepares a link to each peer. Connections are made when there is something to send.
    pub(super) fn new(
        cluster: &str,
        from: NodeId,
        peers: &BTreeMap<NodeId, String>,
        timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let mut links = Links {
            cluster: cluster.to_owned(),
            from,
            timeout,
            queues: BTreeMap::new(),
            traffic: Arc::default(),
            tasks: JoinSet::new(),
        };
        for (to, base) in peers {
            links.connect(*to, base)?;
        }
        Ok(links)
    }

    /// Prepares a link to one more peer.
    pub(super) fn connect(&mut self, to: NodeId, base: &str) -> Result<(), reqwest::Error> {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let link = Link {
            client: client(self.timeout)?,
            url: format!("{}{PATH}", base.trim_end_matches('/')),
            head: Head { cluster: self.cluster.clone(), from: self.from, to },
            timeout: self.timeout,
            traffic: self.traffic.clone(),
        };
        self.tasks.spawn(link.run(waiting));
        self.queues.insert(to, queue);
        Ok(())
    }

    /// Whether there is a link to a peer.
    pub(super) fn has(&self, to: NodeId) -> bool {
        self.queues.contains_key(&to)
    }

    /// Queues a message, or drops it if the queue is full.
    pub(super) fn send(&self, to: NodeId, parcel: Parcel<Message>) {
        let queued = self.queues.get(&to).map(|queue| queue.try_send((Instant::now(), parcel)));
        if !matches!(queued, Some(Ok(()))) {
            self.traffic.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }
}

/// A client that keeps a single connection, and never goes through a proxy of the environment.
fn client(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(1)
        .connect_timeout(timeout)
        .timeout(timeout)
        .build()
}

struct Link {
    client: reqwest::Client,
    url: String,
    head: Head,
    timeout: Duration,
    traffic: Arc<Traffic>,
}

impl Link {
    async fn run<Message: Serialize>(
        self,
        mut waiting: mpsc::Receiver<(Instant, Parcel<Message>)>,
    ) {
        let mut works = true;
        while let Some(first) = waiting.recv().await {
            let (body, count) = match self.gather(first, &mut waiting) {
                Ok(gathered) => gathered,
                Err(error) => {
                    tracing::error!("{}: a message has no JSON form: {error}", self.head.from);
                    continue;
                }
            };
            if count == 0 {
                continue;
            }
            let result = self.post(body).await;
            self.report(&result, works);
            works = result.is_ok();
            let counter = if works { &self.traffic.sent } else { &self.traffic.dropped };
            counter.fetch_add(count, Ordering::Relaxed);
            if !works {
                tokio::time::sleep(REST).await;
            }
        }
    }

    /// Puts what waits into one body, except what has waited too long; says how many messages.
    fn gather<Message: Serialize>(
        &self,
        first: (Instant, Parcel<Message>),
        waiting: &mut mpsc::Receiver<(Instant, Parcel<Message>)>,
    ) -> Result<(Vec<u8>, u64), serde_json::Error> {
        let mut body = serde_json::to_vec(&self.head)?;
        let mut count = 0;
        let mut next = Some(first);
        while let Some((since, parcel)) = next {
            if since.elapsed() < self.timeout {
                parcel.write(&mut body)?;
                count += 1;
            } else {
                self.traffic.dropped.fetch_add(1, Ordering::Relaxed);
            }
            next = if body.len() < REQUEST_BYTES { waiting.try_recv().ok() } else { None };
        }
        Ok((body, count))
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), String> {
        let response = self.client.post(&self.url).body(body).send().await.map_err(explain)?;
        match response.status() {
            reqwest::StatusCode::NO_CONTENT => Ok(()),
            status => Err(format!("{status}: {}", response.text().await.unwrap_or_default())),
        }
    }

    /// Says when a link begins to fail and when it works again, not each time.
    fn report(&self, result: &Result<(), String>, worked: bool) {
        let Head { from, to, .. } = &self.head;
        match result {
            Ok(()) if !worked => tracing::info!("{from}: the link to {to} works again"),
            Err(why) if worked => tracing::info!("{from}: the link to {to} fails: {why}"),
            _ => {}
        }
    }
}

/// The error with its causes: by itself it only says that a request failed.
fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::http::StatusCode;
    use axum::routing::post;
    use tokio::net::TcpListener;

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(200);
    const PATIENCE: Duration = Duration::from_secs(20);

    fn bare<Message>(message: Message) -> Parcel<Message> {
        Parcel::Message(Letter { envelope: None, message })
    }

    fn messages<Message>(parcels: Vec<Parcel<Message>>) -> Vec<Message> {
        let message = |parcel| match parcel {
            Parcel::Message(letter) => Some(letter.message),
            Parcel::Marker(_) => None,
        };
        parcels.into_iter().filter_map(message).collect()
    }

    fn links(address: std::net::SocketAddr) -> Links<u32> {
        let peers = [(NodeId(2), format!("http://{address}/"))].into();
        Links::new("test", NodeId(1), &peers, TIMEOUT).expect("a client")
    }

    /// A peer that hands on what it hears.
    async fn serve(listener: TcpListener) -> mpsc::UnboundedReceiver<(Head, Vec<Parcel<u32>>)> {
        let (heard, hears) = mpsc::unbounded_channel();
        let take = move |body: Bytes| {
            drop(heard.send(decode(&body).expect("a body that a link made")));
            std::future::ready(StatusCode::NO_CONTENT)
        };
        let router = axum::Router::new().route(PATH, post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        hears
    }

    #[tokio::test]
    async fn messages_arrive_in_order_and_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let links = links(listener.local_addr().expect("an address"));
        let mut hears = serve(listener).await;
        let mut heard = Vec::new();
        for number in 0..500 {
            links.send(NodeId(2), bare(number));
        }
        links.send(NodeId(9), bare(0));
        while heard.len() < 500 {
            let next = tokio::time::timeout(PATIENCE, hears.recv()).await.expect("in time");
            let (head, messages) = next.expect("more");
            let (cluster, from, to) = ("test".to_owned(), NodeId(1), NodeId(2));
            assert_eq!(head, Head { cluster, from, to });
            heard.extend(self::messages(messages));
        }
        assert_eq!(heard, (0..500).collect::<Vec<_>>());
        assert_eq!(links.traffic().dropped(), 1, "the one to nobody");
    }

    #[tokio::test]
    async fn a_full_queue_drops_what_comes_on_top() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let links = links(listener.local_addr().expect("an address"));
        // Nothing is taken from the queue before this task waits.
        for number in 0..QUEUE_MAX as u32 + 7 {
            links.send(NodeId(2), bare(number));
        }
        assert_eq!(links.traffic().dropped(), 7);
    }

    /// A link that swallows everything, until it is healed.
    #[tokio::test]
    async fn a_link_that_hung_works_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let links = links(listener.local_addr().expect("an address"));
        links.send(NodeId(2), bare(0));
        let hole = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("in time");
        // The hung request is given up meanwhile.
        tokio::time::sleep(2 * TIMEOUT).await;
        let mut hears = serve(listener).await;
        links.send(NodeId(2), bare(1));
        let next = tokio::time::timeout(PATIENCE, hears.recv()).await.expect("in time");
        assert_eq!(messages(next.expect("more").1), [1], "nothing is sent twice");
        assert_eq!(links.traffic().dropped(), 1);
        drop(hole);
    }

    fn link_to_nowhere() -> Link {
        Link {
            client: client(TIMEOUT).expect("a client"),
            url: String::new(),
            head: Head { cluster: "test".to_owned(), from: NodeId(1), to: NodeId(2) },
            timeout: PATIENCE,
            traffic: Arc::default(),
        }
    }

    #[test]
    fn what_has_waited_too_long_is_not_sent() {
        let link = link_to_nowhere();
        let now = Instant::now();
        let old = now.checked_sub(PATIENCE).expect("the machine has run for a while");
        let (queue, mut waiting) = mpsc::channel(10);
        for (since, number) in [(old, 2), (now, 3), (old, 4), (now, 5)] {
            queue.try_send((since, bare(number))).expect("room");
        }
        let (body, count) = link.gather((old, bare(1)), &mut waiting).expect("JSON");
        assert_eq!(messages(decode::<u32>(&body).expect("a body").1), [3, 5]);
        assert_eq!((count, link.traffic.dropped()), (2, 3));
    }

    #[test]
    fn envelopes_stand_before_their_messages_and_need_not_be_there() {
        let clock = Some("n1:3,n2:5".parse().expect("a clock"));
        let envelope = Some(Envelope { incarnation: 2, number: 7, snapshot: 0, clock });
        let marker = Marker { snapshot: 1, incarnation: 2, sent: 7, wants: true };
        let link = link_to_nowhere();
        let (queue, mut waiting) = mpsc::channel(10);
        let second = Parcel::Message(Letter { envelope, message: "@".to_owned() });
        let parcels = [bare("one".to_owned()), second, Parcel::Marker(marker)];
        for parcel in &parcels[1..] {
            queue.try_send((Instant::now(), parcel.clone())).expect("room");
        }
        let first = (Instant::now(), parcels[0].clone());
        let (body, _) = link.gather(first, &mut waiting).expect("JSON");
        assert_eq!(decode::<String>(&body).expect("a body").1, parcels);
        let text = String::from_utf8(body).expect("UTF-8");
        let lines = [
            r#"{"cluster":"test","from":1,"to":2}"#,
            r#""one""#,
            r#"@{"incarnation":2,"number":7,"clock":"n1:3,n2:5"}"#,
            r#""@""#,
            r#"!{"snapshot":1,"incarnation":2,"sent":7,"wants":true}"#,
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
        assert!(decode::<String>(b"{\"cluster\":\"test\",\"from\":1,\"to\":2}\n@{}\n1").is_err());
    }
}
