//! Which sockets does this process tree listen on?
//!
//! When an app does not listen where it was told to, the most helpful sentence names where it does. The answer comes from
//! `/proc`: all processes of the tree, their sockets, and those sockets' addresses. It is for error texts only: it reads
//! much, sees only what we may see, and is empty where there is no `/proc`.

use std::fmt;
use std::net::SocketAddr;

use seaworthy_core::address::Address;

/// A socket that somebody listens on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listening {
    /// Where.
    pub address: Address,
    /// Who.
    pub pid: i32,
    /// The name of that process.
    pub process: String,
}

impl Listening {
    /// Whether this is the port of `public`, on an address that leads to the same clients.
    pub fn is_on(&self, public: SocketAddr) -> bool {
        self.address.port() == Some(public.port())
    }

    /// The address to connect to in order to reach it: a wildcard is reached by loopback.
    pub fn reachable(&self) -> Address {
        match &self.address {
            Address::Tcp(addr) if addr.ip().is_unspecified() => Address::Tcp(SocketAddr::new(
                std::net::Ipv4Addr::LOCALHOST.into(),
                addr.port(),
            )),
            other => other.clone(),
        }
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, pid {})", self.address, self.process, self.pid)
    }
}

/// Everything that the process `leader`, its group and their descendants listen on.
#[cfg(target_os = "linux")]
pub fn of_tree(leader: i32) -> Vec<Listening> {
    linux::of_tree(leader)
}

/// Everything that the process `leader`, its group and their descendants listen on: not known here.
#[cfg(not(target_os = "linux"))]
pub fn of_tree(_: i32) -> Vec<Listening> {
    Vec::new()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::{HashMap, HashSet};

    use procfs::net::{TcpState, UnixState};
    use procfs::process::{FDTarget, Process, Stat, all_processes};
    use seaworthy_core::address::Address;

    use super::Listening;

    pub(super) fn of_tree(leader: i32) -> Vec<Listening> {
        let sockets = sockets();
        let mut found: Vec<Listening> = tree(leader)
            .into_iter()
            .flat_map(|(process, stat)| of_process(&process, &stat, &sockets))
            .collect();
        found.sort();
        // Workers share their parent's sockets; the first pid stands for all.
        found.dedup_by(|next, first| next.address == first.address);
        found
    }

    fn of_process(
        process: &Process,
        stat: &Stat,
        sockets: &HashMap<u64, Address>,
    ) -> Vec<Listening> {
        let Ok(files) = process.fd() else {
            return Vec::new();
        };
        files
            .flatten()
            .filter_map(|file| match file.target {
                FDTarget::Socket(inode) => sockets.get(&inode),
                _ => None,
            })
            .map(|address| Listening {
                address: address.clone(),
                pid: stat.pid,
                process: stat.comm.clone(),
            })
            .collect()
    }

    /// The processes of the group and all their descendants.
    fn tree(leader: i32) -> Vec<(Process, Stat)> {
        let Ok(processes) = all_processes() else {
            return Vec::new();
        };
        let mut rest: Vec<(Process, Stat)> = processes
            .flatten()
            .filter_map(|process| process.stat().ok().map(|stat| (process, stat)))
            .collect();
        let mut members: HashSet<i32> = HashSet::from([leader]);
        let mut tree = Vec::new();
        loop {
            let (new, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(_, stat)| {
                stat.pid == leader || stat.pgrp == leader || members.contains(&stat.ppid)
            });
            if new.is_empty() {
                return tree;
            }
            members.extend(new.iter().map(|(_, stat)| stat.pid));
            tree.extend(new);
            rest = others;
        }
    }

    /// Every listening socket by its inode.
    fn sockets() -> HashMap<u64, Address> {
        let tcp = [procfs::net::tcp(), procfs::net::tcp6()]
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.state == TcpState::Listen)
            .map(|entry| (entry.inode, Address::Tcp(entry.local_address)));
        let unix = procfs::net::unix()
            .into_iter()
            .flatten()
            .filter(|entry| {
                entry.state == UnixState::UNCONNECTED
                    && i32::from(entry.socket_type) == libc::SOCK_STREAM
            })
            .filter_map(|entry| {
                let path = entry.path.filter(|path| path.is_absolute())?;
                Some((entry.inode, Address::Unix(path)))
            });
        tcp.chain(unix).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_reached_by_loopback() {
        let on = |address: &str| Listening {
            address: Address::Tcp(address.parse().unwrap()),
            pid: 1,
            process: "app".to_owned(),
        };
        assert_eq!(on("0.0.0.0:9").reachable().to_string(), "127.0.0.1:9");
        assert_eq!(on("10.0.0.1:9").reachable().to_string(), "10.0.0.1:9");
        assert!(on("[::]:8000").is_on("0.0.0.0:8000".parse().unwrap()));
    }
}
