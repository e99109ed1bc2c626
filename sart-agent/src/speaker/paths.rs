//! The stream of path changes to the speaker: a change is one frame there, its answer one frame back. Must never have two
//! changes under way.
//!
//! A unary call leaves in two writes (HEADERS, then DATA once the connection has opened its stream, RFC 9113 section 5.1), and
//! the speaker wakes for the first one in vain while the second waits for the processor: up to a millisecond on a busy node.

use futures::channel::mpsc::{self, Sender};
use sart_rpc::v1::{UpdatePathsRequest, UpdatePathsResponse};
use tonic::{Status, Streaming};

use super::{Client, in_time};

/// Both directions of the stream.
#[derive(Debug)]
pub(super) struct PathStream {
    changes: Sender<UpdatePathsRequest>,
    answers: Streaming<UpdatePathsResponse>,
}

impl PathStream {
    /// Opens the stream on a connection, before the first change is due.
    pub(super) async fn open(client: &mut Client) -> Result<Self, Status> {
        let (changes, waiting) = mpsc::channel(1);
        let answers = in_time(client.stream_paths(waiting)).await?.into_inner();
        Ok(Self { changes, answers })
    }

    /// Makes one change and waits until the speaker has applied it.
    pub(super) async fn update(&mut self, change: UpdatePathsRequest) -> Result<UpdatePathsResponse, Status> {
        // Nothing else is under way, so there is room unless the speaker has ended the stream: then its status follows.
        let refused = self.changes.try_send(change).err();
        let ended = || Status::unavailable("the speaker has ended the stream of paths");
        let answer = in_time(self.answers.message()).await?.ok_or_else(ended)?;
        // An answer to nothing that was sent: the two sides do not agree any more.
        refused.map_or(Ok(answer), |error| Err(Status::internal(error.to_string())))
    }
}
