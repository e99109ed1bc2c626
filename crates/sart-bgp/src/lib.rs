//! BGP codec, session, RIB and policy as pure state machines.
//!
//! Nothing here opens a socket, reads a clock or waits: bytes, connection events and `now` go in, values come out.
//! `now` is a [`core::time::Duration`] since any fixed moment the caller picks, and must never go backwards.
//!
//! # Modules
//! - [`wire`] turns bytes into messages and back, and classes every fault by RFC 7606.
//! - [`session`] is one neighbour's RFC 4271 state machine, over one or two TCP connections.
//! - [`policy`] judges routes by what the configuration says about them.
//! - [`rib`] owns every table: what each neighbour sent, what is best, what each neighbour was told.
//! - [`speaker`] owns sessions and RIB; it is the only type that a daemon needs.
//!
//! # The driver loop
//! ```
//! use core::time::Duration;
//! use sart_bgp::speaker::{Speaker, SpeakerInput, SpeakerOutput};
//!
//! let mut speaker = Speaker::new(0x5eed); // a random seed; it only feeds timer jitter
//! let now = Duration::ZERO; // monotonic
//! // 1. Configuration and paths come from the API: `speaker.apply_config(..)`, `speaker.update_paths(..)`.
//! // 2. Sockets report: Accepted, Dialled, DialFailed, Received, Closed. A timer reports Tick.
//! speaker.handle(SpeakerInput::Tick, now);
//! // 3. After every call, drain what is to be done.
//! while let Some(output) = speaker.poll_output() {
//!     match output {
//!         SpeakerOutput::Dial { .. } => { /* connect; answer with Dialled or DialFailed */ }
//!         SpeakerOutput::Send { .. } => { /* queue the bytes behind what the connection already has */ }
//!         SpeakerOutput::Close { .. } => { /* flush what is queued, then close; answer nothing */ }
//!         _ => { /* events for watchers and logs */ }
//!     }
//! }
//! // 4. Sleep until the next input or `speaker.next_deadline()`, whichever comes first; then Tick.
//! let _wake_at = speaker.next_deadline();
//! ```

pub mod config;
pub mod family;
pub mod policy;
pub mod rib;
pub mod session;
pub mod speaker;
pub mod wire;
