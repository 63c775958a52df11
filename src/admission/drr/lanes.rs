//! What a tenant or a principal holds, cluster by cluster. Each of these is a lane: a cluster that stalls makes the
//! requests to it slow, and those of the same tenant to other clusters are none the worse for it.
//!
//! One looks through them, as through the clusters that somebody waits for: they are few.

use super::hold::Hold;

/// Lanes that are remembered though nothing is held in them.
const AT_REST: usize = 16;

/// Of one tenant, or one principal.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    held: u32,
    all: Vec<Lane>,
}

/// `cluster` is its key.
#[derive(Debug)]
struct Lane {
    cluster: u64,
    hold: Hold,
}

impl Lanes {
    /// In all of them.
    pub(super) fn held(&self) -> u32 {
        self.held
    }

    /// Whether more than one cluster was asked for.
    pub(super) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    pub(super) fn to(&self, cluster: u64) -> &Hold {
        self.all.iter().find(|lane| lane.cluster == cluster).map_or(&Hold::NONE, |lane| &lane.hold)
    }

    /// Slots of those lanes that do not turn over fast.
    pub(super) fn held_but_fast(&self, lend: u64, now: u64) -> u32 {
        let holds = self.all.iter().map(|lane| &lane.hold).filter(|hold| hold.held() > 0);
        let slow = holds.filter(|hold| !hold.turns_over_fast(lend, now));
        slow.fold(0, |sum, hold| sum.saturating_add(hold.held()))
    }

    /// `cluster` is asked for.
    pub(super) fn open(&mut self, cluster: u64) {
        self.change(cluster, |_| ());
    }

    pub(super) fn begin(&mut self, cluster: u64, streams: bool, now: u64) {
        self.held = self.held.saturating_add(1);
        self.change(cluster, |hold| hold.begin(streams, now));
    }

    pub(super) fn end(&mut self, cluster: u64, streams: bool, taken: u64, lend: u64, now: u64) {
        self.held = self.held.saturating_sub(1);
        self.change(cluster, |hold| hold.end(streams, taken, lend, now));
    }

    fn change(&mut self, cluster: u64, change: impl FnOnce(&mut Hold)) {
        if let Some(lane) = self.all.iter_mut().find(|lane| lane.cluster == cluster) {
            return change(&mut lane.hold);
        }
        if self.all.len() >= AT_REST
            && let Some(idle) = self.all.iter().position(|lane| lane.hold.held() == 0)
        {
            self.all.remove(idle);
        }
        let mut hold = Hold::default();
        change(&mut hold);
        // Most have one.
        self.all.reserve_exact(1);
        self.all.push(Lane { cluster, hold });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_told_apart_and_those_at_rest_are_few() {
        let mut lanes = Lanes::default();
        lanes.open(0);
        assert!(!lanes.are_several() && lanes.held() == 0);
        lanes.begin(0, false, 0);
        for cluster in 1..100 {
            lanes.begin(cluster, false, 150);
            lanes.end(cluster, false, 150, 100, 151);
        }
        assert!(lanes.are_several());
        assert_eq!(
            (lanes.all.len(), lanes.held(), lanes.to(0).held()),
            (AT_REST, 1, 1),
            "what is held stays"
        );
        lanes.begin(99, false, 151);
        assert_eq!((lanes.held(), lanes.held_but_fast(100, 151)), (2, 1));
        assert_eq!(lanes.held_but_fast(100, 252), 2);
        assert_eq!(lanes.to(1).held(), 0, "forgotten");
    }
}
