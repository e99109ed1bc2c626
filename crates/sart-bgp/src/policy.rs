//! Import and export policy: what a configuration says about routes, and what follows from it for one route.
//!
//! Pure: `(chain, route) -> verdict`. Must never look at a table, a session or a clock.
//!
//! # How an owner of tables uses it
//! 1. [`Policies::new`] compiles the sets and policies of a configuration once; [`Policies::chain`] makes the chain of
//!    one neighbour and direction. Chains are cheap to clone and compare; two neighbours with equal export chains may
//!    share what was computed for one of them.
//! 2. For a route: [`Chain::signature`] looks its prefix up in the chain's trie, which is all that depends on the
//!    prefix. Everything else is [`Chain::judge`], a pure function of the signature and the [`Facts`].
//! 3. Keep the answers of `judge` under (attribute set, signature, and the next hop and the source if [`Chain::reads`]
//!    says that the chain looks at them), for as long as the chain stays and the attribute set's number means that set.
//! 4. [`Verdict::Accept`] holds only what the policy changes. On import: [`Changes::apply`] to the attributes received,
//!    intern, keep the received set beside it if it differs (soft reset needs nothing from the neighbour then). On
//!    export: apply to the attributes of the Loc-RIB first, then do what RFC 4271 section 5.1 wants for the neighbour
//!    (own AS in front, LOCAL_PREF off, a MED received off unless [`Changes::sets_med`]), then the next hop.
//! 5. [`Chain::trivial`] says that the chain accepts everything unchanged: skip all of this.

mod as_path;
mod change;
mod check;
mod community;
mod compile;
mod error;
mod judge;
mod model;
mod node;
#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;
mod trie;

pub use self::as_path::AsPathPattern;
pub use self::change::{Changes, NextHopChange};
pub use self::community::{
    CommunityPattern, ExtCommunityPattern, LargeCommunityPattern, Part, format_community,
    format_ext_community, format_large_community, parse_community, parse_ext_community,
    parse_large_community,
};
pub(crate) use self::compile::End;
pub use self::compile::{Chain, ChainOwner, Policies, Reads};
pub use self::error::PolicyError;
pub use self::judge::{Facts, RejectReason, Rejection, Source, Verdict};
pub use self::model::*;
pub(crate) use self::node::names as node_names;
pub use self::node::{NodeRules, node_policies};
pub use self::trie::Signature;
