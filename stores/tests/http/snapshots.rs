//! Snapshots of live nodes, over HTTP.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, PATIENCE};
use rashomon_stores::node::{PartBody, SnapshotBody, Snapshots, Told};
use rashomon_stores::observe::cut::Cut;
use rashomon_stores::replica::{NodeId, Status};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const ALL: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

async fn get(cluster: &Cluster, node: NodeId, path: &str) -> (StatusCode, Value) {
    cluster.send(cluster.request(node, Method::GET, path)).await
}

async fn begin(cluster: &Cluster, node: NodeId, body: &Value) -> u64 {
    let request = cluster.request(node, Method::POST, "/snapshot");
    let request = if body.is_null() { request } else { request.json(body) };
    let (status, body) = cluster.send(request).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_value::<SnapshotBody>(body).expect("a number").snapshot
}

/// Waits until a snapshot is complete.
async fn cut(cluster: &Cluster, number: u64) -> Cut<Status, Told> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut parts: BTreeMap<NodeId, PartBody> = BTreeMap::new();
        for node in ALL {
            let (status, body) = get(cluster, node, &format!("/snapshot/{number}")).await;
            if status == StatusCode::OK {
                parts.insert(node, serde_json::from_value(body).expect("a part"));
            }
        }
        match Cut::of(number, &ALL, parts) {
            Ok(cut) => return cut,
            Err(why) => assert!(Instant::now() < deadline, "snapshot {number}: {why}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn any_node_begins_a_snapshot_of_all() {
    let cluster = Cluster::start(3).await;
    cluster.done(Method::PUT, "/kv/x", &json!({"value": 1})).await;
    assert_eq!(get(&cluster, ALL[0], "/snapshot").await, (StatusCode::OK, json!({"snapshot": 0})));
    assert_eq!(begin(&cluster, ALL[1], &Value::Null).await, 1);
    let first = cut(&cluster, 1).await;
    assert!(first.parts.values().all(|part| part.incarnation == 1 && part.state.id == part.node));
    assert!(first.parts.values().any(|part| part.state.commit_index > 0));
    assert_eq!(begin(&cluster, ALL[2], &json!({"snapshot": 7})).await, 7);
    cut(&cluster, 7).await;
    assert_eq!(begin(&cluster, ALL[0], &json!({"snapshot": 3})).await, 7, "that is over");
    let (status, body) = get(&cluster, ALL[0], "/snapshot/1").await;
    assert_eq!((status, &body["error"]), (StatusCode::NOT_FOUND, &json!("no-snapshot")));
    let (status, _) = get(&cluster, ALL[0], "/snapshot/x").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

/// A node that has started again knows nothing of snapshots, and takes part in the next all the same.
#[tokio::test]
async fn a_node_that_was_away_takes_part_in_the_next_snapshot() {
    let mut cluster = Cluster::start_store("eventual", 3, Snapshots::default()).await;
    begin(&cluster, ALL[0], &Value::Null).await;
    cut(&cluster, 1).await;
    cluster.stop(ALL[1]).await;
    begin(&cluster, ALL[0], &Value::Null).await;
    cluster.restart(ALL[1]).await;
    begin(&cluster, ALL[2], &json!({"snapshot": 3})).await;
    let third = cut(&cluster, 3).await;
    let incarnations: Vec<u64> = third.parts.values().map(|part| part.incarnation).collect();
    assert_eq!(incarnations, [1, 2, 1]);
    let digests: Vec<u64> = third.parts.values().map(|part| part.state.digest).collect();
    assert_eq!(digests, [digests[0]; 3]);
}
