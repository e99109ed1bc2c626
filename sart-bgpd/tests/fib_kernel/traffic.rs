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
    /// Returns once the socket is bound: a packet before that would have no one to answer it.
    fn spawn(
        name: &str,
        address: &'static str,
        work: impl FnOnce(UdpSocket, &AtomicBool) -> T + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, path) = (Arc::clone(&stop), format!("/run/netns/{name}"));
        let (bound, ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            setns(std::fs::File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            let socket = UdpSocket::bind(address).unwrap();
            bound.send(()).unwrap();
            work(socket, &flag)
        });
        ready.recv().unwrap();
        Self { stop, thread }
    }

    pub fn stop(self) -> T {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Answers each packet; counts them.
pub fn echo(name: &str) -> Counting<u64> {
    Counting::spawn(name, "10.0.1.1:9000", |socket, stop| {
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

pub struct Flow(Counting<(u64, u64, u64)>);

impl Flow {
    /// One packet after the other, each sent once.
    pub fn start(name: &str) -> Self {
        Self(Counting::spawn(name, "0.0.0.0:0", |socket, stop| {
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let (mut sent, mut refused, mut unanswered) = (0u64, 0, 0);
            while !stop.load(Ordering::Relaxed) {
                sent += 1;
                let mut buf = [0; 8];
                if socket.send_to(&sent.to_be_bytes(), "10.0.1.1:9000").is_err() {
                    refused += 1;
                } else if socket.recv(&mut buf).is_err() || buf != sent.to_be_bytes() {
                    unanswered += 1;
                }
            }
            (sent, refused, unanswered)
        }))
    }

    /// Packets sent, refused by our own kernel for want of a route, and unanswered.
    pub fn stop(self) -> (u64, u64, u64) {
        self.0.stop()
    }
}
