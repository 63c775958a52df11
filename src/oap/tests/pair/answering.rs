//! The server's users: they take requests, answer them early or late, and fail.

use super::super::*;
use super::world::{End, Job, Plan, World, head};

impl World {
    /// The server's users act on what they were woken for.
    pub(super) fn answer(&mut self) -> bool {
        while let Some(id) = self.server.accept() {
            let end = End {
                job: usize::MAX,
                to_send: Bytes::new(),
                got: Vec::new(),
                begun: false,
                sent_all: false,
            };
            drop(self.answering.insert(id, end));
            self.server_ready.push(id);
        }
        self.server_ready.extend(std::iter::from_fn(|| self.server.next_woken()));
        let ready = std::mem::take(&mut self.server_ready);
        let moved = !ready.is_empty();
        for id in ready {
            let Some(mut end) = self.answering.remove(&id) else { continue };
            if self.listen(id, &mut end) && self.say(id, &mut end) {
                drop(self.answering.insert(id, end));
            }
        }
        moved
    }

    /// Takes some of the request; whether it goes on.
    pub(super) fn listen(&mut self, id: StreamId, end: &mut End) -> bool {
        for _ in 0..1 + self.rng.below(4) {
            // Who answers early need not read on.
            if end.begun && self.jobs[end.job].plan == Plan::AnswerEarly {
                return true;
            }
            let Some(event) = self.server.poll(id) else { return true };
            self.server_owes.push((id, event.credit()));
            match event {
                Arriving::Head { head, tenant_id, capability, .. } => {
                    assert_eq!((tenant_id, &capability[..]), (5, &b"cap"[..]));
                    end.job = std::str::from_utf8(&head.path[1..]).unwrap().parse().unwrap();
                    end.to_send = Job::body(end.job, 1, self.jobs[end.job].answer);
                    end.begun =
                        matches!(self.jobs[end.job].plan, Plan::Whole { early: true } | Plan::AnswerEarly)
                            && self.begin(id, end);
                }
                Arriving::Data { bytes, .. } => end.got.extend(&bytes),
                Arriving::End => {
                    let job = self.jobs[end.job];
                    assert!(end.got == Job::body(end.job, 0, job.request), "only what is whole ends");
                    end.begun = end.begun || self.begin(id, end);
                }
                Arriving::GivenUp => {
                    assert!(matches!(self.jobs[end.job].plan, Plan::GiveUp), "{:?}", self.jobs[end.job]);
                    return false;
                }
                Arriving::Failed(other) => panic!("{other:?}"),
            }
        }
        self.server_ready.push(id);
        true
    }

    /// Begins the answer.
    pub(super) fn begin(&mut self, id: StreamId, end: &mut End) -> bool {
        let job = self.jobs[end.job];
        match job.plan {
            Plan::FailFirst => self.server.fail(id, 502),
            Plan::NotProcessed => self.server.not_processed(id),
            Plan::Fail { .. } | Plan::Whole { .. } | Plan::AnswerEarly | Plan::GiveUp => {
                let fields = job.length(job.answer);
                let mut encoded = Vec::new();
                crate::bhttp::encode_response_head(&mut encoded, 200, head(&fields)).unwrap();
                if let Plan::Fail { after } = job.plan {
                    end.to_send.truncate(after);
                }
                let last = !matches!(job.plan, Plan::Fail { .. });
                end.sent_all =
                    self.server.respond(id, 200, &encoded, &mut end.to_send, last) == Sent::All && last;
            }
        }
        true
    }

    /// Goes on with the answer; whether the stream does.
    pub(super) fn say(&mut self, id: StreamId, end: &mut End) -> bool {
        if !end.begun {
            return true;
        }
        match self.jobs[end.job].plan {
            Plan::FailFirst | Plan::NotProcessed => return false,
            Plan::Fail { .. } => {
                if self.server.send(id, &mut end.to_send, false) == Sent::Blocked {
                    return true;
                }
                self.server.fail(id, 500);
                return false;
            }
            _ => {}
        }
        if !end.sent_all {
            end.sent_all = self.server.send(id, &mut end.to_send, true) == Sent::All;
        }
        // A stream that is given up says so when it is polled.
        !end.sent_all
    }
}
