//! Who a cluster's backends are, found by pingora-load-balancing's service discovery: a fixed list, or whatever
//! addresses a name has.
//!
//! Each [`refresh`](Discovery::refresh) asks once and, when the list has changed, hands over the new one, meant for
//! [`Members::update`](super::membership::Members::update). A look-up that fails, takes too long or finds nothing
//! changes nothing: the last good list stays. When to refresh is the caller's; so are health and choosing, which
//! Pingora's own load balancer would bring along.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::protocols::l4::socket::SocketAddr as AnyAddr;
use pingora_core::{Error, ErrorType, OrErr, Result};
use pingora_load_balancing::discovery::{ServiceDiscovery, Static};
use pingora_load_balancing::{Backend, Backends, Extensions};

use super::dial::Target;

/// Longest look-up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Addresses of one name that are used at most, the lowest ones: an answer must not make a cluster of any size.
const MOST: usize = 1024;

/// Looks names up.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `name`, each with `port`.
    ///
    /// # Errors
    /// The look-up failed.
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver, /etc/hosts included.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

#[async_trait]
impl Resolve for System {
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, port)).await?.collect())
    }
}

/// Where the list of one cluster's backends comes from.
pub struct Discovery {
    backends: Backends,
}

impl Discovery {
    /// Known backends. One refresh hands them over; there is nothing new after it.
    ///
    /// # Errors
    /// A Unix socket's path is longer than the system allows.
    pub fn fixed(list: impl IntoIterator<Item = (Target, NonZeroU32)>) -> io::Result<Self> {
        let backends = list.into_iter().map(|(target, weight)| known(&target, weight));
        Ok(Self { backends: Backends::new(Static::new(backends.collect::<io::Result<_>>()?)) })
    }

    /// The addresses of `name`, all of the same weight.
    pub fn dns(name: String, port: u16, resolver: impl Resolve) -> Self {
        Self { backends: Backends::new(Box::new(Dns { name, port, resolver })) }
    }

    /// Asks once. Calls `apply` with the whole new list if it is another one than before. Must not overlap with
    /// another call; dropping it changes nothing.
    ///
    /// # Errors
    /// The look-up failed, took longer than 5 s or found nothing: the list is what it was.
    pub async fn refresh(&self, apply: impl FnOnce(Vec<(Target, NonZeroU32)>)) -> Result<()> {
        self.backends.update(|found| apply(found.iter().filter_map(target).collect())).await
    }
}

struct Dns<R> {
    name: String,
    port: u16,
    resolver: R,
}

#[async_trait]
impl<R: Resolve> ServiceDiscovery for Dns<R> {
    async fn discover(&self) -> Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let looking = tokio::time::timeout(PATIENCE, self.resolver.resolve(&self.name, self.port));
        let found =
            looking.await.or_err_with(ErrorType::ConnectTimedout, || format!("looking up {}", self.name))?;
        let found = found.or_err_with(ErrorType::ConnectError, || format!("looking up {}", self.name))?;
        let found: BTreeSet<SocketAddr> = found.into_iter().collect();
        if found.is_empty() {
            return Error::e_explain(ErrorType::ConnectError, format!("{} has no address", self.name));
        }
        let backend = |addr| Backend { addr: AnyAddr::Inet(addr), weight: 1, ext: Extensions::new() };
        Ok((found.into_iter().take(MOST).map(backend).collect(), HashMap::new()))
    }
}

fn known(target: &Target, weight: NonZeroU32) -> io::Result<Backend> {
    let addr = match target {
        Target::Tcp(at) => AnyAddr::Inet(*at),
        Target::Unix(path) => AnyAddr::Unix(std::os::unix::net::SocketAddr::from_pathname(path)?),
    };
    let weight = usize::try_from(weight.get()).unwrap_or(usize::MAX);
    Ok(Backend { addr, weight, ext: Extensions::new() })
}

fn target(backend: &Backend) -> Option<(Target, NonZeroU32)> {
    let target = match &backend.addr {
        AnyAddr::Inet(at) => Target::Tcp(*at),
        AnyAddr::Unix(at) => Target::Unix(at.as_pathname().map(Path::to_owned)?),
    };
    let weight = u32::try_from(backend.weight).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    Some((target, weight))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::upstream::balance::Policy;
    use crate::upstream::membership::Members;

    type Answers = VecDeque<io::Result<Vec<SocketAddr>>>;

    /// Answers from a list; after its end, never.
    struct Scripted(Mutex<Answers>);

    #[async_trait]
    impl Resolve for Scripted {
        async fn resolve(&self, name: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
            assert_eq!(name, "objects.internal");
            let next = self.0.lock().pop_front();
            match next {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
    }

    fn addresses(numbers: &[u8]) -> Vec<SocketAddr> {
        numbers.iter().map(|n| SocketAddr::from(([10, 0, 0, *n], 9401))).collect()
    }

    async fn refresh(discovery: &Discovery) -> Result<Option<Vec<String>>> {
        let mut handed = None;
        let list = |list: Vec<(Target, _)>| {
            list.into_iter().map(|(target, weight)| format!("{target} {weight}")).collect()
        };
        discovery.refresh(|found| handed = Some(list(found))).await?;
        Ok(handed)
    }

    #[tokio::test]
    async fn a_fixed_list_is_handed_over_once_with_its_weights_and_sockets() {
        let weight = |n| NonZeroU32::new(n).unwrap();
        let list = [
            (Target::Tcp("[::1]:9401".parse().unwrap()), weight(3)),
            (Target::Unix("/run/objects.sock".into()), weight(1)),
        ];
        let discovery = Discovery::fixed(list).unwrap();
        let handed = refresh(&discovery).await.unwrap().unwrap();
        assert_eq!(handed, ["[::1]:9401 3", "unix:/run/objects.sock 1"]);
        assert_eq!(refresh(&discovery).await.unwrap(), None);
        let long = Target::Unix("/".repeat(200).into());
        assert!(Discovery::fixed([(long, weight(1))]).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_fails_changes_nothing() {
        let failed = || io::Error::from(io::ErrorKind::TimedOut);
        let answers = [
            Ok(addresses(&[2, 1, 2])),
            Err(failed()),
            Ok(Vec::new()),
            Ok(addresses(&[1, 2])),
            Ok(addresses(&[3, 2])),
        ];
        let discovery = Discovery::dns("objects.internal".into(), 9401, Scripted(Mutex::new(answers.into())));
        assert_eq!(refresh(&discovery).await.unwrap().unwrap(), ["10.0.0.1:9401 1", "10.0.0.2:9401 1"]);
        assert!(refresh(&discovery).await.is_err());
        assert!(refresh(&discovery).await.is_err());
        assert_eq!(refresh(&discovery).await.unwrap(), None);
        assert_eq!(refresh(&discovery).await.unwrap().unwrap(), ["10.0.0.2:9401 1", "10.0.0.3:9401 1"]);
        // The script is at its end: nothing answers, and patience ends.
        assert!(refresh(&discovery).await.is_err());
    }

    #[tokio::test]
    async fn a_backend_that_is_found_again_keeps_its_state() {
        let answers = [Ok(addresses(&[1, 2])), Ok(addresses(&[2, 3]))];
        let discovery = Discovery::dns("objects.internal".into(), 9401, Scripted(Mutex::new(answers.into())));
        let members: Arc<Members<Target>> =
            Arc::new(Members::new(Policy::LeastRequests, crate::clock::now()));
        let refresh = || discovery.refresh(|found| drop(members.update(found, Target::clone)));
        refresh().await.unwrap();
        let second = members.current().backends().nth(1).map(|(backend, _)| Arc::clone(backend)).unwrap();
        let request = second.begin();
        refresh().await.unwrap();
        let first = members.current().backends().next().map(|(backend, _)| Arc::clone(backend)).unwrap();
        assert!(Arc::ptr_eq(&first, &second) && Arc::ptr_eq(request.backend(), &first));
        assert_eq!(members.current().backends().len(), 2);
    }

    #[tokio::test]
    async fn the_system_knows_an_address_when_it_sees_one() {
        let found = System.resolve("127.0.0.1", 9401).await.unwrap();
        assert_eq!(found, ["127.0.0.1:9401".parse().unwrap()]);
    }
}
