//! What is recorded is all that a second speaker needs, survives being written down, and holds no key.

use std::sync::{Arc, Mutex};

use super::*;
use crate::config::{Password, PrefixLimit};
use crate::policy::{ChainConfig, DefaultAction, NamedSet, Policy, PolicyConfig, Statement};
use crate::session::{ConnectionEnd, SessionState};
use crate::speaker::SpeakerOutput;
use crate::speaker::replay::{Replay, ReplayError};
use crate::wire::message::keepalive;
use crate::wire::open::Open;

/// Keeps every line as the text it would be in a file; takes at most `room` of them.
#[derive(Clone, Debug)]
struct Lines {
    written: Arc<Mutex<Vec<String>>>,
    room: usize,
}

impl Recorder for Lines {
    fn record(&mut self, record: Record) -> bool {
        let mut written = self.written.lock().unwrap();
        written.push(serde_json::to_string(&record).unwrap());
        written.len() < self.room
    }
}

const PEER: &str = "192.0.2.2";
const KEY: &str = "correct horse battery";

fn config(asn: u32) -> Config {
    let mut global = crate::config::Global::new(65_000, [10, 0, 0, 1].into());
    global.import.accept_all = true;
    global.ebgp_requires_policy = false;
    global.transit = crate::config::TransitPolicy::Full;
    global.track_next_hops = true;
    global.next_hop_metrics.insert("192.0.2.9".parse().unwrap(), 7);
    let mut neighbor = NeighborConfig::new("a", PEER.parse().unwrap(), asn);
    neighbor.passive = true;
    neighbor.prefix_limit = Some(PrefixLimit::new(1000));
    neighbor.import = Some(ChainConfig { policies: vec!["p".into()], default: DefaultAction::Accept });
    neighbor.transport.password = Some(Password::new(KEY.into()));
    Config { global, neighbors: vec![neighbor], paths: vec![path("10.1.0.0/24")], policy: policy() }
}

fn policy() -> PolicyConfig {
    let mut policy = PolicyConfig::default();
    policy.sets.as_paths.push(NamedSet { name: "s".into(), members: vec!["^65001_".parse().unwrap()] });
    policy
        .sets
        .ext_communities
        .push(NamedSet { name: "e".into(), members: vec!["rt:*:100".parse().unwrap()] });
    let statement = Statement { name: "one".into(), ..Statement::default() };
    policy.policies.push(Policy { name: "p".into(), statements: vec![statement] });
    policy
}

fn path(prefix: &str) -> LocalPath {
    LocalPath::new(prefix.parse().unwrap())
}

/// An UPDATE with ORIGIN IGP, an AS path of 65001 and one /24 for each number.
fn update(numbers: impl Iterator<Item = u8>) -> Vec<u8> {
    let attributes = [0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9, 0x40, 3, 4, 192, 0, 2, 2];
    let nlri: Vec<u8> = numbers.flat_map(|number| [24, 10, 50, number]).collect();
    let mut message = vec![0xff; 16];
    let length = 19 + 4 + attributes.len() + nlri.len();
    message.extend(u16::try_from(length).unwrap().to_be_bytes());
    message.extend([2, 0, 0, 0, attributes.len() as u8]);
    message.extend(attributes);
    message.extend(nlri);
    message
}

fn open() -> Vec<u8> {
    let capabilities = vec![
        crate::wire::capability::Capability::Multiprotocol(crate::family::Family::IPV4_UNICAST),
        crate::wire::capability::Capability::FourOctetAs(65_001),
    ];
    Open { asn: 65_001, hold_time: 90, router_id: [10, 0, 0, 2].into(), capabilities }.encode()
}

fn drain(speaker: &mut Speaker) -> Vec<SpeakerOutput> {
    core::iter::from_fn(|| speaker.poll_output()).collect()
}

/// A recorded speaker, its clock and what it gave.
struct Story {
    speaker: Speaker,
    now: Duration,
    outputs: Vec<SpeakerOutput>,
    written: Arc<Mutex<Vec<String>>>,
}

impl Story {
    fn new(room: usize) -> Self {
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines { written: Arc::clone(&written), room };
        let speaker = Speaker::recorded(7, Box::new(lines));
        Self { speaker, now: Duration::ZERO, outputs: Vec::new(), written }
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Speaker, Duration) -> T) -> T {
        self.now += Duration::from_nanos(1_000_003);
        let answer = act(&mut self.speaker, self.now);
        self.outputs.extend(drain(&mut self.speaker));
        answer
    }

    fn input(&mut self, input: SpeakerInput<'_>) {
        self.act(|speaker, now| speaker.handle(input, now));
    }
}

/// A session with routes both ways, every kind of change, and an end. The outputs and the lines.
fn story(room: usize) -> (Vec<SpeakerOutput>, Vec<String>) {
    let mut story = Story::new(room);
    let peer: IpAddr = PEER.parse().unwrap();
    let conn = ConnId(1);
    story.act(|speaker, now| speaker.apply_config(config(65_001), now)).unwrap();
    story.input(SpeakerInput::TrackerUp);
    let local = LocalAddresses::of("192.0.2.1".parse().unwrap());
    story.input(SpeakerInput::Accepted { conn, peer: SocketAddr::new(peer, 40_000), local });
    for bytes in [open(), keepalive(), update(0..200), update(3..9)] {
        story.input(SpeakerInput::Received { conn, bytes: &bytes });
    }
    story
        .input(SpeakerInput::NextHops { answers: &[(peer, Some(3)), ("192.0.2.77".parse().unwrap(), None)] });
    story.input(SpeakerInput::TrackerDown);
    assert_eq!(story.speaker.neighbors(story.now)[0].state, SessionState::Established);
    assert_eq!(story.speaker.neighbors(story.now)[0].prefixes_accepted, 200);
    story.act(|speaker, _| speaker.set_fed(false));
    let (upserts, withdrawals) = (vec![path("10.2.0.0/24")], ["10.1.0.0/24".parse().unwrap()]);
    story.act(|speaker, now| speaker.update_paths(upserts, &withdrawals, now)).unwrap();
    story.act(|speaker, now| speaker.take_in(SpeakerInput::Sent { conn, octets: 30 }, now));
    story.now += Duration::from_secs(31);
    story.input(SpeakerInput::Tick);
    story.act(|speaker, now| speaker.drain(true, now)).unwrap();
    story.act(|speaker, now| speaker.ask_refresh(peer, now)).unwrap();
    story.act(|speaker, now| speaker.reset(peer, "again", now)).unwrap();
    story.input(SpeakerInput::Closed { conn, end: ConnectionEnd::Finished });
    let mut changed = config(65_001);
    changed.neighbors[0].transport.password = Some(Password::new("another".into()));
    story.act(|speaker, now| speaker.apply_config(changed, now)).unwrap();
    story.act(|speaker, now| speaker.delete_neighbor(peer, now)).unwrap();
    story.act(|speaker, now| speaker.shutdown("bye", now));
    let lines = story.written.lock().unwrap().clone();
    (story.outputs, lines)
}

fn replay(lines: &[String]) -> Result<(Vec<SpeakerOutput>, Replay), ReplayError> {
    let mut records = lines.iter().map(|line| serde_json::from_str::<Record>(line).unwrap());
    let mut replay = Replay::begin(records.next().unwrap())?;
    let mut outputs = Vec::new();
    for record in records {
        outputs.extend(replay.step(record)?);
    }
    Ok((outputs, replay))
}

#[test]
fn a_second_speaker_fed_by_the_lines_gives_the_same_outputs_to_the_octet() {
    let (outputs, lines) = story(usize::MAX);
    let (again, replay) = replay(&lines).unwrap();
    let print = |outputs: &[SpeakerOutput]| outputs.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(print(&outputs), print(&again));
    let sent = outputs.iter().filter(|output| matches!(output, SpeakerOutput::Send { .. })).count();
    assert!(sent >= 5, "{:#?}", print(&outputs));
    assert!(outputs.iter().any(|output| matches!(output, SpeakerOutput::BestPath(_))));
    let (compared, checks) = replay.compared();
    assert_eq!(compared, outputs.len() as u64);
    assert!(checks >= 10, "{checks}");
}

#[test]
fn no_line_holds_a_key_and_a_changed_key_has_another_number() {
    let (_, lines) = story(usize::MAX);
    assert!(lines.iter().all(|line| !line.contains(KEY) && !line.contains("another")));
    let numbers: Vec<_> = lines
        .iter()
        .filter_map(|line| match serde_json::from_str(line).unwrap() {
            Record::Input { step: Step::Apply { keys, .. }, .. } => Some(keys[&PEER.parse().unwrap()]),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, [0, 0, 1], "first, draining, changed");
}

#[test]
fn a_line_that_was_changed_is_found_at_the_next_check() {
    let (_, mut lines) = story(usize::MAX);
    let line = lines.iter_mut().find(|line| line.contains("update_paths")).unwrap();
    *line = line.replace("10.2.0.0/24", "10.3.0.0/24");
    let error = replay(&lines).unwrap_err();
    assert!(matches!(error, ReplayError::Differs { .. }), "{error}");
}

#[test]
fn a_recorder_that_takes_no_more_is_asked_no_more_and_changes_nothing() {
    let (all, _) = story(usize::MAX);
    let (outputs, lines) = story(6);
    assert_eq!((outputs, lines.len()), (all, 6));
}

#[test]
fn another_version_or_a_part_is_refused_with_a_reason() {
    let begin = |version| Record::Begin { version, sart: "9.9.9".into(), seed: 1 };
    let other = Replay::begin(begin(RECORD_VERSION + 1)).unwrap_err();
    assert!(other.to_string().contains("9.9.9"), "{other}");
    let end = Record::End { reason: RecordEnd::Stopped };
    assert_eq!(Replay::begin(end.clone()).unwrap_err().reason(), "NoBegin");
    let mut replay = Replay::begin(begin(RECORD_VERSION)).unwrap();
    replay.step(end).unwrap();
    assert_eq!(replay.step(begin(RECORD_VERSION)).unwrap_err().reason(), "Misplaced");
}
