//! The load generator: keep-alive connections, one request in flight on each.
//!
//! *Closed loop* (the default): a connection sends its next request when the reply is whole. That finds the most that a
//! proxy can do. *Open loop* (`rate`): requests fall due on a random (Poisson) schedule that the proxy cannot slow down,
//! and latency counts from the moment a request was due, so a stall is charged to everyone who had to wait behind it.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::time::Timespec;

use crate::Failure;
use crate::histogram::Histogram;
use crate::reply::{Patterns, Progress, Reply};

/// What to send.
pub struct Plan {
    /// Where, on loopback.
    pub port: u16,
    /// Over how many connections.
    pub connections: usize,
    /// How long to measure.
    pub seconds: f64,
    /// Measure this many requests instead; 0: by time.
    pub requests: u64,
    /// How long to send before measuring.
    pub warm: f64,
    /// Requests a second; 0: as many as are answered.
    pub rate: f64,
    /// The target.
    pub path: String,
    /// No two requests of a connection in a row are alike, and neither are their replies; `path` does not count then.
    pub vary: bool,
}

/// How many kinds of request there are when they vary: a prime, so that connections which take turns are sent another each time.
const KINDS: usize = 257;

impl Plan {
    fn requests_to_send(&self) -> Vec<Vec<u8>> {
        let Self { port, path, .. } = self;
        let request = |path: &str, more: &str| {
            let head = format!(
                "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench-tools\r\n"
            );
            format!("{head}{more}Accept: */*\r\n\r\n").into_bytes()
        };
        if !self.vary {
            return vec![request(path, "")];
        }
        (0..KINDS)
            .map(|kind| {
                request(
                    &format!("/bytes/{}", 100 + kind),
                    &format!("Cookie: kind={kind}\r\n"),
                )
            })
            .collect()
    }
}

struct Connection {
    stream: TcpStream,
    reply: Reply,
    busy: bool,
    due: Instant,
}

struct Load {
    connections: Vec<Connection>,
    idle: Vec<usize>,
    epoll: OwnedFd,
    requests: Vec<Vec<u8>>,
    sent: usize,
    patterns: Patterns,
    seen: Histogram,
    measuring: bool,
    failed: u64,
}

/// Sends the load and gives what was measured as one JSON object.
pub fn run(plan: &Plan) -> Result<String, Failure> {
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let mut load = Load::connect(plan)?;
    let begin = Instant::now();
    let mut from = begin + Duration::from_secs_f64(plan.warm);
    let limit = if plan.requests > 0 {
        600.0
    } else {
        plan.seconds
    };
    let mut schedule = (plan.rate > 0.0).then(|| Schedule::new(begin, plan.rate));
    if schedule.is_none() {
        for index in 0..load.connections.len() {
            load.send(index, begin)?;
        }
    } else {
        load.idle.extend(0..load.connections.len());
    }
    let mut events = Vec::with_capacity(256);
    let seconds = loop {
        let now = Instant::now();
        if !load.measuring && now >= from {
            (load.measuring, from) = (true, now);
        }
        let elapsed = now.saturating_duration_since(from).as_secs_f64();
        let enough = plan.requests > 0 && load.seen.count() >= plan.requests;
        if load.measuring && (enough || elapsed >= limit) {
            break elapsed;
        }
        let wait = match &mut schedule {
            Some(schedule) => load.send_due(schedule, now)?,
            None => Duration::from_millis(100),
        };
        events.clear();
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: wait.subsec_nanos().into(),
        };
        epoll::wait(
            &load.epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&timeout),
        )?;
        for event in &events {
            load.receive(usize::try_from(event.data.u64())?, schedule.is_some())?;
        }
    };
    Ok(load.report(seconds))
}

impl Load {
    fn connect(plan: &Plan) -> Result<Self, Failure> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(plan.connections);
        for index in 0..plan.connections {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, plan.port))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(
                &epoll,
                &stream,
                epoll::EventData::new_u64(index as u64),
                epoll::EventFlags::IN,
            )?;
            connections.push(Connection {
                stream,
                reply: Reply::new(),
                busy: false,
                due: Instant::now(),
            });
        }
        Ok(Self {
            connections,
            idle: Vec::new(),
            epoll,
            requests: plan.requests_to_send(),
            sent: 0,
            patterns: Patterns::new(),
            seen: Histogram::new(),
            measuring: false,
            failed: 0,
        })
    }

    fn send(&mut self, index: usize, due: Instant) -> Result<(), Failure> {
        let connection = &mut self.connections[index];
        (connection.busy, connection.due) = (true, due);
        let mut stream = &connection.stream;
        let request = &self.requests[self.sent % self.requests.len()];
        self.sent += 1;
        stream
            .write_all(request)
            .map_err(|error| format!("sending a request: {error}").into())
    }

    /// Sends what is due, as far as connections are free, and says how long nothing will be.
    fn send_due(&mut self, schedule: &mut Schedule, now: Instant) -> Result<Duration, Failure> {
        while schedule.next <= now {
            let Some(index) = self.idle.pop() else {
                return Ok(Duration::from_millis(1));
            };
            self.send(index, schedule.next)?;
            schedule.advance();
        }
        Ok((schedule.next - now).min(Duration::from_millis(100)))
    }

    /// A connection that fails ends the run: a figure with failures in it would mean nothing.
    fn receive(&mut self, index: usize, open_loop: bool) -> Result<(), Failure> {
        let connection = &mut self.connections[index];
        if !connection.busy {
            return Err("a connection was closed between requests".into());
        }
        let Progress::Whole(status) = connection.reply.read(&connection.stream, &self.patterns)?
        else {
            return Ok(());
        };
        let now = Instant::now();
        connection.busy = false;
        if self.measuring {
            self.failed += u64::from(status != 200);
            self.seen.note(u64::try_from(
                now.saturating_duration_since(connection.due).as_nanos(),
            )?);
        }
        if open_loop {
            self.idle.push(index);
            return Ok(());
        }
        self.send(index, now)
    }

    fn report(&self, seconds: f64) -> String {
        let count = self.seen.count();
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| self.seen.quantile(share));
        format!(
            r#"{{"requests":{count},"failed":{},"seconds":{seconds:.4},"rate":{:.1},"p50_us":{p50:.1},"p99_us":{p99:.1},"p999_us":{p999:.1}}}"#,
            self.failed,
            count as f64 / seconds,
        )
    }
}

/// When the next request falls due, whatever became of those before.
struct Schedule {
    next: Instant,
    mean: f64,
    random: u64,
}

impl Schedule {
    fn new(begin: Instant, rate: f64) -> Self {
        // A fixed seed: every proxy is given the same schedule.
        Self {
            next: begin,
            mean: 1.0 / rate,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    fn advance(&mut self) {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        self.next += Duration::from_secs_f64(-(1.0 - share).ln() * self.mean);
    }
}
