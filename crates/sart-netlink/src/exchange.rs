//! What was asked in one datagram, and what the kernel has answered so far. Bytes in, answers out: the sockets, blocking
//! or not, only carry them.

use crate::attr::{HEADER_LEN, Message, NLMSG_DONE, NLMSG_ERROR, Request, find, messages, text, u32_at};
use crate::error::{Refusal, RequestError};

const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLM_F_DUMP: u16 = 0x300;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Dumps tried before giving up on a table that never stands still.
pub(crate) const DUMP_ATTEMPTS: u32 = 16;

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) body: Vec<u8>,
}

/// What came of one request of several: its answers, or the refusal.
pub(crate) type Answer = Result<Vec<Reply>, Refusal>;

/// Requests under way, of consecutive sequence numbers.
#[derive(Debug)]
pub(crate) struct Exchange {
    first: u32,
    answers: Vec<Answer>,
    interrupted: bool,
}

impl Exchange {
    /// Requests that the kernel carries out each, whatever became of the ones before it, as one datagram; `seq` is the
    /// last number used.
    pub(crate) fn of(requests: Vec<Request>, seq: &mut u32) -> (Vec<u8>, Self) {
        let (count, first) = (requests.len(), seq.wrapping_add(1));
        let mut bytes = Vec::new();
        for (index, mut request) in requests.into_iter().enumerate() {
            // Failures are reported anyway; the last acknowledgement says that all have been carried out.
            request.add_flags(if index + 1 == count { NLM_F_REQUEST | NLM_F_ACK } else { NLM_F_REQUEST });
            *seq = seq.wrapping_add(1);
            bytes.extend_from_slice(&request.finish(*seq));
            bytes.resize(crate::attr::align(bytes.len()), 0);
        }
        (bytes, Self::new(first, count))
    }

    /// A dump.
    pub(crate) fn dump(mut request: Request, seq: &mut u32) -> (Vec<u8>, Self) {
        request.add_flags(NLM_F_REQUEST | NLM_F_DUMP);
        *seq = seq.wrapping_add(1);
        (request.finish(*seq), Self::new(*seq, 1))
    }

    fn new(first: u32, count: usize) -> Self {
        let answers = std::iter::repeat_with(|| Ok(Vec::new())).take(count).collect();
        Self { first, answers, interrupted: false }
    }

    /// Takes a datagram, which may speak of other things too; whether everything has been answered now.
    pub(crate) fn take(&mut self, datagram: &[u8]) -> bool {
        for message in messages(datagram) {
            let index = message.seq.wrapping_sub(self.first) as usize;
            let last = index + 1 == self.answers.len();
            let Some(answer) = self.answers.get_mut(index) else { continue };
            self.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
            if matches!(message.kind, NLMSG_ERROR | NLMSG_DONE) {
                if let Some(refusal) = refusal(&message) {
                    *answer = Err(refusal);
                }
                if last {
                    return true;
                }
            } else if let Ok(replies) = answer {
                replies.push(Reply { body: message.body.to_vec() });
            }
        }
        false
    }

    /// Replies to the only request that came since the last call, so that a long dump need not be kept.
    pub(crate) fn so_far(&mut self) -> Vec<Reply> {
        match self.answers.first_mut() {
            Some(Ok(replies)) => std::mem::take(replies),
            _ => Vec::new(),
        }
    }

    /// The answers in the order of the requests.
    pub(crate) fn answers(self) -> Vec<Answer> {
        self.answers
    }

    /// The answer to the only request, to do `what`.
    pub(crate) fn only(mut self, what: &'static str) -> Result<Vec<Reply>, RequestError> {
        let answer = self.answers.pop().ok_or(RequestError::Malformed(what))?;
        answer.map_err(|refusal| RequestError::Refused { what, refusal })
    }

    /// The same for a dump; none if the tables changed under it, so that it must be asked again.
    pub(crate) fn dumped(self, what: &'static str) -> Result<Option<Vec<Reply>>, RequestError> {
        let interrupted = self.interrupted;
        self.only(what).map(|replies| (!interrupted).then_some(replies))
    }
}

/// The error of an `NLMSG_ERROR` or `NLMSG_DONE`, none for success (netlink(7): the number is a negative errno).
fn refusal(message: &Message<'_>) -> Option<Refusal> {
    let errno = u32_at(message.body, 0).map_or(0, u32::cast_signed).saturating_neg();
    if errno <= 0 {
        return None;
    }
    // The request's header follows, then its body unless capped, then the attributes.
    let skip = if message.kind == NLMSG_DONE {
        4
    } else if message.flags & NLM_F_CAPPED != 0 {
        4 + HEADER_LEN
    } else {
        4 + u32_at(message.body, 4).map_or(HEADER_LEN, |len| crate::attr::align(len as usize))
    };
    let tlvs = message.flags & NLM_F_ACK_TLVS != 0;
    let said = message.body.get(skip..).filter(|_| tlvs).and_then(|rest| find(rest, NLMSGERR_ATTR_MSG));
    Some(Refusal { errno, text: said.map(text).unwrap_or_default().to_owned() })
}

#[cfg(test)]
mod tests;
