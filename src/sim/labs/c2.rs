//! 2C: what servers know survives them; and networks that lose, delay and reorder.

use std::cell::Cell;
use std::rc::Rc;

use rashomon_stores::kv::Value;

use super::Failure;
use super::lab::Lab;
use super::steps::{ELECTION, Retry};

/// Commands survive the restart of all servers, of leaders and of followers.
pub(super) async fn persist1(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    lab.one(11, servers, Retry::Yes).await?;
    for server in 0..servers {
        lab.restart(server)?;
    }
    lab.one(12, servers, Retry::Yes).await?;

    let leader = lab.one_leader().await?;
    lab.restart(leader)?;
    lab.one(13, servers, Retry::Yes).await?;

    let leader = lab.one_leader().await?;
    lab.disconnect(leader);
    lab.one(14, servers - 1, Retry::Yes).await?;
    lab.restart(leader)?;
    lab.wait(4, servers, None).await?;

    let follower = (lab.one_leader().await? + 1) % servers;
    lab.disconnect(follower);
    lab.one(15, servers - 1, Retry::Yes).await?;
    lab.restart(follower)?;
    lab.one(16, servers, Retry::Yes).await?;
    Ok(())
}

/// Majorities that overlap in one server follow each other, with restarts between.
pub(super) async fn persist2(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    let mut command = 10;
    let mut next = || {
        command += 1;
        command
    };
    for _ in 0..5 {
        lab.one(next(), servers, Retry::Yes).await?;
        let leader = lab.one_leader().await?;
        let [first, second, third, fourth] = [1, 2, 3, 4].map(|away| (leader + away) % servers);
        lab.disconnect_all([first, second]);
        lab.one(next(), servers - 2, Retry::Yes).await?;
        lab.disconnect_all([leader, third, fourth]);
        lab.restart(first)?;
        lab.restart(second)?;
        lab.sleep(ELECTION).await;
        lab.restart(third)?;
        lab.one(next(), servers - 2, Retry::Yes).await?;
        lab.connect_all([fourth, leader]);
    }
    lab.one(1000, servers, Retry::Yes).await?;
    Ok(())
}

/// A leader and a follower crash; what they had committed without the third survives.
pub(super) async fn persist3(lab: &Lab) -> Result<(), Failure> {
    lab.one(101, 3, Retry::Yes).await?;
    let leader = lab.one_leader().await?;
    let [near, far] = [1, 2].map(|away| (leader + away) % 3);
    lab.disconnect(far);
    lab.one(102, 2, Retry::Yes).await?;
    lab.crash(leader);
    lab.crash(near);
    lab.connect(far);
    lab.restart(leader)?;
    lab.one(103, 2, Retry::Yes).await?;
    lab.restart(near)?;
    lab.one(104, 3, Retry::Yes).await?;
    let survivors = (1..=4).map(|index| lab.committed(index).1);
    let found = survivors.flatten().any(|command| command == Value::Int(102));
    lab.ensure(found, || "command 102 was committed and is gone".into())
}

/// Leaders crash soon after they took a command up, many times: the situation of figure 8 in the
/// paper, in which an entry of an earlier term must not be committed by counting.
pub(super) async fn figure_8(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    lab.one(lab.random_command(), 1, Retry::Yes).await?;
    for _ in 0..1_000 {
        let leader = start_everywhere(lab, |server| lab.is_up(server));
        pause(lab).await;
        if let Some(leader) = leader {
            lab.crash(leader);
        }
        if (0..servers).filter(|server| lab.is_up(*server)).count() <= servers / 2 {
            let server = lab.random(servers as u64) as usize;
            if !lab.is_up(server) {
                lab.restart(server)?;
            }
        }
    }
    for server in 0..servers {
        if !lab.is_up(server) {
            lab.restart(server)?;
        }
    }
    lab.one(lab.random_command(), servers, Retry::Yes).await?;
    Ok(())
}

/// Hands a command to every server that runs, and says who took it last and is eligible.
fn start_everywhere(lab: &Lab, eligible: impl Fn(usize) -> bool) -> Option<usize> {
    let mut leader = None;
    for server in 0..lab.servers() {
        let started = lab.start(server, lab.random(10_000) as i64);
        if started.is_some() && eligible(server) {
            leader = Some(server);
        }
    }
    leader
}

/// Usually a few milliseconds, sometimes half an election.
async fn pause(lab: &Lab) {
    let longest = if lab.chance(0.1) { ELECTION / 2 } else { 13 };
    lab.sleep(lab.random(longest)).await;
}

/// Many commands at the same time, over a network that loses some of it.
pub(super) async fn unreliable_agree(lab: &Lab) -> Result<(), Failure> {
    let mut others = Vec::new();
    for round in 1..50 {
        for nth in 0..4 {
            let own = lab.clone();
            others.push(lab.spawn(async move { own.one(100 * round + nth, 1, Retry::Yes).await }));
        }
        lab.one(round, 1, Retry::Yes).await?;
    }
    lab.network.borrow_mut().unreliable = false;
    for other in others {
        other.join().await?;
    }
    lab.one(100, lab.servers(), Retry::Yes).await?;
    Ok(())
}

/// As [`figure_8`], with cuts in place of crashes and answers that come much too late.
pub(super) async fn figure_8_unreliable(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    lab.one(lab.random(10_000) as i64, 1, Retry::Yes).await?;
    for round in 0..1_000 {
        if round == 200 {
            lab.network.borrow_mut().reordering = true;
        }
        let leader = start_everywhere(lab, |server| lab.is_connected(server));
        pause(lab).await;
        if let Some(leader) = leader
            && lab.chance(0.5)
        {
            lab.disconnect(leader);
        }
        if (0..servers).filter(|server| lab.is_connected(*server)).count() <= servers / 2 {
            lab.connect(lab.random(servers as u64) as usize);
        }
    }
    lab.connect_all(0..servers);
    lab.one(lab.random(10_000) as i64, servers, Retry::Yes).await?;
    Ok(())
}

/// Servers come and go while clients work; whatever a client saw committed stays.
pub(super) async fn churn(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    let stop = Rc::new(Cell::new(false));
    let clients: Vec<_> =
        (0..3).map(|number| lab.spawn(churn_client(lab.clone(), number, stop.clone()))).collect();
    for _ in 0..20 {
        let any = || lab.random(servers as u64) as usize;
        if lab.chance(0.2) {
            lab.disconnect(any());
        }
        if lab.chance(0.5) {
            let server = any();
            if !lab.is_up(server) {
                lab.start_server(server)?;
            }
            lab.connect(server);
        }
        if lab.chance(0.2) {
            lab.crash(any());
        }
        // Long enough for some elections to be over and for others not to be.
        lab.sleep(ELECTION * 7 / 10).await;
    }
    lab.sleep(ELECTION).await;
    lab.network.borrow_mut().unreliable = false;
    for server in 0..servers {
        if !lab.is_up(server) {
            lab.start_server(server)?;
        }
        lab.connect(server);
    }
    stop.set(true);
    let mut seen = Vec::new();
    for client in clients {
        seen.extend(client.join().await);
    }
    lab.sleep(ELECTION).await;
    let last = lab.one(lab.random_command(), servers, Retry::Yes).await?;
    let mut log = Vec::new();
    for index in 1..=last {
        log.extend(lab.wait(index, servers, None).await?);
    }
    match seen.iter().find(|command| !log.contains(command)) {
        Some(lost) => lab.fail(format!("a client saw {lost} committed, and it is gone")),
        None => Ok(()),
    }
}

/// Commits random commands wherever it can, and says which it saw committed.
async fn churn_client(lab: Lab, number: u64, stop: Rc<Cell<bool>>) -> Vec<Value> {
    let mut seen = Vec::new();
    while !stop.get() {
        let command = lab.random_command();
        let started = (0..lab.servers()).filter_map(|server| lab.start(server, command.clone()));
        let Some(started) = started.fold(None, |_, latest| Some(latest)) else {
            lab.sleep(79 + 17 * number).await;
            continue;
        };
        for pause in [10, 20, 50, 100, 200] {
            if let (1.., committed) = lab.committed(started.index) {
                if committed.as_ref() == Some(&command) {
                    seen.push(command);
                }
                break;
            }
            lab.sleep(pause).await;
        }
    }
    seen
}
