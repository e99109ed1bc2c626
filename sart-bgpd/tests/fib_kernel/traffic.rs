//! Packets to 10.0.1.1 and who answers them.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

/// A thread inside a namespace that counts until stopped.
pub struct Counting<T> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Counting<T> {
    fn spawn(name: &str, work: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, path) = (Arc::clone(&stop), format!("/run/netns/{name}"));
        let thread = std::thread::spawn(move || {
            setns(std::fs::File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            work(&flag)
        });
        Self { stop, thread }
    }

    pub fn stop(self) -> T {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Answers each packet; counts them.
pub fn echo(name: &str) -> Counting<u64> {
    Counting::spawn(name, |stop| {
        let socket = UdpSocket::bind("10.0.1.1:9000").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (mut buf, mut count) = ([0; 8], 0);
        while !stop.load(Ordering::Relaxed) {
            if let Ok((len, from)) = socket.recv_from(&mut buf) {
                socket.send_to(&buf[..len], from).unwrap();
                count += 1;
            }
        }
        count
    })
}

pub struct Flow(Counting<(u64, u64)>);

impl Flow {
    /// One packet after the other; a refused or unanswered one counts as lost.
    pub fn start(name: &str) -> Self {
        Self(Counting::spawn(name, |stop| {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let (mut sent, mut lost) = (0u64, 0);
            while !stop.load(Ordering::Relaxed) {
                sent += 1;
                let mut buf = [0; 8];
                let answered = socket.send_to(&sent.to_be_bytes(), "10.0.1.1:9000").is_ok()
                    && socket.recv(&mut buf).is_ok()
                    && buf == sent.to_be_bytes();
                lost += u64::from(!answered);
            }
            (sent, lost)
        }))
    }

    /// Packets sent and lost.
    pub fn stop(self) -> (u64, u64) {
        self.0.stop()
    }
}
