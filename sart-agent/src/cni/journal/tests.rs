//! What a restart reads back, whatever the crash left.

use super::*;

fn attachment(container: &str, address: &str) -> Attachment {
    let key = AttachmentKey { network: "net".into(), container: container.into(), ifname: "eth0".into() };
    let addresses = vec![PodAddress { address: address.parse().unwrap(), pool: "default".into() }];
    Attachment {
        key,
        pod: String::new(),
        netns: String::new(),
        addresses,
        host_mac: [2; 6],
        pod_mac: [4; 6],
        mtu: 1500,
        ifindex: 3,
        pod_ifindex: 2,
        shaped: false,
    }
}

fn gone(attachment: &Attachment, at: SystemTime) -> Record {
    Record::Gone(Gone::new(attachment.key.clone(), attachment.addresses.clone(), at))
}

fn second(number: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(number)
}

#[test]
fn a_restart_reads_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, c) = (attachment("a", "10.0.0.1"), attachment("b", "10.0.0.2"), attachment("c", "10.0.0.3"));
    let journal = Journal::open(folder.path(), second(10)).unwrap();
    for record in [
        Record::Begun(a.clone()),
        Record::Made(a.clone()),
        Record::Begun(b.clone()),
        Record::Made(c.clone()),
        gone(&c, second(9)),
    ] {
        let number = journal.append(record).unwrap();
        journal.sync(number).unwrap();
    }
    let before = journal.ledger();
    drop(journal);
    let ledger = Journal::open(folder.path(), second(10)).unwrap().ledger();
    assert_eq!(ledger, before);
    assert_eq!(ledger.live[&a.key], (a, true));
    assert_eq!(ledger.live[&b.key], (b, false));
    assert_eq!(ledger.gone[&c.key].at(), second(9));
    let later = Journal::open(folder.path(), second(10_000)).unwrap().ledger();
    assert!(later.gone.is_empty() && later.live.len() == 2, "{later:?}");
}

#[test]
fn a_journal_cut_anywhere_keeps_every_whole_line_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), second(1)).unwrap();
    for n in 1..=3 {
        journal.append(Record::Made(attachment(&format!("c{n}"), &format!("10.0.0.{n}")))).unwrap();
    }
    drop(journal);
    let path = folder.path().join("journal");
    let whole = std::fs::read(&path).unwrap();
    // Odd steps meet every kind of place: checksum, text, the end of a line.
    let cuts = (0..whole.len()).step_by(17).chain([whole.len() - 1, whole.len()]);
    for cut in cuts {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        let journal = Journal::open(folder.path(), second(1)).unwrap();
        assert_eq!(journal.ledger().live.len(), lines, "cut at {cut}");
        if cut % 2 == 1 {
            journal.append(Record::Made(attachment("new", "10.0.0.9"))).unwrap();
            let again = file::read(&path).unwrap();
            assert_eq!(again.live.len(), lines + 1);
        }
    }
}

#[test]
fn lines_of_many_threads_are_all_there_and_numbered_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), second(1)).unwrap();
    let numbers = Mutex::new(std::collections::BTreeSet::new());
    std::thread::scope(|scope| {
        for t in 0..8 {
            let (journal, numbers) = (&journal, &numbers);
            scope.spawn(move || {
                for n in 0..10 {
                    let record = Record::Made(attachment(&format!("t{t}n{n}"), &format!("10.0.{t}.{n}")));
                    let number = journal.append(record).unwrap();
                    journal.sync(number).unwrap();
                    assert!(numbers.lock().unwrap().insert(number));
                }
            });
        }
    });
    drop(journal);
    assert_eq!(Journal::open(folder.path(), second(1)).unwrap().ledger().live.len(), 80);
}

#[test]
fn a_file_that_cannot_be_made_is_named() {
    let error = Journal::open(Path::new("/proc/none"), second(1)).unwrap_err();
    assert!(error.to_string().contains("/proc/none"), "{error}");
}
