//! Live nodes over HTTP: what clients are promised, on one node and on three.

mod cluster;
#[path = "http/snapshots.rs"]
mod snapshots;

use std::time::{Duration, Instant};

use cluster::{Cluster, PATIENCE};
use rashomon_stores::node::server::{
    CLIENT_MAX, CONTEXT_HEADER, DEPTH_MAX, KEY_MAX, SEQUENCE_HEADER, SESSION_HEADER, TO_HEADER,
    VALUE_MAX, addressee,
};
use rashomon_stores::node::{Ailment, Node, NodeError, Snapshots, StorageError};
use rashomon_stores::replica::NodeId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const N1: NodeId = NodeId(1);

/// Sends a request to a node and expects 200 with this body.
async fn expect_ok(cluster: &Cluster, at: NodeId, call: (Method, &str, Value), expected: Value) {
    let (method, path, body) = call;
    let request = cluster.request(at, method.clone(), path);
    let request = if body.is_null() { request } else { request.json(&body) };
    let (status, answer) = cluster.send(request).await;
    assert_eq!((status, answer), (StatusCode::OK, expected), "{method} {path} {body}");
}

#[tokio::test]
async fn one_node_serves_every_operation() {
    let cluster = Cluster::start(1).await;
    assert_eq!(cluster.leader().await, N1);
    let (get, put, post, delete) = (Method::GET, Method::PUT, Method::POST, Method::DELETE);
    let steps = [
        (get.clone(), "/kv/x", Value::Null, json!({"value": null})),
        (put.clone(), "/kv/x", json!({"value": 1}), json!({})),
        (get.clone(), "/kv/x", Value::Null, json!({"value": 1})),
        (post.clone(), "/kv/x/cas", json!({"expected": 1, "new": "a"}), json!({"applied": true})),
        (
            post.clone(),
            "/kv/x/cas",
            json!({"expected": 1, "new": 2}),
            json!({"applied": false, "current": "a"}),
        ),
        (post.clone(), "/kv/x/append", json!({"value": "b"}), json!({})),
        (get.clone(), "/kv/x", Value::Null, json!({"value": "ab"})),
        (delete.clone(), "/kv/x", Value::Null, json!({})),
        (get.clone(), "/kv/x", Value::Null, json!({"value": null})),
        (post.clone(), "/kv/x/cas", json!({"expected": null, "new": 3}), json!({"applied": true})),
        (post.clone(), "/kv/list/append", json!({"value": 1}), json!({})),
        (post.clone(), "/kv/list/append", json!({"value": [2]}), json!({})),
        (post.clone(), "/kv/set/add", json!({"value": 2}), json!({})),
        (post.clone(), "/kv/set/add", json!({"value": 1}), json!({})),
        (post.clone(), "/kv/set/add", json!({"value": 2}), json!({})),
        (get.clone(), "/kv/set", Value::Null, json!({"value": [1, 2]})),
        (post.clone(), "/kv/sum/increment", json!({"by": 5}), json!({})),
        (post, "/kv/sum/increment", json!({"by": -7}), json!({})),
        (get.clone(), "/kv/sum", Value::Null, json!({"value": -2})),
        (get.clone(), "/kv/list", Value::Null, json!({"value": [1, [2]]})),
        (put, "/kv/a%2Fb%20%C3%A9", json!({"value": "slash"}), json!({})),
        (get, "/kv/a%2Fb%20%C3%A9", Value::Null, json!({"value": "slash"})),
    ];
    for (method, path, body, expected) in steps {
        expect_ok(&cluster, N1, (method, path, body), expected).await;
    }
}

/// A port that a node has left may be another's: what is meant for the one is not for the other.
#[tokio::test]
async fn a_request_for_another_node_has_no_effect() {
    let cluster = Cluster::start(1).await;
    cluster.leader().await;
    let about = cluster.send(cluster.request(N1, Method::GET, "/status")).await.1;
    let ours = about["cluster"].as_str().expect("it tells its cluster").to_owned();
    let put = |to: String, value: u64| {
        let request = cluster.request(N1, Method::PUT, "/kv/x").header(TO_HEADER, to);
        cluster.send(request.json(&json!({"value": value})))
    };
    assert_eq!(put(addressee(&ours, 1), 1).await.0, StatusCode::OK);
    for other in [addressee("another", 1), addressee(&ours, 2), ours, "nonsense".to_owned()] {
        let (status, answer) = put(other, 2).await;
        assert_eq!(status, StatusCode::MISDIRECTED_REQUEST);
        assert_eq!((&answer["error"], &answer["definite"]), (&json!("misdirected"), &json!(true)));
    }
    expect_ok(&cluster, N1, (Method::GET, "/kv/x", Value::Null), json!({"value": 1})).await;
}

#[tokio::test]
async fn a_repeated_command_takes_effect_once() {
    let cluster = Cluster::start(1).await;
    cluster.leader().await;
    let append = |sequence: u64, value: &str| {
        cluster
            .request(N1, Method::POST, "/kv/x/append")
            .header(SESSION_HEADER, "client-1")
            .header(SEQUENCE_HEADER, sequence)
            .json(&json!({"value": value}))
    };
    for (sequence, value) in [(1, "a"), (1, "a"), (2, "b"), (2, "b"), (2, "b")] {
        let answer = cluster.send(append(sequence, value)).await;
        assert_eq!(answer, (StatusCode::OK, json!({})));
    }
    let (status, body) = cluster.send(append(1, "a")).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!((&body["error"], &body["definite"]), (&json!("stale-sequence"), &json!(false)));
    expect_ok(&cluster, N1, (Method::GET, "/kv/x", Value::Null), json!({"value": "ab"})).await;
}

#[tokio::test]
async fn bad_requests_are_told_so_in_json() {
    let cluster = Cluster::start(1).await;
    cluster.leader().await;
    let long_key = format!("/kv/{}", "k".repeat(KEY_MAX + 1));
    let longest_key = format!("/kv/{}", "k".repeat(KEY_MAX));
    let text = |bytes: usize| json!({"value": "v".repeat(bytes)}).to_string();
    let largest = text(VALUE_MAX - 8);
    let (large, huge) = (text(VALUE_MAX), text(4 << 20));
    let nested =
        |depth: usize| format!("{{\"value\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    let (deepest, deep, bottomless) = (nested(DEPTH_MAX), nested(DEPTH_MAX + 1), nested(100_000));
    let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
    let cases: &[(&Method, &str, &str, u16)] = &[
        (&get, "/", "", 404),
        (&get, "/kv", "", 404),
        (&get, "/kv/", "", 404),
        (&get, "/kv/a/b", "", 404),
        (&get, "/nothing/here", "", 404),
        (&post, "/kv/x", "", 405),
        (&get, "/kv/x/cas", "", 405),
        (&put, "/status", "", 405),
        (&get, "/kv/%ff", "", 400),
        (&get, &long_key, "", 400),
        (&get, &longest_key, "", 200),
        (&put, "/kv/x", "", 400),
        (&put, "/kv/x", "{", 400),
        (&put, "/kv/x", "5", 400),
        (&put, "/kv/x", "{}", 400),
        (&put, "/kv/x", "{\"value\":1,\"more\":2}", 400),
        (&put, "/kv/x", "{\"value\":1.5}", 400),
        (&put, "/kv/x", "{\"value\":99999999999999999999}", 400),
        (&put, "/kv/x", "{\"value\":{\"a\":1}}", 400),
        (&put, "/kv/x", "{\"value\":1} trailing", 400),
        (&put, "/kv/x", "{\"value\":null}", 200),
        (&put, "/kv/x", "\u{0}\u{1}\u{2}", 400),
        (&put, "/kv/x", &largest, 200),
        (&put, "/kv/x", &large, 413),
        (&put, "/kv/x", &huge, 413),
        (&put, "/kv/x", &deepest, 200),
        (&put, "/kv/x", &deep, 400),
        (&put, "/kv/x", &bottomless, 400),
        (&post, "/kv/x/cas", "{\"new\":1}", 400),
        (&post, "/kv/x/cas", "{\"expected\":1}", 400),
        (&post, "/kv/x/append", "[]", 400),
        (&post, "/kv/x/add", "{}", 400),
        (&post, "/kv/x/increment", "{\"by\":\"a\"}", 400),
        (&post, "/peer", "hello", 400),
        (&post, "/peer", "{\"cluster\":\"other\",\"from\":2,\"to\":1}", 421),
    ];
    for (method, path, body, code) in cases {
        let request = cluster.request(N1, (*method).clone(), path).body((*body).to_owned());
        let (status, answer) = cluster.send(request).await;
        let shown = body.chars().take(60).collect::<String>();
        assert_eq!(status.as_u16(), *code, "{method} {path} {shown}: {answer}");
        if status != StatusCode::OK {
            assert_eq!(answer["definite"], json!(true), "{method} {path} {shown}");
            assert!(answer["error"].is_string() && answer["message"].is_string(), "{answer}");
        }
    }
}

#[tokio::test]
async fn sessions_that_make_no_sense_are_refused() {
    let cluster = Cluster::start(1).await;
    cluster.leader().await;
    let long = "c".repeat(CLIENT_MAX + 1);
    let cases: &[(Option<&str>, Option<&str>)] = &[
        (Some("c"), None),
        (None, Some("1")),
        (Some(""), Some("1")),
        (Some(&long), Some("1")),
        (Some("c"), Some("-1")),
        (Some("c"), Some("one")),
    ];
    for (client, sequence) in cases {
        let mut request = cluster.request(N1, Method::PUT, "/kv/x").json(&json!({"value": 1}));
        if let Some(client) = client {
            request = request.header(SESSION_HEADER, *client);
        }
        if let Some(sequence) = sequence {
            request = request.header(SEQUENCE_HEADER, *sequence);
        }
        let (status, answer) = cluster.send(request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{client:?} {sequence:?}: {answer}");
    }
    expect_ok(&cluster, N1, (Method::GET, "/kv/x", Value::Null), json!({"value": null})).await;
}

#[tokio::test]
async fn contexts_are_refused_where_there_are_none_and_where_they_are_nonsense() {
    let cluster = Cluster::start(1).await;
    cluster.leader().await;
    for (context, code) in [("n1:2@3.0", StatusCode::CONFLICT), ("n1", StatusCode::BAD_REQUEST)] {
        for method in [Method::GET, Method::PUT] {
            let request = cluster.request(N1, method, "/kv/x").json(&json!({"value": 1}));
            let (status, answer) = cluster.send(request.header(CONTEXT_HEADER, context)).await;
            assert_eq!(status, code, "{context}: {answer}");
            assert_eq!(answer["definite"], json!(true), "{answer}");
        }
    }
}

/// Asks a node of an eventual store, with a context if there is one; expects 200 and this much of the
/// body, and returns the context in it.
async fn causal(
    cluster: &Cluster,
    (at, method, path): (u16, Method, &str),
    body: Value,
    context: Option<&str>,
    expected: Value,
) -> String {
    let mut request = cluster.request(NodeId(at), method.clone(), path);
    if !body.is_null() {
        request = request.json(&body);
    }
    if let Some(context) = context {
        request = request.header(CONTEXT_HEADER, context);
    }
    let (status, mut answer) = cluster.send(request).await;
    let told = answer.as_object_mut().and_then(|answer| answer.remove("context"));
    assert_eq!((status, &answer), (StatusCode::OK, &expected), "{method} {path} at n{at} {body}");
    told.and_then(|told| told.as_str().map(str::to_owned)).expect("a context")
}

async fn eventual(settings: &str) -> Cluster {
    Cluster::start_store(&format!("eventual:{settings}"), 3, Snapshots::default()).await
}

#[tokio::test]
async fn concurrent_values_are_all_read_until_somebody_has_seen_them() {
    let mut cluster = eventual("siblings,sessions").await;
    let put = |at| (at, Method::PUT, "/kv/x");
    let get = |at| (at, Method::GET, "/kv/x");
    causal(&cluster, put(1), json!({"value": 1}), None, json!({})).await;
    let two = causal(&cluster, put(2), json!({"value": 2}), None, json!({})).await;
    // A node that has less than its client asks the others: no waiting and no looking again.
    let both = json!({"values": [1, 2]});
    let seen = causal(&cluster, get(1), Value::Null, Some(&two), both.clone()).await;
    causal(&cluster, get(3), Value::Null, Some(&seen), both).await;
    let three = causal(&cluster, put(3), json!({"value": 3}), Some(&seen), json!({})).await;
    causal(&cluster, get(1), Value::Null, Some(&three), json!({"value": 3})).await;
    for id in 1..=3 {
        cluster.stop(NodeId(id)).await;
    }
    for id in 1..=3 {
        cluster.restart(NodeId(id)).await;
    }
    for at in 1..=3 {
        let last = causal(&cluster, get(at), Value::Null, Some(&three), json!({"value": 3})).await;
        causal(&cluster, (at, Method::DELETE, "/kv/gone"), Value::Null, Some(&last), json!({}))
            .await;
    }
}

#[tokio::test]
async fn overlapping_quorums_see_what_was_added_and_live_without_one_node() {
    let mut cluster = eventual("r=2,w=2").await;
    let (get, post) = (Method::GET, Method::POST);
    cluster.stop(NodeId(2)).await;
    for (element, expected) in [(5, json!([5])), (4, json!([4, 5])), (5, json!([4, 5]))] {
        let add = (1, post.clone(), "/kv/set/add");
        causal(&cluster, add, json!({"value": element}), None, json!({})).await;
        let read = (3, get.clone(), "/kv/set");
        causal(&cluster, read, Value::Null, None, json!({"value": expected})).await;
    }
    for (at, by, sum) in [(1, 5, 5), (3, -7, -2)] {
        let path = (at, post.clone(), "/kv/sum/increment");
        causal(&cluster, path, json!({"by": by}), None, json!({})).await;
        let read = (4 - at, get.clone(), "/kv/sum");
        causal(&cluster, read, Value::Null, None, json!({"value": sum})).await;
    }
    let append = cluster.request(N1, post, "/kv/list/append").json(&json!({"value": 1}));
    let (status, answer) = cluster.send(append).await;
    assert_eq!((status, &answer["error"]), (StatusCode::CONFLICT, &json!("inapplicable")));
    cluster.stop(NodeId(3)).await;
    let put = cluster.request(N1, Method::PUT, "/kv/x").json(&json!({"value": 1}));
    let (status, answer) = cluster.send(put).await;
    assert_eq!((status, &answer["error"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unfinished")));
    assert_eq!(answer["definite"], json!(false), "one disk has it");
}

#[tokio::test]
async fn a_counter_that_is_full_is_refused() {
    let cluster = Cluster::start(1).await;
    cluster.leader().await;
    let by = |by: i64| (Method::POST, "/kv/sum/increment", json!({ "by": by }));
    expect_ok(&cluster, N1, by(i64::MAX), json!({})).await;
    let full = cluster.request(N1, Method::POST, "/kv/sum/increment").json(&json!({"by": 1}));
    let (status, answer) = cluster.send(full).await;
    assert_eq!((status, &answer["error"]), (StatusCode::CONFLICT, &json!("overflow")));
    expect_ok(&cluster, N1, (Method::GET, "/kv/sum", Value::Null), json!({"value": i64::MAX}))
        .await;
}

#[tokio::test]
async fn appending_to_a_number_is_refused_and_changes_nothing() {
    let cluster = Cluster::start(1).await;
    cluster.leader().await;
    expect_ok(&cluster, N1, (Method::PUT, "/kv/x", json!({"value": 7})), json!({})).await;
    let append = cluster.request(N1, Method::POST, "/kv/x/append").json(&json!({"value": "a"}));
    let (status, body) = cluster.send(append).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!((&body["error"], &body["definite"]), (&json!("type-mismatch"), &json!(true)));
    expect_ok(&cluster, N1, (Method::GET, "/kv/x", Value::Null), json!({"value": 7})).await;
}

#[tokio::test]
async fn three_nodes_elect_replicate_and_survive_their_leader() {
    let mut cluster = Cluster::start(3).await;
    cluster.done(Method::PUT, "/kv/x", &json!({"value": "kept"})).await;

    let first = cluster.leader().await;
    cluster.stop(first).await;
    let read = cluster.done(Method::GET, "/kv/x", &Value::Null).await;
    assert_eq!(read, json!({"value": "kept"}));
    assert_ne!(cluster.leader().await, first);
    cluster.done(Method::POST, "/kv/x/append", &json!({"value": "!"})).await;

    cluster.restart(first).await;
    let read = cluster.done(Method::GET, "/kv/x", &Value::Null).await;
    assert_eq!(read, json!({"value": "kept!"}));
    assert_eq!(cluster.status(first).await.about.incarnation, 2);
}

#[tokio::test]
async fn who_does_not_lead_says_who_does() {
    let cluster = Cluster::start(3).await;
    for method in [Method::GET, Method::DELETE] {
        // Again only if the leader changes between the questions.
        let (leader, answer) = loop {
            let leader = cluster.leader().await;
            let follower = (1..=3).map(NodeId).find(|id| *id != leader).expect("two others");
            let before = cluster.status(follower).await.status;
            let answer = cluster.send(cluster.request(follower, method.clone(), "/kv/x")).await;
            let after = cluster.status(follower).await.status;
            if (before.leader, before.term) == (after.leader, after.term)
                && before.leader == Some(leader)
            {
                break (leader, answer);
            }
        };
        let (status, body) = answer;
        assert_eq!(status, StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(body["error"], json!("not-leader"));
        assert_eq!(body["leader"], json!(leader));
        assert_eq!(body["definite"], json!(true));
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_restart_of_all() {
    let mut cluster = Cluster::start(3).await;
    for number in 0..20 {
        let path = format!("/kv/key-{number}");
        cluster.done(Method::PUT, &path, &json!({"value": number})).await;
    }
    let leader = cluster.leader().await;
    let term = cluster.status(leader).await.status.term;
    for id in (1..=3).map(NodeId) {
        cluster.stop(id).await;
    }
    for id in (1..=3).map(NodeId) {
        cluster.restart(id).await;
    }
    let leader = cluster.leader().await;
    assert!(cluster.status(leader).await.status.term > term, "terms never start again");
    for number in 0..20 {
        let path = format!("/kv/key-{number}");
        let read = cluster.done(Method::GET, &path, &Value::Null).await;
        assert_eq!(read, json!({"value": number}));
    }
}

/// What a killed process leaves behind is the file as it is while the node runs.
#[tokio::test]
async fn a_node_that_was_away_gets_a_snapshot_and_keeps_it() {
    let snapshots = Snapshots { every: 5, chunk_bytes: 64 };
    let mut cluster = Cluster::start_with(3, snapshots).await;
    let leader = cluster.leader().await;
    let away = NodeId(if leader == NodeId(3) { 1 } else { 3 });
    cluster.stop(away).await;
    for number in 0..40 {
        let body = json!({ "value": number });
        cluster.done(Method::POST, "/kv/list/append", &body).await;
    }
    cluster.restart(away).await;
    let caught_up = async |cluster: &Cluster| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let commit = cluster.status(cluster.leader().await).await.status.commit_index;
            let status = cluster.status(away).await.status;
            if status.applied_index >= commit {
                return status;
            }
            assert!(Instant::now() < deadline, "{status:?} never gets to {commit}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let status = caught_up(&cluster).await;
    assert!(status.last_index - status.snapshot_index < 5, "{status:?}");
    // Alone with what it has on its disk: it begins where its snapshot ends.
    for id in 1..=3 {
        cluster.stop(NodeId(id)).await;
    }
    cluster.restart(away).await;
    assert!(cluster.status(away).await.status.applied_index >= 35);
    for id in (1..=3).filter(|id| *id != away.0) {
        cluster.restart(NodeId(id)).await;
    }
    let all: Vec<u32> = (0..40).collect();
    let answer = cluster.done(Method::GET, "/kv/list", &Value::Null).await;
    assert_eq!(answer, json!({ "value": all }));
}

/// Sends an operator's order to whoever leads until it is done.
async fn order(cluster: &Cluster, path: &str, body: Value) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = cluster.request(cluster.leader().await, Method::POST, path).json(&body);
        let (status, answer) = cluster.send(request).await;
        if status == StatusCode::OK {
            return;
        }
        let passing = [421, 503, 504].contains(&status.as_u16());
        assert!(passing && Instant::now() < deadline, "{path} {body}: {status} {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn leadership_is_handed_over_and_members_come_and_go() {
    let mut cluster = Cluster::start(3).await;
    cluster.done(Method::PUT, "/kv/x", &json!({"value": 1})).await;
    let before = cluster.leader().await;
    let after = NodeId(before.0 % 3 + 1);
    order(&cluster, "/admin/transfer", json!({ "to": after })).await;
    let deadline = Instant::now() + PATIENCE;
    while cluster.leader().await == before {
        assert!(Instant::now() < deadline, "{before} leads again and again");
        order(&cluster, "/admin/transfer", json!({ "to": after })).await;
    }

    // A fourth node knows where the others are; they are told where it is.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = |address| format!("http://{address}");
    let address = url(listener.local_addr().expect("an address"));
    let mut config = cluster.config(N1).clone();
    let data = tempfile::tempdir().expect("a directory");
    config.members = Some((1..=3).map(NodeId).collect());
    config.peers.insert(N1, url(config.listen));
    config.listen.set_port(0);
    (config.id, config.data_dir) = (NodeId(4), data.path().to_owned());
    let fourth = Node::start_on(config.clone(), listener).await.expect("it starts");
    order(&cluster, "/admin/add", json!({ "node": 4, "address": address })).await;
    // So that nobody waits for it to follow whoever leads then.
    cluster.stop(before).await;
    order(&cluster, "/admin/remove", json!({ "node": before })).await;
    let status = cluster.status(cluster.leader().await).await.status;
    let voters: Vec<NodeId> = (1..=4).map(NodeId).filter(|id| *id != before).collect();
    assert_eq!((status.voters, status.learners), (voters, Vec::new()));
    cluster.done(Method::PUT, "/kv/x", &json!({"value": 2})).await;

    let nonsense = [
        ("/admin/transfer", json!({ "to": 9 }), 409),
        ("/admin/add", json!({ "node": 0 }), 400),
        ("/admin/add", json!({ "node": 5, "address": "nowhere" }), 400),
        ("/admin/remove", json!({ "nodes": [1] }), 400),
    ];
    for (path, body, code) in nonsense {
        let request = cluster.request(cluster.leader().await, Method::POST, path).json(&body);
        let (status, answer) = cluster.send(request).await;
        assert_eq!(status.as_u16(), code, "{path} {body}: {answer}");
    }
    // What it is now a member of is in its log.
    fourth.stop().await.expect("it ran");
    let fourth = Node::start(config).await.expect("it starts again");
    fourth.stop().await.expect("it ran");
}

#[tokio::test]
async fn what_was_acknowledged_needs_no_orderly_end() {
    let cluster = Cluster::start(1).await;
    for number in 0..20 {
        let path = format!("/kv/key-{number}");
        cluster.done(Method::PUT, &path, &json!({"value": number})).await;
    }
    let mut config = cluster.config(N1).clone();
    let copy = tempfile::tempdir().expect("a directory");
    std::fs::copy(config.data_dir.join("node.redb"), copy.path().join("node.redb"))
        .expect("a copy");
    config.data_dir = copy.path().to_owned();
    config.listen.set_port(0);
    let node = Node::start(config).await.expect("it recovers");
    for number in 0..20 {
        let url = format!("http://{}/kv/key-{number}", node.address());
        let deadline = Instant::now() + PATIENCE;
        let read = loop {
            let (status, body) = cluster.send(cluster.client.get(&url)).await;
            if status == StatusCode::OK {
                break body;
            }
            assert!(Instant::now() < deadline, "{status} {body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(read, json!({"value": number}));
    }
    node.stop().await.expect("it ran");
}

#[tokio::test]
async fn a_leader_without_a_majority_acknowledges_nothing() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    for id in (1..=3).map(NodeId).filter(|id| *id != leader) {
        cluster.stop(id).await;
    }
    let put = cluster.request(leader, Method::PUT, "/kv/x").json(&json!({"value": 1}));
    let get = cluster.request(leader, Method::GET, "/kv/x");
    let ((put_status, put), (get_status, get)) = tokio::join!(cluster.send(put), cluster.send(get));
    // It notices before the clients lose their patience.
    assert_eq!((put_status.as_u16(), &put["error"]), (503, &json!("lost-leadership")));
    assert_eq!(put["definite"], json!(false), "it may still happen");
    assert_eq!((get_status.as_u16(), &get["error"]), (503, &json!("lost-leadership")));
    assert_eq!(get["definite"], json!(true), "a read never happens later");
    let again = cluster.request(leader, Method::GET, "/kv/x");
    let (status, body) = cluster.send(again).await;
    assert_eq!((status.as_u16(), &body["leader"]), (421, &Value::Null), "nobody leads");
}

#[tokio::test]
async fn a_node_refuses_data_that_is_not_its_own() {
    let mut cluster = Cluster::start(1).await;
    let good = cluster.config(N1).clone();

    let busy = Node::start(good.clone()).await;
    assert!(matches!(busy, Err(NodeError::Listen { .. })), "{busy:?}");
    let mut elsewhere = good.clone();
    elsewhere.listen.set_port(0);
    let open_twice = Node::start(elsewhere.clone()).await;
    assert!(matches!(open_twice, Err(NodeError::Storage(_))), "{open_twice:?}");

    cluster.stop(N1).await;
    let mut other_node = elsewhere.clone();
    other_node.id = NodeId(2);
    let mut other_cluster = elsewhere.clone();
    other_cluster.cluster = "another".to_owned();
    for (config, differs) in [(other_node, "node"), (other_cluster, "cluster")] {
        match Node::start(config).await {
            Err(NodeError::Storage(StorageError::Foreign { what, .. })) => {
                assert_eq!(what, differs);
            }
            other => panic!("{differs}: {other:?}"),
        }
    }
    let node = Node::start(elsewhere).await.expect("its own node still may");
    node.stop().await.expect("it ran");
}

#[tokio::test]
async fn a_corrupt_data_directory_is_refused_with_its_name() {
    let mut cluster = Cluster::start(1).await;
    cluster.stop(N1).await;
    let file = cluster.config(N1).data_dir.join("node.redb");
    let sound = std::fs::read(&file).expect("the database");
    let overwritten = vec![0x5a; sound.len()];
    for broken in [&overwritten[..], &sound[..sound.len() / 2], b"not a database"] {
        std::fs::write(&file, broken).expect("it can be overwritten");
        let error = Node::start(cluster.config(N1).clone()).await.expect_err("a corrupt file");
        assert!(error.to_string().contains("node.redb"), "{error}");
    }
}

/// When the node's own clock says that a change was made: the clock's reading in the context that a
/// write is answered with, in seconds.
async fn clock_of(cluster: &Cluster, id: NodeId) -> f64 {
    let request = cluster.request(id, Method::PUT, "/kv/clock").json(&json!({"value": 1}));
    let (status, body) = cluster.send(request).await;
    assert_eq!(status, 200, "{body}");
    let context = body["context"].as_str().expect("a context").to_owned();
    let (_, reading) = context.split_once('@').unwrap_or_else(|| panic!("no time in {context}"));
    let nanoseconds: f64 =
        reading.split('.').next().and_then(|it| it.parse().ok()).expect("a time");
    nanoseconds / 1e9
}

#[tokio::test]
async fn a_clock_that_is_made_to_be_wrong_shows_it_and_no_other_does() {
    let mut cluster = Cluster::start_store("eventual", 1, Snapshots::default()).await;
    let other = Cluster::start_store("eventual", 1, Snapshots::default()).await;
    let ahead = async |cluster: &Cluster| clock_of(cluster, N1).await - clock_of(&other, N1).await;
    let before = ahead(&cluster).await;
    assert!(before.abs() < 20.0, "both began with the time of day: {before}");
    cluster.node(N1).ailments().befall(Ailment::Leap(Duration::from_secs(3_600)));
    let after = ahead(&cluster).await;
    assert!((3_580.0..3_620.0).contains(&(after - before)), "{before} {after}");
}

#[tokio::test]
async fn a_slow_disk_holds_answers_back_and_a_full_one_stops_its_node() {
    let mut cluster = Cluster::start_store("single", 1, Snapshots::default()).await;
    let stall = Duration::from_millis(400);
    cluster.node(N1).ailments().befall(Ailment::Stall(stall));
    let began = Instant::now();
    let put = |value: u8| json!({"value": value});
    let slow = cluster.request(N1, Method::PUT, "/kv/x").json(&put(1));
    assert_eq!(cluster.send(slow).await.0, 200);
    assert!(began.elapsed() >= stall, "it is not acknowledged before it is durable");

    let ailments = cluster.node(N1).ailments().clone();
    ailments.befall(Ailment::Stall(Duration::ZERO));
    ailments.befall(Ailment::Full(true));
    let lost = cluster.request(N1, Method::PUT, "/kv/x").json(&put(2)).send().await;
    assert!(lost.is_err() || lost.is_ok_and(|answer| answer.status() != 200), "no room, no answer");
    let error = cluster.node(N1).ended().await.expect_err("it cannot go on");
    assert!(error.to_string().contains("no room"), "{error}");
    cluster.forget(N1);
    cluster.restart(N1).await;
    let (_, body) = cluster.send(cluster.request(N1, Method::GET, "/kv/x")).await;
    assert_eq!(body["value"], 1, "what was acknowledged is there, and nothing else");
}
