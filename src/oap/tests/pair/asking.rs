//! The client's users: they open, send, hear the answer, and give up.

use super::super::*;
use super::world::{End, Job, Plan, World, head};

impl World {
    pub(super) fn open(&mut self) -> bool {
        let waiting = |(index, done): (usize, &bool)| {
            (!done && self.asking.values().all(|end| end.job != index)).then_some(index)
        };
        let Some(index) = self.done.iter().enumerate().find_map(waiting).filter(|_| self.client.can_open())
        else {
            return false;
        };
        let job = self.jobs[index];
        let fields = job.length(job.request);
        let mut encoded = Vec::new();
        let path = format!("/{index}");
        crate::bhttp::encode_request_head(
            &mut encoded,
            b"PUT",
            b"http",
            b"x",
            path.as_bytes(),
            head(&fields),
        )
        .unwrap();
        let start = StartRequest { head: &encoded, capability: b"cap", tenant_id: 5, is_head: false };
        let mut to_send = Job::body(index, 0, job.request);
        let first = if self.rng.below(2) == 0 { 0 } else { to_send.len() };
        let mut content = to_send.split_to(first);
        let end = to_send.is_empty();
        let id = self.client.open(start, &mut content, end).unwrap();
        let sent_all = end && content.is_empty();
        // What the opening did not take is sent from the same piece.
        let to_send = Job::body(index, 0, job.request).slice(first - content.len()..);
        drop(self.asking.insert(id, End { job: index, to_send, got: Vec::new(), begun: false, sent_all }));
        self.client_ready.push(id);
        true
    }

    /// The client's users act on what they were woken for.
    pub(super) fn ask(&mut self) -> bool {
        self.client_ready.extend(std::iter::from_fn(|| self.client.next_woken()));
        let ready = std::mem::take(&mut self.client_ready);
        let mut moved = false;
        for id in ready {
            let Some(mut end) = self.asking.remove(&id) else { continue };
            if self.ignored == Some(end.job) {
                drop(self.asking.insert(id, end));
                self.client_ready.push(id);
                continue;
            }
            moved = true;
            if self.jobs[end.job].plan == Plan::GiveUp && self.rng.below(6) == 0 {
                self.client.give_up(id);
                self.done[end.job] = true;
                continue;
            }
            if !end.sent_all {
                end.sent_all = self.client.send(id, &mut end.to_send, true) != Sent::Blocked;
            }
            if self.hear(id, &mut end) {
                drop(self.asking.insert(id, end));
            }
        }
        moved
    }

    /// Takes some of what the answer brings; whether it goes on.
    pub(super) fn hear(&mut self, id: StreamId, end: &mut End) -> bool {
        let job = self.jobs[end.job];
        for _ in 0..1 + self.rng.below(4) {
            let Some(event) = self.client.poll(id) else { return true };
            self.client_owes.push((id, event.credit()));
            match event {
                Incoming::Head { head, .. } => {
                    assert!(!std::mem::replace(&mut end.begun, true));
                    assert_eq!(head.status, if job.plan == Plan::FailFirst { 502 } else { 200 });
                }
                Incoming::Data { bytes, .. } => {
                    assert!(end.begun && !bytes.is_empty());
                    end.got.extend(&bytes);
                }
                Incoming::End => {
                    assert!(
                        !matches!(job.plan, Plan::Fail { .. } | Plan::NotProcessed),
                        "never whole: {job:?}"
                    );
                    let len = if job.plan == Plan::FailFirst { 0 } else { job.answer };
                    assert!(end.got == Job::body(end.job, 1, len), "{job:?}");
                    self.done[end.job] = true;
                    return false;
                }
                Incoming::Failed(StreamFailure::AfterStart { .. }) => {
                    assert!(matches!(job.plan, Plan::Fail { .. }), "{job:?}");
                    assert!(Job::body(end.job, 1, job.answer).starts_with(&end.got));
                    self.done[end.job] = true;
                    return false;
                }
                // Also a server whose output is full of streams given up: then it is asked again.
                Incoming::Failed(StreamFailure::NotProcessed) => {
                    self.done[end.job] = job.plan == Plan::NotProcessed;
                    return false;
                }
                Incoming::Failed(other) => panic!("{other:?} {job:?}"),
            }
        }
        self.client_ready.push(id);
        true
    }
}
