//! Wires: what joins the nodes, so that the same hands break either kind.

use std::future::Future;

use crate::grudge::Grudge;
use crate::hands::HandsError;
#[cfg(target_os = "linux")]
use crate::hosts::Hosts;
use crate::link::{Bite, Links};
use crate::trouble::Trouble;

/// What joins the nodes of a cluster: proxies, or a network with a host for each.
pub trait Wires: Send {
    /// Whether the processes are nodes that hear what befalls them, and that they are to end, over
    /// their standard input. Other programs are asked to end by SIGTERM.
    const HEARD: bool;

    /// Lets this be wrong with these links until they are healed.
    ///
    /// # Errors
    /// When it cannot be done; what was done of it heals.
    fn strike(
        &mut self,
        trouble: Trouble,
        grudge: &Grudge,
    ) -> impl Future<Output = Result<(), HandsError>> + Send;

    /// Opens every link, and says what had run into those that something was wrong with.
    ///
    /// # Errors
    /// When one cannot be opened, or what had run into it not be counted.
    fn heal(&mut self) -> impl Future<Output = Result<Vec<Bite>, HandsError>> + Send;

    /// Takes them away, and returns when they are gone.
    fn shut(self) -> impl Future<Output = ()> + Send;
}

impl Wires for Links {
    const HEARD: bool = true;

    async fn strike(&mut self, trouble: Trouble, grudge: &Grudge) -> Result<(), HandsError> {
        Ok(Links::strike(self, trouble, grudge)?)
    }

    async fn heal(&mut self) -> Result<Vec<Bite>, HandsError> {
        Ok(Links::heal(self))
    }

    async fn shut(self) {
        Links::shut(self).await;
    }
}

#[cfg(target_os = "linux")]
impl Wires for Hosts {
    const HEARD: bool = false;

    async fn strike(&mut self, trouble: Trouble, grudge: &Grudge) -> Result<(), HandsError> {
        Ok(Hosts::strike(self, trouble, grudge).await?)
    }

    async fn heal(&mut self) -> Result<Vec<Bite>, HandsError> {
        Ok(Hosts::heal(self).await?)
    }

    async fn shut(self) {
        // It takes programs that have to be waited for. One that fails leaves what `remove` finds.
        let _ = tokio::task::spawn_blocking(|| drop(self)).await;
    }
}
