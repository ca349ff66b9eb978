//! Owns: lines on their way out: a bounded lock-free queue, and the one thread that writes it away in batches.
//! Refuses: making anybody wait: a line that does not fit is dropped and counted, whoever reads the other end.
//! Always holds: lines leave whole and in the order in which they came in; a change of sink loses none.

use std::{
    fs::File,
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, Thread},
    time::Duration,
};

use crossbeam_queue::ArrayQueue;

/// The most that goes into one write.
const BATCH_BYTES: usize = 64 * 1024;
/// How long the thread sleeps when there was nothing to write.
const IDLE_PAUSE: Duration = Duration::from_millis(50);
/// How long it sleeps after a write, so that the next one carries many lines.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// When a new line wakes the writing thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// At once.
    EachLine,
    /// When the queue is half full; otherwise the thread looks by itself, and no request pays for a wake-up.
    HalfFull,
}

/// The queue's front, shared by everybody who has lines.
#[derive(Debug)]
pub(super) struct LineWriter {
    shared: Arc<Shared>,
    wake: Wake,
    thread: Thread,
    ended: Mutex<Receiver<()>>,
}

#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<Vec<u8>>,
    next_sink: Mutex<Option<Option<File>>>,
    stopping: AtomicBool,
    written: AtomicU64,
    dropped: AtomicU64,
}

/// The thread's side.
struct Writer {
    shared: Arc<Shared>,
    sink: Option<File>,
    batch: Vec<u8>,
    /// A write ended in the middle of a line; the next one starts on a new line.
    torn: bool,
    failing: bool,
    report: fn(&io::Error),
}

impl LineWriter {
    /// Starts the thread. `capacity` is counted in lines; `report` is told the first of a row of failed writes.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(super) fn start(
        name: &str,
        capacity: usize,
        wake: Wake,
        sink: Option<File>,
        report: fn(&io::Error),
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(capacity.max(2)),
            next_sink: Mutex::new(None),
            stopping: AtomicBool::new(false),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let (end, ended) = mpsc::channel();
        let mut writer =
            Writer { shared: Arc::clone(&shared), sink, batch: Vec::new(), torn: false, failing: false, report };
        let handle = thread::Builder::new().name(name.to_owned()).spawn(move || {
            writer.run();
            // Whoever waits in `stop` learns of the end by the channel's closing.
            drop(end);
        })?;
        Ok(Self { shared, wake, thread: handle.thread().clone(), ended: Mutex::new(ended) })
    }

    /// Queues a line, which brings its own line break. Never waits.
    pub(super) fn push(&self, line: Vec<u8>) {
        let queue = &self.shared.queue;
        if queue.push(line).is_err() {
            self.note_dropped();
        } else if self.wake == Wake::EachLine || queue.len() > queue.capacity() / 2 {
            self.thread.unpark();
        }
    }

    /// Whether a line would be dropped now, so that making it can be spared.
    pub(super) fn is_full(&self) -> bool {
        self.shared.queue.is_full()
    }

    /// Counts a line that was not even queued.
    pub(super) fn note_dropped(&self) {
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Lines from now on go to `sink`, or nowhere; those queued before still go where they went.
    pub(super) fn redirect(&self, sink: Option<File>) {
        *self.shared.next_sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
        self.thread.unpark();
    }

    /// Writes away what is queued and ends the thread; waits for it no longer than `within`. Says whether all was written.
    pub(super) fn stop(&self, within: Duration) -> bool {
        self.shared.stopping.store(true, Ordering::Release);
        self.thread.unpark();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(ended.recv_timeout(within), Err(RecvTimeoutError::Disconnected))
    }

    /// Lines written so far.
    pub(super) fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Lines lost so far, because nobody read fast enough or a write failed.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn next_sink(&self) -> Option<Option<File>> {
        self.next_sink.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Writer {
    fn run(&mut self) {
        loop {
            // Read before draining: what was queued before the stop is drained after it.
            let stopping = self.shared.stopping.load(Ordering::Acquire);
            if self.sink.is_none() {
                self.take_next_sink();
            }
            let next_sink = self.shared.next_sink();
            let wrote = self.drain();
            if let Some(sink) = next_sink {
                self.change_sink(sink);
            } else if stopping && !wrote {
                return;
            }
            if !stopping && self.shared.queue.is_empty() {
                thread::park_timeout(if wrote { BUSY_PAUSE } else { IDLE_PAUSE });
            }
        }
    }

    fn take_next_sink(&mut self) {
        if let Some(sink) = self.shared.next_sink() {
            self.change_sink(sink);
        }
    }

    fn change_sink(&mut self, sink: Option<File>) {
        self.sink = sink;
        self.torn = false;
    }

    /// Writes what is queued, at most one queue's worth. Says whether there was anything.
    fn drain(&mut self) -> bool {
        let mut left = self.shared.queue.capacity();
        let mut wrote = false;
        while left > 0 {
            self.batch.clear();
            let mut lines = 0;
            while self.batch.len() < BATCH_BYTES && lines < left {
                let Some(line) = self.shared.queue.pop() else { break };
                self.batch.extend_from_slice(&line);
                lines += 1;
            }
            if lines == 0 {
                break;
            }
            self.write_batch(lines);
            left -= lines;
            wrote = true;
        }
        wrote
    }

    fn write_batch(&mut self, lines: usize) {
        if self.sink.is_none() {
            // Lines are queued only once there is somewhere for them to go, which may have come since this round began.
            self.take_next_sink();
        }
        let Some(sink) = &mut self.sink else { return };
        let lines = u64::try_from(lines).unwrap_or(u64::MAX);
        let line_break: &[u8] = if self.torn { b"\n" } else { b"" };
        let outcome = write_whole(sink, line_break, &mut false).and_then(|()| {
            self.torn = false;
            write_whole(sink, &self.batch, &mut self.torn)
        });
        match outcome {
            Ok(()) => {
                self.shared.written.fetch_add(lines, Ordering::Relaxed);
                self.failing = false;
            }
            Err(error) => {
                self.shared.dropped.fetch_add(lines, Ordering::Relaxed);
                if !self.failing {
                    (self.report)(&error);
                }
                self.failing = true;
            }
        }
    }
}

/// Writes all of `bytes`; `torn` says whether it ended within a line when it fails.
fn write_whole(sink: &mut File, mut bytes: &[u8], torn: &mut bool) -> io::Result<()> {
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                let (done, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
                *torn = done.last() != Some(&b'\n');
                bytes = rest;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody set the descriptor to non-blocking (it may be shared with other programs): wait here instead.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(BUSY_PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read, os::fd::OwnedFd};

    const SOON: Duration = Duration::from_secs(10);

    fn pipe() -> (io::PipeReader, File) {
        let (reader, writer) = io::pipe().unwrap();
        (reader, File::from(OwnedFd::from(writer)))
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let (mut reader, sink) = pipe();
        let lines = LineWriter::start("test", 64, Wake::HalfFull, Some(sink), |_| ()).unwrap();
        let mut expected = String::new();
        for number in 0..40 {
            expected.push_str(&format!("line {number}\n"));
            lines.push(format!("line {number}\n").into_bytes());
        }
        assert!(lines.stop(SOON));
        assert_eq!((lines.written(), lines.dropped()), (40, 0));
        lines.redirect(None);
        drop(lines);
        let mut text = vec![0; expected.len()];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn a_stuck_reader_costs_lines_and_holds_nobody_up() {
        let (mut reader, sink) = pipe();
        let lines = LineWriter::start("test", 16, Wake::EachLine, Some(sink), |_| ()).unwrap();
        // Nobody reads: the pipe and the queue fill, then lines are dropped. The loop would hang if a push could wait.
        let line = vec![b'x'; 4095].into_iter().chain([b'\n']).collect::<Vec<_>>();
        // It goes on until more was kept than a pipe holds (64 KiB), so that the thread must be stuck.
        let mut pushed = 0;
        while lines.dropped() < 100 || pushed - lines.dropped() <= 16 {
            lines.push(line.clone());
            pushed += 1;
        }
        assert!(!lines.stop(Duration::from_millis(1)), "the thread is stuck in its write, and the wait is bounded");
        // The reader wakes: what was queued arrives, and nothing that was counted as dropped.
        let dropped = lines.dropped();
        let kept = usize::try_from(pushed - dropped).unwrap();
        let mut text = vec![0; kept * line.len()];
        reader.read_exact(&mut text).unwrap();
        assert!(text.chunks(line.len()).all(|chunk| chunk == line));
        assert!(lines.stop(SOON));
        assert_eq!((lines.written(), lines.dropped()), (pushed - dropped, dropped));
    }

    #[test]
    fn a_reader_that_is_gone_costs_lines_only() {
        let (reader, sink) = pipe();
        drop(reader);
        let lines = LineWriter::start("test", 16, Wake::EachLine, Some(sink), |_| ()).unwrap();
        lines.push(b"lost\n".to_vec());
        assert!(lines.stop(SOON));
        assert_eq!((lines.written(), lines.dropped()), (0, 1));
    }

    #[test]
    fn a_sink_that_comes_in_the_middle_of_a_round_loses_no_line() {
        let (mut reader, sink) = pipe();
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(2),
            next_sink: Mutex::new(None),
            stopping: AtomicBool::new(false),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            sink: None,
            batch: Vec::new(),
            torn: false,
            failing: false,
            report: |_| (),
        };
        // The round began without a sink; then both came.
        *shared.next_sink.lock().unwrap() = Some(Some(sink));
        shared.queue.push(b"first\n".to_vec()).unwrap();
        assert!(writer.drain());
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "first\n");
    }

    #[test]
    fn redirecting_sends_earlier_lines_to_the_earlier_sink() {
        let (mut first, first_sink) = pipe();
        let (mut second, second_sink) = pipe();
        let lines = LineWriter::start("test", 16, Wake::HalfFull, Some(first_sink), |_| ()).unwrap();
        lines.push(b"one\n".to_vec());
        lines.redirect(Some(second_sink));
        // The first sink is closed once the change is done, which ends this read.
        let mut text = String::new();
        first.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\n");
        lines.push(b"two\n".to_vec());
        assert!(lines.stop(SOON));
        drop(lines);
        let mut text = String::new();
        second.read_to_string(&mut text).unwrap();
        assert_eq!(text, "two\n");
    }
}
