//! Takes a port, or says who has it.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// Connections the kernel holds for us while all workers are busy.
const BACKLOG: i32 = 4096;

/// A port that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "{address} is taken by another process: end it, or choose another address with --listen (`ss -ltnp` shows who it is)"
    )]
    Taken {
        /// The address.
        address: SocketAddr,
    },
    /// The port is privileged.
    #[error(
        "{address} is not allowed to this user: choose a port above 1023, or grant CAP_NET_BIND_SERVICE"
    )]
    Forbidden {
        /// The address.
        address: SocketAddr,
    },
    /// The address is not one of this machine's.
    #[error(
        "{address} is not an address of this machine: choose one of those that `ip address` shows, or 0.0.0.0 for all of them"
    )]
    Foreign {
        /// The address.
        address: SocketAddr,
    },
    /// The system refuses for another reason.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Other {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

/// Listens on `address`, exclusively: a second listener on the same port is an error and not a silent split of traffic.
///
/// # Errors
/// When the port cannot be had.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    open(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken { address },
        io::ErrorKind::PermissionDenied => BindError::Forbidden { address },
        io::ErrorKind::AddrNotAvailable => BindError::Foreign { address },
        _ => BindError::Other { address, source },
    })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Lets a new process listen while old connections are in TIME_WAIT; two listeners stay impossible on Linux.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_an_error_that_names_it() {
        let first = bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = first.local_addr().expect("bound");
        let error = bind(address).expect_err("taken");
        assert!(
            error
                .to_string()
                .starts_with(&format!("{address} is taken")),
            "{error}"
        );
    }
}
