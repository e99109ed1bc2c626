//! A whole speaker under a script of events. It has two neighbours; after each event it must have something to wait
//! for, and what it sends must be whole messages.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use sart_bgp::config::{Config, Global, ImportPolicy, NeighborConfig, TransitPolicy};
use sart_bgp::family::LocalAddresses;
use sart_bgp::policy::PolicyConfig;
use sart_bgp::session::{ConnId, ConnectionEnd};
use sart_bgp::speaker::{Speaker, SpeakerInput, SpeakerOutput};
use sart_bgp::wire::frame::cut;
use sart_bgp::wire::message::MARKER;

/// Events of one script at most: long ones find nothing that short ones do not.
const MAX_EVENTS: usize = 64;

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

fn config() -> Config {
    let mut global = Global::new(65000, Ipv4Addr::new(10, 0, 0, 1));
    global.import = ImportPolicy { accept_all: true, ..ImportPolicy::default() };
    global.transit = TransitPolicy::Full;
    global.decision.multipath = true;
    global.ebgp_requires_policy = false;
    let external = NeighborConfig::new("external", address(2), 65100);
    let internal = NeighborConfig::new("internal", address(3), 65000);
    Config { global, neighbors: vec![external, internal], paths: Vec::new(), policy: PolicyConfig::default() }
}

/// Takes bytes off a script; an empty script gives zeros.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        head
    }
}

struct Stage {
    speaker: Speaker,
    now: Duration,
}

pub(super) fn run(bytes: &[u8]) {
    let mut stage = Stage { speaker: Speaker::new(7), now: Duration::from_secs(1) };
    let applied = stage.speaker.apply_config(config(), stage.now);
    assert!(applied.is_ok(), "{:?}", applied.err());
    stage.drain();
    let mut script = Script(bytes);
    for _ in 0..MAX_EVENTS {
        if script.0.is_empty() {
            break;
        }
        stage.act(&mut script);
        stage.drain();
    }
    assert!(stage.speaker.next_deadline().is_some(), "something always happens next");
}

impl Stage {
    fn act(&mut self, script: &mut Script<'_>) {
        let event = script.byte();
        let peer = address(2 + (event >> 7));
        let conn = ConnId(1 + u64::from(event >> 5));
        let local = LocalAddresses::of(address(1));
        match event % 8 {
            0 => self.handle(SpeakerInput::Dialled { conn, peer, local }),
            1 => {
                let peer = SocketAddr::new(peer, 40000);
                self.handle(SpeakerInput::Accepted { conn, peer, local });
            }
            2 => self.handle(SpeakerInput::DialFailed { peer, error: "refused" }),
            3 => self.handle(SpeakerInput::Closed { conn, end: ConnectionEnd::Broken }),
            4 => {
                self.now += Duration::from_millis(u64::from(script.number()) * 8);
                self.handle(SpeakerInput::Tick);
            }
            5 => {
                let len = usize::from(script.number() % 4096);
                let bytes = script.bytes(len);
                self.handle(SpeakerInput::Received { conn, bytes });
            }
            _ => {
                let kind = script.byte() % 6;
                let len = usize::from(script.number() % 4078);
                let message = framed(kind, script.bytes(len));
                self.handle(SpeakerInput::Received { conn, bytes: &message });
            }
        }
    }

    fn handle(&mut self, input: SpeakerInput<'_>) {
        self.speaker.handle(input, self.now);
    }

    fn drain(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.speaker.poll_output() {
            outputs += 1;
            assert!(outputs < 10_000, "a speaker that never falls silent");
            if let SpeakerOutput::Send { bytes, .. } = output {
                let mut rest = &bytes[..];
                while let Ok(Some((_, length))) = cut(rest, false) {
                    rest = rest.get(length..).unwrap_or_default();
                }
                assert!(rest.is_empty(), "only whole messages are sent");
            }
        }
    }
}

/// A message with a good header.
pub(crate) fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (MARKER.len() + 3 + body.len()) as u16;
    [&MARKER[..], &length.to_be_bytes(), &[kind], body].concat()
}
