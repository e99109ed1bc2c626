//! The next hops that speakers ask about, held against each look at the kernel. Never waits for a speaker.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use sart_fib::{Distances, KernelRoute, ResolveOptions, Resolver, Tracked};
use tokio::sync::{mpsc, watch};

use super::config::{Config, Subscriber};
use super::metrics::Metrics;
use super::tracker::{Question, Serve, serve};

/// Questions waiting between the speakers and the engine.
const QUEUE: usize = 256;
/// Questions taken before they are answered.
const AT_ONCE: usize = 1024;

/// All speakers' questions.
pub struct NextHops {
    speakers: Vec<Speaker>,
    questions: mpsc::Receiver<(usize, Question)>,
    /// Something was asked, or the kernel has changed, since the last answers.
    stale: bool,
}

struct Speaker {
    tracked: Tracked,
    known: watch::Sender<Arc<Distances>>,
}

impl NextHops {
    /// Starts to serve every speaker of the configuration, each once.
    pub fn start(config: &Config) -> Self {
        let subscribers = config.channels.iter().flat_map(|channel| &channel.subscribers);
        let sockets: BTreeSet<&PathBuf> = subscribers
            .filter_map(|subscriber| match subscriber {
                Subscriber::Bgp(socket) => Some(socket),
                Subscriber::Kernel(_) => None,
            })
            .collect();
        let (sender, questions) = mpsc::channel(QUEUE);
        let start = |(number, socket): (usize, &PathBuf)| {
            let (known, answers) = watch::channel(Arc::default());
            let what = Serve { socket: socket.clone(), number, known: answers };
            tokio::spawn(serve(what, sender.clone()));
            Speaker { tracked: Tracked::default(), known }
        };
        let speakers = sockets.into_iter().enumerate().map(start).collect();
        Self { speakers, questions, stale: true }
    }

    /// Waits for questions and takes all that have arrived. Cancel-safe. Never returns without a speaker.
    pub async fn asked(&mut self) {
        let Some(first) = self.questions.recv().await else { return std::future::pending().await };
        self.take(first);
        for _ in 0..AT_ONCE {
            let Ok(more) = self.questions.try_recv() else { return };
            self.take(more);
        }
    }

    /// The kernel's routes or links may have changed.
    pub fn look_again(&mut self) {
        self.stale = true;
    }

    fn take(&mut self, (number, question): (usize, Question)) {
        let Some(speaker) = self.speakers.get_mut(number) else { return };
        self.stale = true;
        match question {
            Question::Begin | Question::Lost => speaker.tracked.clear(),
            Question::Change { begin, end } => speaker.tracked.want(&begin, &end),
        }
    }

    /// Answers what is asked by the kernel's routes, if anything may have changed.
    pub fn answer(&mut self, kernel: &[KernelRoute], options: &ResolveOptions, metrics: &Metrics) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let (mut asked, mut unreachable) = (0, 0);
        // Without a question the index of the routes is not worth making.
        if self
            .speakers
            .iter()
            .any(|speaker| !speaker.tracked.is_empty() || !speaker.known.borrow().is_empty())
        {
            let resolver = Resolver::new(kernel, options);
            for speaker in &self.speakers {
                let distances = speaker.tracked.distances(&resolver);
                asked += distances.len();
                unreachable += distances.values().filter(|distance| distance.is_err()).count();
                note(&speaker.known.borrow(), &distances);
                speaker.known.send_if_modified(|known| {
                    let changed = **known != distances;
                    if changed {
                        *known = Arc::new(distances);
                    }
                    changed
                });
            }
        }
        metrics.next_hops(asked - unreachable, unreachable);
    }
}

/// One line for each next hop that came or went.
fn note(before: &Distances, now: &Distances) {
    for (address, distance) in now.iter().filter(|(address, distance)| before.get(*address) != Some(distance))
    {
        match distance {
            Ok(metric) => tracing::debug!(%address, metric, "a next hop can be reached"),
            Err(why) => tracing::debug!(%address, %why, "a next hop cannot be reached"),
        }
    }
}
