//! A dial that many wait for. It runs as a task of its own, so that it outlives the request that began it.

use tokio::sync::watch;

use super::dial::{DialError, OpenError};

/// What those who wait for a dial hold.
#[derive(Clone)]
pub(super) struct Flight(watch::Receiver<Option<Result<(), OpenError>>>);

/// What the dial holds.
pub(super) struct Pilot(watch::Sender<Option<Result<(), OpenError>>>);

/// A dial and its waiters.
pub(super) fn flight() -> (Pilot, Flight) {
    let (tell, told) = watch::channel(None);
    (Pilot(tell), Flight(told))
}

impl Pilot {
    /// Tells all who wait.
    pub(super) fn land(self, outcome: Result<(), OpenError>) {
        self.0.send_replace(Some(outcome));
    }
}

impl Flight {
    /// How the dial ended, once it has.
    pub(super) async fn landed(mut self) -> Result<(), OpenError> {
        let gone = || OpenError::Connect(DialError::new("the dial was abandoned"));
        let outcome = self.0.wait_for(Option::is_some).await.map_err(|_| gone())?;
        outcome.clone().unwrap_or_else(|| Err(gone()))
    }

    /// Whether the dial is gone without a word: its runtime ended, or it panicked.
    pub(super) fn is_lost(&self) -> bool {
        self.0.has_changed().is_err() && self.0.borrow().is_none()
    }
}
