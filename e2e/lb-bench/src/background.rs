//! The load beside the measured flips: many other Services whose endpoints flip at a fixed rate.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;

/// The other Services.
pub(crate) struct Others {
    cluster: Cluster,
    names: Vec<String>,
}

/// Flips in progress.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Others {
    /// Creates them, each with a slice of one endpoint that is not ready.
    pub(crate) async fn create(cluster: &Cluster, count: usize) -> anyhow::Result<Self> {
        let names: Vec<String> = (0..count).map(|index| format!("other-{index}")).collect();
        for name in &names {
            cluster.create_slice(name, false).await?;
            cluster.create_service(name).await?;
        }
        Ok(Self { cluster: cluster.clone(), names })
    }

    /// Flips one after the other, `rate` a second.
    pub(crate) fn flip(self, rate: u32) -> Running {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
            for turn in 0_usize.. {
                tokio::select! {
                    _ = &mut stopped => return Ok(()),
                    _ = tick.tick() => {}
                }
                let Some(name) = self.names.get(turn % self.names.len().max(1)) else { return Ok(()) };
                self.cluster.flip(name, (turn / self.names.len()).is_multiple_of(2)).await?;
            }
            Ok(())
        });
        Running { stop, task }
    }
}

impl Running {
    /// Ends the flips; an error is the first that a flip met.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        if self.stop.send(()).is_err() {
            // The task has ended before, on an error that the join brings.
        }
        self.task.await?
    }
}
