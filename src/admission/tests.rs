//! The lock, the wakers and the guards around the core.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::*;

const WAIT: Duration = Duration::from_millis(250);

/// A clock that is moved by hand, one a test thread.
mod clock {
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    thread_local!(static NOW: Cell<Instant> = Cell::new(Instant::now()));

    pub fn now() -> Instant {
        NOW.get()
    }

    pub fn pass(time: Duration) {
        NOW.set(NOW.get() + time);
    }
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn poll<F: Future + Unpin>(future: &mut F, bell: &Arc<Bell>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(bell));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

fn admission(slots: u32) -> Admission {
    let in_flight = NonZeroU32::new(slots).unwrap();
    Admission::new(Policy { in_flight, ..Policy::default() }, clock::now)
}

fn claim(tenant: u64) -> Claim {
    Claim {
        generation: 0,
        tenant,
        policy: TenantPolicy::default(),
        principal: tenant,
        cluster: 0,
        cluster_in_flight: Bound::Auto,
        declared: 0,
        route_weight: NonZeroU32::MIN,
        streams: false,
    }
}

fn admitted(admission: &Admission) -> Permit {
    match admission.enter(&claim(1), clock::now()) {
        Entry::Admitted(permit) => permit,
        other => panic!("{other:?}"),
    }
}

fn waits(admission: &Admission) -> Waiting {
    match admission.enter(&claim(1), clock::now()) {
        Entry::Waits(waiting) => waiting,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dropped_permit_wakes_the_one_that_waits() {
    let (admission, bell) = (admission(1), Arc::new(Bell::default()));
    let permit = admitted(&admission);
    let mut waiting = waits(&admission);
    assert!(poll(&mut waiting, &bell).is_pending());
    clock::pass(Duration::from_millis(7));
    drop(permit);
    assert_eq!(bell.0.load(Relaxed), 1);
    let Poll::Ready(Ok(permit)) = poll(&mut waiting, &bell) else { panic!("no permit") };
    assert_eq!(permit.waited(), Duration::from_millis(7));
    assert_eq!(admission.gauges(clock::now()).in_flight, 1);
    drop((permit, waiting));
    assert_eq!(admission.gauges(clock::now()).in_flight, 0);
}

#[test]
fn an_answer_that_came_before_the_first_poll_is_there() {
    let (admission, bell) = (admission(1), Arc::new(Bell::default()));
    let permit = admitted(&admission);
    let mut waiting = waits(&admission);
    drop(permit);
    assert!(matches!(poll(&mut waiting, &bell), Poll::Ready(Ok(_))));
    assert_eq!(bell.0.load(Relaxed), 0);
}

#[test]
fn a_future_that_is_dropped_leaves_the_queue_or_gives_back_what_it_had_just_got() {
    let (admission, bell) = (admission(1), Arc::new(Bell::default()));
    let permit = admitted(&admission);
    let (leaves, told, mut stays) = (waits(&admission), waits(&admission), waits(&admission));
    assert!(poll(&mut stays, &bell).is_pending());
    assert_eq!(admission.gauges(clock::now()).queued, 3);
    drop(leaves);
    assert_eq!(admission.gauges(clock::now()).queued, 2);
    drop(permit);
    assert_eq!((admission.gauges(clock::now()).queued, bell.0.load(Relaxed)), (1, 0), "the second has it");
    drop(told);
    assert_eq!(bell.0.load(Relaxed), 1, "and passes it on");
    assert!(matches!(poll(&mut stays, &bell), Poll::Ready(Ok(_))));
    drop(stays);
    assert_eq!(
        admission.gauges(clock::now()),
        Gauges { in_flight: 0, slots: 1, queued: 0, longest_wait: Duration::ZERO }
    );
}

#[test]
fn whoever_looks_at_the_deadline_tells_those_that_have_waited_too_long() {
    let (admission, bell) = (admission(1), Arc::new(Bell::default()));
    let _permit = admitted(&admission);
    let mut waiting = waits(&admission);
    assert!(poll(&mut waiting, &bell).is_pending());
    let deadline = admission.next_deadline().unwrap();
    assert_eq!((deadline, waiting.deadline()), (clock::now() + WAIT, clock::now() + WAIT));
    admission.expire(deadline - Duration::from_nanos(1));
    assert_eq!(bell.0.load(Relaxed), 0);
    admission.expire(deadline);
    assert_eq!(bell.0.load(Relaxed), 1);
    let Poll::Ready(Err(busy)) = poll(&mut waiting, &bell) else { panic!("a place") };
    assert_eq!((busy.why, busy.waited), (Why::WaitedTooLong, WAIT));
    assert_eq!(admission.next_deadline(), None);
}

#[test]
fn a_sleep_that_is_over_ends_the_wait_early_or_late() {
    for slept in [WAIT, WAIT - Duration::from_micros(900), WAIT * 2] {
        let (admission, bell) = (admission(1), Arc::new(Bell::default()));
        let _permit = admitted(&admission);
        let over = std::cell::Cell::new(false);
        let sleep = std::future::poll_fn(|_| if over.get() { Poll::Ready(()) } else { Poll::Pending });
        let mut waiting = pin!(waits(&admission).at_most(sleep));
        assert!(poll(&mut waiting, &bell).is_pending());
        clock::pass(slept);
        over.set(true);
        let Poll::Ready(Err(busy)) = poll(&mut waiting, &bell) else { panic!("a place") };
        assert_eq!((busy.why, busy.waited), (Why::WaitedTooLong, slept));
        assert_eq!(admission.gauges(clock::now()).queued, 0);
    }
}

#[test]
fn a_place_that_comes_as_the_sleep_ends_is_taken() {
    let (admission, bell) = (admission(1), Arc::new(Bell::default()));
    let permit = admitted(&admission);
    let mut waiting = pin!(waits(&admission).at_most(std::future::ready(())));
    clock::pass(WAIT - Duration::from_millis(1));
    drop(permit);
    clock::pass(Duration::from_millis(2));
    assert!(matches!(poll(&mut waiting, &bell), Poll::Ready(Ok(_))));
}

#[test]
fn a_raised_bound_wakes_those_that_may_have_the_new_places() {
    let (admission, bell) = (admission(1), Arc::new(Bell::default()));
    let _permit = admitted(&admission);
    let mut waiting = [waits(&admission), waits(&admission)];
    assert!(waiting.iter_mut().all(|waiting| poll(waiting, &bell).is_pending()));
    let policy = Policy { in_flight: NonZeroU32::new(3).unwrap(), ..Policy::default() };
    admission.configure(&Generation { policy, ..Generation::default() });
    assert_eq!(bell.0.load(Relaxed), 2);
}

#[test]
fn threads_that_come_and_go_leave_nothing_behind_and_nobody_waits_for_ever() {
    static SERVED: AtomicU64 = AtomicU64::new(0);
    let in_flight = NonZeroU32::new(3).unwrap();
    let policy = Policy { in_flight, wait: Duration::from_secs(3600), ..Policy::default() };
    let admission = Admission::new(policy, Instant::now);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let admission = &admission;
            scope.spawn(move || {
                for n in 0..300 {
                    match admission.enter(&claim(thread % 5), Instant::now()) {
                        Entry::Admitted(permit) => drop(permit),
                        Entry::Waits(waiting) if n % 7 == 0 => drop(waiting),
                        Entry::Waits(waiting) => drop(block_on(waiting).unwrap()),
                        Entry::Busy(busy) => panic!("{busy:?}"),
                    }
                    SERVED.fetch_add(1, Relaxed);
                }
            });
        }
    });
    assert_eq!(SERVED.load(Relaxed), 2400);
    let gauges = admission.gauges(Instant::now());
    assert_eq!((gauges.in_flight, gauges.queued), (0, 0));
    assert_eq!(admission.0.state.lock().seats.len(), 0);
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}
