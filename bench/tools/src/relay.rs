//! The floor of a proxy: bytes from one socket to the other and nothing else.
//!
//! It parses nothing, pools nothing and knows of no limit: two system calls each way and one for a batch of events. What
//! it reaches on a machine is what a proxy with work to do can come near and not pass. It serves clients that send a
//! request in one piece and wait for its answer, as the load generator does.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::Failure;

const LISTENER: u64 = u64::MAX;

/// Relays what comes on `port` to `upstream`, for ever.
pub fn serve(port: u16, upstream: u16) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    // A pair is two neighbours: the end that belongs to socket `n` is `n ^ 1`.
    let mut sockets: Vec<TcpStream> = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            if event.data.u64() == LISTENER {
                let (client, _) = listener.accept()?;
                let app = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream))?;
                for socket in [client, app] {
                    socket.set_nodelay(true)?;
                    let mark = EventData::new_u64(sockets.len() as u64);
                    epoll::add(&epoll, &socket, mark, EventFlags::IN | EventFlags::ET)?;
                    sockets.push(socket);
                }
                continue;
            }
            pass_on(&mut sockets, usize::try_from(event.data.u64())?, &mut buffer)?;
        }
    }
}

/// One read and one write: a message that does not fit into the buffer is not what this measures.
fn pass_on(sockets: &mut [TcpStream], from: usize, buffer: &mut [u8]) -> Result<(), Failure> {
    match sockets[from].read(buffer) {
        Ok(0) => {}
        Ok(count) => sockets[from ^ 1].write_all(&buffer[..count])?,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
