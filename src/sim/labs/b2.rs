//! 2B: replication of the log.

use rashomon_stores::kv::Value;

use super::Failure;
use super::lab::{Lab, Started};
use super::steps::{ELECTION, Retry};

/// Commands are committed one after the other, at the next position each.
pub(super) async fn basic_agree(lab: &Lab) -> Result<(), Failure> {
    for index in 1..=3 {
        let (applied, _) = lab.committed(index);
        lab.ensure(applied == 0, || "something was committed before it was started".into())?;
        let at = lab.one(100 * index as i64, lab.servers(), Retry::No).await?;
        lab.ensure(at == index, || format!("the command is at {at}, not {index}"))?;
    }
    Ok(())
}

/// Every command travels to every server once.
pub(super) async fn rpc_bytes(lab: &Lab) -> Result<(), Failure> {
    const SIZE: usize = 5_000;
    lab.one(99, lab.servers(), Retry::No).await?;
    let before = lab.network.borrow().bytes;
    let mut sent = 0;
    for _ in 0..10 {
        let text: String = (0..SIZE).map(|_| (b'a' + lab.random(26) as u8) as char).collect();
        lab.one(text.as_str(), lab.servers(), Retry::No).await?;
        sent += SIZE as u64;
    }
    let bytes = lab.network.borrow().bytes - before;
    lab.expect_at_most("bytes", bytes, lab.servers() as u64 * sent + 50_000)
}

/// Followers are cut off one after the other; without a majority nothing is committed.
pub(super) async fn follower_failure(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    lab.one(101, servers, Retry::No).await?;
    let leader = lab.one_leader().await?;
    lab.disconnect((leader + 1) % servers);
    lab.one(102, servers - 1, Retry::No).await?;
    lab.sleep(ELECTION).await;
    lab.one(103, servers - 1, Retry::No).await?;
    let leader = lab.one_leader().await?;
    lab.disconnect((leader + 1) % servers);
    lab.disconnect((leader + 2) % servers);
    let Some(started) = lab.start(leader, 104) else {
        return lab.fail("the leader refuses a command");
    };
    lab.ensure(started.index == 4, || format!("the command is at {}, not 4", started.index))?;
    lab.sleep(2 * ELECTION).await;
    let (applied, _) = lab.committed(4);
    lab.ensure(applied == 0, || format!("{applied} servers committed without a majority"))
}

/// Leaders are cut off one after the other; without a majority nothing is committed.
pub(super) async fn leader_failure(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    lab.one(101, servers, Retry::No).await?;
    let first = lab.one_leader().await?;
    lab.disconnect(first);
    lab.one(102, servers - 1, Retry::No).await?;
    lab.sleep(ELECTION).await;
    lab.one(103, servers - 1, Retry::No).await?;
    let second = lab.one_leader().await?;
    lab.disconnect(second);
    for server in 0..servers {
        lab.start(server, 104);
    }
    lab.sleep(2 * ELECTION).await;
    let (applied, _) = lab.committed(4);
    lab.ensure(applied == 0, || format!("{applied} servers committed without a majority"))
}

/// A follower that was cut off catches up.
pub(super) async fn fail_agree(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    lab.one(101, servers, Retry::No).await?;
    let leader = lab.one_leader().await?;
    let follower = (leader + 1) % servers;
    lab.disconnect(follower);
    lab.one(102, servers - 1, Retry::No).await?;
    lab.one(103, servers - 1, Retry::No).await?;
    lab.sleep(ELECTION).await;
    lab.one(104, servers - 1, Retry::No).await?;
    lab.one(105, servers - 1, Retry::No).await?;
    lab.connect(follower);
    lab.one(106, servers, Retry::Yes).await?;
    lab.sleep(ELECTION).await;
    lab.one(107, servers, Retry::Yes).await?;
    Ok(())
}

/// With three of five followers cut off nothing is committed, and afterwards all is well.
pub(super) async fn fail_no_agree(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    lab.one(10, servers, Retry::No).await?;
    let leader = lab.one_leader().await?;
    let out = [1, 2, 3].map(|away| (leader + away) % servers);
    lab.disconnect_all(out);
    let Some(started) = lab.start(leader, 20) else {
        return lab.fail("the leader refuses a command");
    };
    lab.ensure(started.index == 2, || format!("the command is at {}, not 2", started.index))?;
    lab.sleep(2 * ELECTION).await;
    let (applied, _) = lab.committed(2);
    lab.ensure(applied == 0, || format!("{applied} servers committed without a majority"))?;
    lab.connect_all(out);
    let leader = lab.one_leader().await?;
    let Some(started) = lab.start(leader, 30) else {
        return lab.fail("the new leader refuses a command");
    };
    let index = started.index;
    lab.ensure((2..=3).contains(&index), || format!("the command is at {index}, not 2 or 3"))?;
    lab.one(1000, servers, Retry::Yes).await?;
    Ok(())
}

/// Commands started at the same time are all committed.
pub(super) async fn concurrent_starts(lab: &Lab) -> Result<(), Failure> {
    for attempt in 0..5 {
        if attempt > 0 {
            lab.sleep(3_000).await;
        }
        let leader = lab.one_leader().await?;
        let Some(Started { term, .. }) = lab.start(leader, 1) else { continue };
        let started = (100..105).map(|command| {
            let lab = lab.clone();
            lab.clone().spawn(async move { lab.start(leader, command) })
        });
        let mut indexes = Vec::new();
        for task in started.collect::<Vec<_>>() {
            indexes.extend(task.join().await.filter(|at| at.term == term).map(|at| at.index));
        }
        if lab.terms().iter().any(|now| *now != term) {
            continue;
        }
        let Some(commands) = all_applied(lab, &indexes, term).await? else { continue };
        for command in (100..105).map(Value::Int) {
            lab.ensure(commands.contains(&command), || format!("{command} is missing"))?;
        }
        return Ok(());
    }
    lab.fail("the term changed too often")
}

/// What is at these positions once all servers have applied them; nothing if the term changed.
async fn all_applied(lab: &Lab, indexes: &[u64], term: u64) -> Result<Option<Vec<Value>>, Failure> {
    let mut commands = Vec::new();
    for index in indexes {
        let Some(command) = lab.wait(*index, lab.servers(), Some(term)).await? else {
            return Ok(None);
        };
        commands.push(command);
    }
    Ok(Some(commands))
}

/// A leader comes back with commands that nobody else has; they go.
pub(super) async fn rejoin(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    lab.one(101, servers, Retry::Yes).await?;
    let first = lab.one_leader().await?;
    lab.disconnect(first);
    for orphan in [102, 103, 104] {
        lab.start(first, orphan);
    }
    lab.one(103, servers - 1, Retry::Yes).await?;
    let second = lab.one_leader().await?;
    lab.disconnect(second);
    lab.connect(first);
    lab.one(104, servers - 1, Retry::Yes).await?;
    lab.connect(second);
    lab.one(105, servers, Retry::Yes).await?;
    Ok(())
}

/// Logs that parted long ago, twice, are made to agree quickly.
pub(super) async fn backup(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    let majority = servers / 2 + 1;
    lab.one(lab.random_command(), servers, Retry::Yes).await?;
    let first = lab.one_leader().await?;
    let near = (first + 1) % servers;
    let far = [2, 3, 4].map(|away| (first + away) % servers);
    lab.disconnect_all(far);
    orphans(lab, first);
    lab.sleep(ELECTION / 2).await;
    lab.disconnect(first);
    lab.disconnect(near);
    lab.connect_all(far);
    many(lab, majority).await?;

    let second = lab.one_leader().await?;
    let other = if second == far[0] { (second + 1) % servers } else { far[0] };
    lab.disconnect(other);
    orphans(lab, second);
    lab.sleep(ELECTION / 2).await;
    lab.disconnect_all(0..servers);
    lab.connect_all([first, near, other]);
    many(lab, majority).await?;
    lab.connect_all(0..servers);
    lab.one(lab.random_command(), servers, Retry::Yes).await?;
    Ok(())
}

/// Commands that their leader cannot commit.
fn orphans(lab: &Lab, leader: usize) {
    for _ in 0..50 {
        lab.start(leader, lab.random_command());
    }
}

async fn many(lab: &Lab, servers: usize) -> Result<(), Failure> {
    for _ in 0..50 {
        lab.one(lab.random_command(), servers, Retry::Yes).await?;
    }
    Ok(())
}

/// Elections, commands and idle time take no more calls than they need.
pub(super) async fn count(lab: &Lab) -> Result<(), Failure> {
    lab.one_leader().await?;
    let calls = lab.calls();
    lab.ensure(calls > 0, || "a leader was elected without a call".into())?;
    lab.expect_at_most("calls to elect a leader", calls, 30)?;
    let mut counted = false;
    for attempt in 0..5 {
        if attempt > 0 {
            lab.sleep(3_000).await;
        }
        counted = count_commands(lab).await?;
        if counted {
            break;
        }
    }
    lab.ensure(counted, || "the term changed too often".into())?;
    let before = lab.calls();
    lab.sleep(ELECTION).await;
    lab.expect_at_most("calls while idle", lab.calls() - before, 3 * 20)
}

/// Counts the calls for some commands; not if the term changes on the way.
async fn count_commands(lab: &Lab) -> Result<bool, Failure> {
    const COMMANDS: u64 = 10;
    let leader = lab.one_leader().await?;
    let before = lab.calls();
    let Some(first) = lab.start(leader, 1) else { return Ok(false) };
    let mut commands = Vec::new();
    for nth in 1..COMMANDS + 2 {
        let command = lab.random_command();
        match lab.start(leader, command.clone()) {
            Some(at) if at.term == first.term => {
                let expected = first.index + nth;
                lab.ensure(at.index == expected, || {
                    format!("the command is at {}, not {expected}", at.index)
                })?;
            }
            _ => return Ok(false),
        }
        commands.push(command);
    }
    for (nth, command) in (1..=COMMANDS).zip(&commands) {
        let at = first.index + nth;
        let Some(found) = lab.wait(at, lab.servers(), Some(first.term)).await? else {
            return Ok(false);
        };
        lab.ensure(found == *command, || format!("command {at} is {found}, not {command}"))?;
    }
    if lab.terms().iter().any(|term| *term != first.term) {
        return Ok(false);
    }
    let bound = (COMMANDS + 1 + 3) * 3;
    lab.expect_at_most("calls for 12 commands", lab.calls() - before, bound)?;
    Ok(true)
}
