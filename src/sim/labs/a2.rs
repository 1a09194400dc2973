//! 2A: elections.

use super::Failure;
use super::lab::Lab;
use super::steps::ELECTION;

/// A leader is elected, and stays while nothing fails.
pub(super) async fn initial_election(lab: &Lab) -> Result<(), Failure> {
    lab.one_leader().await?;
    lab.sleep(50).await;
    let term = lab.one_term()?;
    lab.ensure(term >= 1, || "a leader leads no term".into())?;
    lab.sleep(2 * ELECTION).await;
    let later = lab.one_term()?;
    lab.ensure(term == later, || format!("term {term} became {later} while nothing failed"))?;
    lab.one_leader().await?;
    Ok(())
}

/// Leaders that are cut off are replaced while there is a majority, and only then.
pub(super) async fn reelection(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    let first = lab.one_leader().await?;
    lab.disconnect(first);
    lab.one_leader().await?;
    lab.connect(first);
    let second = lab.one_leader().await?;
    let other = (second + 1) % servers;
    lab.disconnect(second);
    lab.disconnect(other);
    lab.sleep(2 * ELECTION).await;
    lab.no_leader()?;
    lab.connect(other);
    lab.one_leader().await?;
    lab.connect(second);
    lab.one_leader().await?;
    Ok(())
}

/// Whichever minority of seven servers is cut off, the rest has a leader.
pub(super) async fn many_elections(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers() as u64;
    lab.one_leader().await?;
    for _ in 0..10 {
        let out = [(); 3].map(|()| lab.random(servers) as usize);
        lab.disconnect_all(out);
        lab.one_leader().await?;
        lab.connect_all(out);
    }
    lab.one_leader().await?;
    Ok(())
}
