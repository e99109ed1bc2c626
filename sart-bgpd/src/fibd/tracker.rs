//! One speaker's questions about next hops, and the engine's answers on their way back. Reconnects for ever; never decides
//! how far anything is.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sart_fib::{Distances, Told, Unresolved};
use sart_rpc::v1::next_hop_service_client::NextHopServiceClient;
use sart_rpc::v1::{NextHopAnswer, NextHopAnswers, NextHopChanges};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// First pause before a speaker is called again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between two calls.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Answers in one message.
const IN_ONE_MESSAGE: usize = 1024;
/// Messages that may wait for the speaker; more of them wait in the engine's table, where newer answers replace older ones.
const QUEUE: usize = 4;

/// What a speaker asks.
#[derive(Debug)]
pub enum Question {
    /// A new stream begins: everything will be asked again.
    Begin,
    /// More next hops, and fewer.
    Change {
        /// To be answered from now on.
        begin: Vec<IpAddr>,
        /// Not asked for any more.
        end: Vec<IpAddr>,
    },
    /// The stream is lost.
    Lost,
}

/// The speaker to serve.
#[derive(Debug)]
pub struct Serve {
    /// Its socket.
    pub socket: PathBuf,
    /// Stamped on every question.
    pub number: usize,
    /// What the engine knows, always as of its last look at the kernel.
    pub known: watch::Receiver<Arc<Distances>>,
}

enum Ended {
    /// Nobody answers any more.
    Engine,
    /// The speaker ended the stream, or never began it.
    Speaker(String),
}

/// Serves a speaker until the engine is gone.
pub async fn serve(mut what: Serve, questions: mpsc::Sender<(usize, Question)>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut began = false;
        let ended = stream(&mut what, &questions, &mut began).await;
        if began {
            pause = FIRST_PAUSE;
            if questions.send((what.number, Question::Lost)).await.is_err() {
                return;
            }
        }
        match ended {
            Ended::Engine => return,
            Ended::Speaker(why) if began => {
                tracing::info!(socket = %what.socket.display(), %why, "the speaker asks about next hops no more");
            }
            Ended::Speaker(why) => {
                tracing::debug!(socket = %what.socket.display(), %why, "the speaker asks about no next hops yet");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn stream(what: &mut Serve, questions: &mpsc::Sender<(usize, Question)>, began: &mut bool) -> Ended {
    let channel = match sart_rpc::connect(&what.socket).await {
        Ok(channel) => channel,
        Err(error) => return Ended::Speaker(error.to_string()),
    };
    let (answers, outgoing) = mpsc::channel(QUEUE);
    let called = NextHopServiceClient::new(channel).track(ReceiverStream::new(outgoing)).await;
    let mut asked = match called {
        Ok(response) => response.into_inner(),
        Err(status) => return Ended::Speaker(status.to_string()),
    };
    *began = true;
    if questions.send((what.number, Question::Begin)).await.is_err() {
        return Ended::Engine;
    }
    let mut told = Told::default();
    loop {
        let ended = tokio::select! {
            changed = next(&mut asked) => match changed {
                Ok((begin, end)) => {
                    told.asked(&begin, &end);
                    let question = Question::Change { begin, end };
                    questions.send((what.number, question)).await.is_err().then_some(Ended::Engine)
                }
                Err(why) => Some(Ended::Speaker(why)),
            },
            changed = what.known.changed() => changed.is_err().then_some(Ended::Engine),
        };
        if let Some(ended) = ended {
            return ended;
        }
        let news = told.plan(&what.known.borrow_and_update());
        if !tell(&answers, &news).await {
            return Ended::Speaker("the speaker takes no answers any more".to_owned());
        }
    }
}

/// What the speaker asks next. An address that cannot be read ends the stream: an answer to half a question is none.
async fn next(asked: &mut Streaming<NextHopChanges>) -> Result<(Vec<IpAddr>, Vec<IpAddr>), String> {
    let message = asked.message().await.map_err(|status| status.to_string())?;
    let changes = message.ok_or_else(|| "the speaker ended the stream".to_owned())?;
    let read = |texts: Vec<String>| {
        let address = |text: String| text.parse().map_err(|_| format!("`{text}` is not an address"));
        texts.into_iter().map(address).collect::<Result<Vec<IpAddr>, String>>()
    };
    Ok((read(changes.begin)?, read(changes.end)?))
}

/// False if the speaker is gone.
async fn tell(answers: &mpsc::Sender<NextHopAnswers>, news: &[(IpAddr, Result<u32, Unresolved>)]) -> bool {
    for part in news.chunks(IN_ONE_MESSAGE) {
        let message = NextHopAnswers { answers: part.iter().map(answer).collect() };
        if answers.send(message).await.is_err() {
            return false;
        }
    }
    true
}

fn answer((address, distance): &(IpAddr, Result<u32, Unresolved>)) -> NextHopAnswer {
    let reason = distance.err().map(|why| why.to_string()).unwrap_or_default();
    NextHopAnswer { address: address.to_string(), metric: distance.ok(), reason }
}
