//! Route merge, next-hop resolution and route plans as pure decisions: routes from several sources and a kernel dump go
//! in, a list of kernel writes comes out. No socket, clock, file or runtime; every answer depends on the inputs alone.

pub mod decide;
pub mod guard;
pub mod merge;
pub mod plan;
pub mod resolve;
pub mod route;
pub mod track;

pub use decide::{Channel, Decision, Policy, State, Verdict, decide};
pub use guard::{Guard, Refusal};
pub use merge::{Rib, Source, SourceId, SourceRoute, Target};
pub use plan::{Desired, RouteAction, occupied, plan};
pub use resolve::{ResolveOptions, Resolver, Unresolved};
pub use route::{KernelRoute, Leg, Route, RouteKey, RouteKind};
pub use track::{Distances, Told, Tracked};
