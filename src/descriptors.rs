//! The descriptors of the process: how many it may open, and how many of them are kept from clients.
//!
//! Each client's connection takes one, and so does whatever serves it: connections to backends, checks, the admin
//! listener, files that are read on reload. Clients therefore never get the last ones.

use std::os::fd::RawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept at least: a gateway at rest has about 40 open, and what it keeps comes on top of those.
const KEPT_AT_LEAST: u64 = 32;
/// And at most: what is kept of so many suffices for the connections to a good number of backends.
const KEPT_AT_MOST: u64 = 1024;

/// Asks for as many as the process may have. The soft limit is low for programs that use `select`, which this is none of.
pub fn ask_for_all() {
    let limit = getrlimit(Resource::Nofile);
    // Refused, it stays what it is, and what follows is told of it.
    let _refused = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// How many the process may open; `None` when there is no bound.
pub fn allowed() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Whether a client that has just been given `descriptor` leaves those that are kept. A descriptor is the lowest number
/// that is free, so that there are at least as many others.
pub fn may_keep(descriptor: RawFd) -> bool {
    let most = allowed().map_or(u64::MAX, for_clients);
    u64::try_from(descriptor).is_ok_and(|descriptor| descriptor < most)
}

/// What is wrong with letting so many clients connect, if anything is, and what to do about it.
pub fn too_few_for(connections: u32) -> Option<String> {
    let allowed = allowed()?;
    let most = for_clients(allowed);
    let needed = needed_for(connections.into());
    (most < u64::from(connections)).then(|| {
        format!(
            "limits.connections: {connections} are more than the {allowed} descriptors of this process allow, of which \
             clients get {most} at most, raise RLIMIT_NOFILE to {needed} (LimitNOFILE=, ulimit -n), or lower the key"
        )
    })
}

/// How many of so many descriptors clients may take: seven eighths, of few less and of many more.
fn for_clients(allowed: u64) -> u64 {
    allowed.saturating_sub((allowed / 8).clamp(KEPT_AT_LEAST, KEPT_AT_MOST))
}

/// How many descriptors are enough for so many clients.
fn needed_for(clients: u64) -> u64 {
    clients.saturating_add((clients / 7).saturating_add(1).clamp(KEPT_AT_LEAST, KEPT_AT_MOST))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_eighth_is_kept_but_neither_too_little_nor_too_much() {
        for (allowed, clients) in
            [(0, 0), (20, 0), (120, 88), (256, 224), (1024, 896), (8192, 7168), (1 << 20, (1 << 20) - 1024)]
        {
            assert_eq!(for_clients(allowed), clients, "{allowed}");
        }
    }

    #[test]
    fn who_is_beyond_what_is_kept_may_not_stay() {
        let most = for_clients(allowed().unwrap());
        assert!(may_keep(3) && may_keep(RawFd::try_from(most - 1).unwrap()));
        assert!(!may_keep(RawFd::try_from(most).unwrap()) && !may_keep(-1));
    }

    #[test]
    fn it_is_said_how_many_would_do() {
        let allowed = allowed().unwrap();
        let most = u32::try_from(for_clients(allowed)).unwrap();
        assert_eq!(too_few_for(most), None);
        let said = too_few_for(most + 1).unwrap();
        assert!(
            said.contains(&format!("the {allowed} descriptors")) && said.contains(&most.to_string()),
            "{said}"
        );
    }

    proptest! {
        #[test]
        fn what_is_said_to_be_enough_is(clients in 0_u64..2_000_000) {
            prop_assert!(for_clients(needed_for(clients)) >= clients);
        }
    }
}
