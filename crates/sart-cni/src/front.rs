//! The verbs: what each checks before it asks the agent, how long it waits, and what it makes of silence.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use sart_cni::config::{self, Config};
use sart_cni::environment::{Environment, Verb};
use sart_cni::failure::{Failure, code};
use sart_cni::result::Attached;
use sart_cni::wire::{Reply, Request};
use sart_cni::{AttachmentKey, Version, intent};

use crate::agent::{AskError, ask};
use crate::forwarding;
use crate::input::Signals;
use crate::sandbox::{self, Sandbox};

/// A runtime writes the configuration at once.
const INPUT: Duration = Duration::from_secs(10);
/// DEL does not wait longer: the intent does the rest.
const DELETE: Duration = Duration::from_millis(4500);
/// STATUS is asked while ADDs wait for it.
const STATUS: Duration = Duration::from_millis(900);

type Outcome = Result<Option<String>, Failure>;

/// Runs a verb; the first value is the version for an error document.
pub fn run(environment: &Environment) -> (&'static str, Outcome) {
    let newest = Version::NEWEST.text();
    let signals = match Signals::take() {
        Ok(signals) => signals,
        Err(failure) => return (newest, Err(failure)),
    };
    let input = match signals.standard_input(Instant::now() + INPUT) {
        Ok(input) => input,
        Err(failure) => return (newest, Err(failure)),
    };
    match config::parse(&input, environment.verb) {
        Ok(config) => (config.version.text(), dispatch(environment, config, &signals)),
        Err(failure) => (config::version_of(&input), Err(failure)),
    }
}

fn dispatch(environment: &Environment, config: Config, signals: &Signals) -> Outcome {
    match environment.verb {
        Verb::Add => add(environment, config, signals),
        Verb::Del => delete(environment, config, signals),
        Verb::Check => check(environment, config, signals),
        Verb::Gc => {
            config.version.at_least(Version::V110, "GC")?;
            // Without the list nothing is known to be stale.
            if config.valid.is_none() {
                return Ok(None);
            }
            let deadline = Instant::now() + config.timeout;
            plain(environment, config, signals, deadline)
        }
        Verb::Status => {
            config.version.at_least(Version::V110, "STATUS")?;
            status(environment, config, signals)
        }
    }
}

fn add(environment: &Environment, config: Config, signals: &Signals) -> Outcome {
    let deadline = Instant::now() + config.timeout;
    let sandbox = Sandbox::open(environment)?;
    let (version, dns) = (config.version, config.dns.clone());
    let (socket, mut request) = request(environment, config);
    let descriptors = [sandbox.namespace.as_fd(), sandbox.socket.as_fd()];
    let reply = ask(&socket, &mut request, &descriptors, (signals, deadline));
    match reply.map_err(|error| error.failure(&socket))? {
        Reply::Attached(attached) => {
            let has = |six: bool| attached.ips.iter().any(|ip| ip.address.contains(':') == six);
            forwarding::enable(has(false), has(true))?;
            Ok(Some(Attached { dns, ..attached }.document(version)))
        }
        Reply::Failed(failure) => Err(failure),
        Reply::Done => Err(senseless()),
    }
}

/// Needs neither the namespace nor the agent: what cannot be delivered is written down.
fn delete(environment: &Environment, config: Config, signals: &Signals) -> Outcome {
    if !environment.netns.is_empty() {
        sandbox::refuse_own(environment)?;
    }
    let deadline = Instant::now() + config.timeout.min(DELETE);
    let state = config.state.clone();
    let (socket, mut request) = request(environment, config);
    let error = match ask(&socket, &mut request, &[], (signals, deadline)) {
        Ok(Reply::Done) => return Ok(None),
        Ok(Reply::Failed(failure)) => return Err(failure),
        Ok(Reply::Attached(_)) => return Err(senseless()),
        Err(error) => error,
    };
    intent::write(&state, &request.key).map_err(|unwritten| {
        let details = format!("{}; and {}: {unwritten}", error.failure(&socket), state.display());
        Failure::detailed(code::IO, "neither the agent nor its queue of removals can be reached", details)
    })?;
    // The agent may have started meanwhile, and looked into the queue before this entry was there.
    if matches!(error, AskError::Unreachable(_)) {
        let soon = Instant::now() + Duration::from_secs(1);
        drop(ask(&socket, &mut request, &[], (signals, soon)));
    }
    Ok(None)
}

fn check(environment: &Environment, config: Config, signals: &Signals) -> Outcome {
    config.version.at_least(Version::V040, "CHECK")?;
    let Some(previous) = &config.previous else {
        return Err(Failure::new(code::INVALID_CONFIG, "CHECK needs prevResult"));
    };
    Attached::previous(previous)?;
    let deadline = Instant::now() + config.timeout;
    let sandbox = Sandbox::open(environment)?;
    let (socket, mut request) = request(environment, config);
    let descriptors = [sandbox.namespace.as_fd(), sandbox.socket.as_fd()];
    let reply = ask(&socket, &mut request, &descriptors, (signals, deadline));
    nothing(reply.map_err(|error| error.failure(&socket))?)
}

/// Silence means that ADD would fail as well, so it has the code for that and not the one for trying again.
fn status(environment: &Environment, config: Config, signals: &Signals) -> Outcome {
    let deadline = Instant::now() + STATUS;
    let (socket, mut request) = request(environment, config);
    match ask(&socket, &mut request, &[], (signals, deadline)) {
        Ok(reply) => nothing(reply),
        Err(error) => Err(Failure { code: code::NOT_AVAILABLE, ..error.failure(&socket) }),
    }
}

fn plain(environment: &Environment, config: Config, signals: &Signals, deadline: Instant) -> Outcome {
    let (socket, mut request) = request(environment, config);
    let reply = ask(&socket, &mut request, &[], (signals, deadline));
    nothing(reply.map_err(|error| error.failure(&socket))?)
}

fn nothing(reply: Reply) -> Outcome {
    match reply {
        Reply::Done => Ok(None),
        Reply::Failed(failure) => Err(failure),
        Reply::Attached(_) => Err(senseless()),
    }
}

fn senseless() -> Failure {
    Failure::new(
        code::INTERNAL,
        "the agent's answer does not fit the question; are plugin and agent of one release?",
    )
}

fn request(environment: &Environment, config: Config) -> (std::path::PathBuf, Request) {
    let request = Request {
        verb: environment.verb,
        key: AttachmentKey {
            network: config.name,
            container: environment.container.clone(),
            ifname: environment.ifname.clone(),
        },
        netns: environment.netns.clone(),
        arguments: environment.arguments.clone(),
        mtu: config.mtu,
        mac: config.mac,
        shaped: config.shaped,
        previous: config.previous,
        valid: config.valid,
        patience_ms: 0,
    };
    (config.socket, request)
}
