//! Recordings that end: in order, by overflow, by a full disk, by a kill.

use std::sync::mpsc::Sender;

use sart_bgp::session::ConnId;

use super::*;

/// Waits long, but not for ever.
const LIMIT: Duration = Duration::from_secs(30);

/// A disk that writes only when it is told to, and then to `written`.
struct Disk {
    go: Receiver<()>,
    written: Sender<Vec<u8>>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The test that never says go has failed already.
        let _told = self.go.recv_timeout(LIMIT);
        self.written.send(bytes.to_vec()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn begin() -> Record {
    Record::Begin { version: 1, sart: "0".into(), seed: 1 }
}

fn received(octets: usize) -> Record {
    let step = Step::Received { conn: ConnId(1), bytes: vec![0xab; octets] };
    Record::Input { at: 5, step }
}

fn lines(text: &str) -> Vec<Record> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_slow_disk_ends_the_recording_and_the_file_says_so() {
    let (go, waits) = std::sync::mpsc::channel();
    let (written, read) = std::sync::mpsc::channel();
    let disk = Disk { go: waits, written };
    let (mut recorder, recording) = start_in(Path::new("x"), disk, (1000, 100_000)).unwrap();
    assert!(recorder.record(begin()));
    let taken = (0..100).take_while(|_| recorder.record(received(10_000))).count();
    assert!((9..=20).contains(&taken), "{taken}: at most 100,000 octets wait");
    assert!(!recorder.record(begin()), "what has ended takes nothing more");
    drop(go);
    recording.finish();
    let text = String::from_utf8(read.iter().flatten().collect()).unwrap();
    let lines = lines(&text);
    assert_eq!(lines.len(), taken + 2, "all that was taken, and the end");
    assert_eq!(lines.last(), Some(&Record::End { reason: RecordEnd::Overflow }));
}

#[test]
fn a_disk_that_fails_ends_the_recording_and_nothing_else() {
    let (mut recorder, recording) = start(Path::new("/dev/full")).unwrap();
    let end = std::time::Instant::now() + LIMIT;
    while recorder.record(received(10)) {
        assert!(std::time::Instant::now() < end, "a full disk was never noticed");
        std::thread::yield_now();
    }
    recording.finish();
}

#[test]
fn a_recording_is_for_its_owner_only_and_the_last_one_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.jsonl");
    std::fs::write(&path, "before").unwrap();
    let (mut recorder, recording) = start(&path).unwrap();
    assert!(recorder.record(begin()));
    drop(recorder);
    recording.finish();
    assert_eq!(std::fs::read_to_string(folder.path().join("in.jsonl.old")).unwrap(), "before");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(lines(&text), [begin(), Record::End { reason: RecordEnd::Stopped }]);
    assert!(start(&folder.path().join("no/such")).unwrap_err().to_string().contains("--record"));
}

#[test]
fn half_a_last_line_is_where_a_killed_process_stopped_and_elsewhere_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.jsonl");
    let first = serde_json::to_string(&begin()).unwrap();
    std::fs::write(&path, format!("{first}\n{{\"input\":{{\"at\":5,")).unwrap();
    let replayed = replay(&path, &mut Vec::new()).unwrap();
    assert_eq!(replayed.end(), None);
    std::fs::write(&path, format!("{first}\n{{\"input\":\n{first}\n")).unwrap();
    let refused = replay(&path, &mut Vec::new()).unwrap_err().to_string();
    assert!(refused.contains("in.jsonl:2"), "{refused}");
    std::fs::write(&path, "").unwrap();
    assert!(replay(&path, &mut Vec::new()).unwrap_err().to_string().contains("first line"));
}
