//! What was worked out for a set before, so that no rule runs twice on it. Must never outlive the set: whoever frees sets
//! names them here.

use std::collections::HashMap;

use super::sets::SetId;

/// One answer per set and question.
#[derive(Debug)]
pub(crate) struct Answers<Q> {
    answers: HashMap<SetId, Vec<(Q, Answer)>>,
}

/// What became of a set: another one (held), or why nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub set: SetId,
    /// [`super::import::Refusal::code`]; 0 if it was taken.
    pub refused: u8,
}

impl<Q> Default for Answers<Q> {
    fn default() -> Self {
        Self { answers: HashMap::new() }
    }
}

/// Questions about one set that are remembered; a policy can tell that many kinds of prefixes apart before it is asked
/// again and again.
const AT_MOST: usize = 64;

impl<Q: PartialEq> Answers<Q> {
    pub(crate) fn get(&self, set: SetId, question: &Q) -> Option<Answer> {
        let known = self.answers.get(&set)?;
        known.iter().find(|(asked, _)| asked == question).map(|(_, answer)| *answer)
    }

    /// Remembers an answer. One that is forgotten for it, to be released.
    pub(crate) fn put(&mut self, set: SetId, question: Q, answer: Answer) -> Option<SetId> {
        let known = self.answers.entry(set).or_default();
        let forgotten = (known.len() >= AT_MOST).then(|| known.swap_remove(0).1.set);
        known.push((question, answer));
        forgotten.filter(|set| set.is_some())
    }

    /// Forgets what is known of freed sets; what is to be released.
    pub(crate) fn forget(&mut self, freed: &[SetId]) -> Vec<SetId> {
        if self.answers.is_empty() {
            return Vec::new();
        }
        let gone = freed.iter().filter_map(|set| self.answers.remove(set)).flatten();
        gone.map(|(_, answer)| answer.set).filter(|set| set.is_some()).collect()
    }

    /// Forgets everything; what is to be released.
    pub(crate) fn clear(&mut self) -> Vec<SetId> {
        let all = core::mem::take(&mut self.answers).into_values().flatten();
        all.map(|(_, answer)| answer.set).filter(|set| set.is_some()).collect()
    }
}
