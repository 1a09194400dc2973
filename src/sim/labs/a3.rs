//! 3A: a key-value store over Raft.

use super::clerk::Clerk;
use super::kv::{check_items, item};
use super::lab::Lab;
use super::steps::ELECTION;
use super::{Failure, MILLISECOND};

/// Five clients append to one key over a network that loses messages; nothing is there twice.
pub(super) async fn one_key(lab: &Lab) -> Result<(), Failure> {
    const APPENDS: usize = 10;
    let mut clerk = Clerk::of_all(lab);
    clerk.put("k", "").await?;
    let clients: Vec<_> = (0..5)
        .map(|client| {
            let mut clerk = Clerk::of_all(lab);
            lab.spawn(async move {
                for nth in 0..APPENDS {
                    clerk.append("k", &item(client, nth)).await?;
                }
                Ok(())
            })
        })
        .collect();
    for client in clients {
        client.join().await?;
    }
    let value = clerk.get("k").await?;
    (0..5).try_for_each(|client| check_items(lab, client, APPENDS, &value))
}

/// A minority that has the old leader serves nobody; when the network heals it serves all.
pub(super) async fn one_partition(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    let mut clerk = Clerk::of_all(lab);
    clerk.put("1", "13").await?;
    let leader = lab.one_leader().await?;
    let minority = [leader, (leader + 1) % servers];
    lab.split(|server| minority.contains(&server));

    let mut major = Clerk::new(lab, (0..servers).filter(|server| !minority.contains(server)));
    major.put("1", "14").await?;
    major.check("1", "14").await?;

    let (mut writer, mut reader) = (Clerk::new(lab, minority), Clerk::new(lab, minority));
    let reaches = [writer.reach.clone(), reader.reach.clone()];
    let put = lab.spawn(async move { writer.put("1", "15").await });
    let get = lab.spawn(async move { reader.get("1").await });
    lab.sleep(1_000).await;
    lab.ensure(!put.is_over(), || "a put succeeded in a minority".into())?;
    lab.ensure(!get.is_over(), || "a get succeeded in a minority".into())?;
    major.check("1", "14").await?;
    major.put("1", "16").await?;
    major.check("1", "16").await?;

    lab.split(|_| false);
    for reach in reaches {
        reach.borrow_mut().extend(0..servers);
    }
    lab.sleep(ELECTION).await;
    let deadline = lab.now() + 3_000 * MILLISECOND;
    while !(put.is_over() && get.is_over()) {
        lab.ensure(lab.now() < deadline, || "the minority's clients still wait".into())?;
        lab.sleep(20).await;
    }
    put.join().await?;
    get.join().await?;
    clerk.check("1", "15").await
}

/// A client does one operation after the other, faster than heartbeats come.
pub(super) async fn speed(lab: &Lab) -> Result<(), Failure> {
    const OPERATIONS: usize = 1_000;
    /// Three in the time of a heartbeat.
    const MILLISECONDS_MAX: u64 = OPERATIONS as u64 * 100 / 3;
    let mut clerk = Clerk::of_all(lab);
    // Wait until somebody leads.
    clerk.get("x").await?;
    let begin = lab.now();
    for nth in 0..OPERATIONS {
        clerk.append("x", &item(0, nth)).await?;
    }
    let took = (lab.now() - begin) / MILLISECOND;
    let value = clerk.get("x").await?;
    check_items(lab, 0, OPERATIONS, &value)?;
    lab.expect_at_most("ms for 1000 appends", took, MILLISECONDS_MAX)
}
