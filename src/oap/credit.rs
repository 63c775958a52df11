//! Credit of one stream, one direction each (oap1 §4). All numbers are payload bytes since the stream opened; a window
//! of `None` is an exclusive connection, where TCP is the flow control.

use super::ProtocolError;

/// What may be sent.
#[derive(Debug)]
pub(super) struct SendCredit {
    window: Option<u32>,
    sent: u64,
    acknowledged: u64,
}

impl SendCredit {
    pub(super) fn new(window: Option<u32>) -> Self {
        Self { window, sent: 0, acknowledged: 0 }
    }

    /// Bytes that may be sent now.
    pub(super) fn available(&self) -> u32 {
        let Some(window) = self.window else { return u32::MAX };
        let unacknowledged = u32::try_from(self.sent - self.acknowledged).unwrap_or(u32::MAX);
        window.saturating_sub(unacknowledged)
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    // oap1 §2: an ACK whose `up_to` goes back or past what was sent. The same twice is legal.
    pub(super) fn acknowledge(&mut self, up_to: u64) -> Result<(), ProtocolError> {
        if up_to < self.acknowledged {
            return Err(ProtocolError::CreditViolation("up_to goes back"));
        }
        if up_to > self.sent {
            return Err(ProtocolError::CreditViolation("up_to past what was sent"));
        }
        self.acknowledged = up_to;
        Ok(())
    }
}

/// What may arrive.
#[derive(Debug)]
pub(super) struct ReceiveCredit {
    window: Option<u32>,
    arrived: u64,
    passed_on: u64,
    acknowledged: u64,
    asked: bool,
}

impl ReceiveCredit {
    pub(super) fn new(window: Option<u32>) -> Self {
        Self { window, arrived: 0, passed_on: 0, acknowledged: 0, asked: false }
    }

    // oap1 §2: more unacknowledged payload than the window; seen on the header of the frame that brings it.
    pub(super) fn arrive(&mut self, bytes: u32) -> Result<(), ProtocolError> {
        self.arrived += u64::from(bytes);
        match self.window {
            Some(window) if self.arrived - self.acknowledged > u64::from(window) => {
                Err(ProtocolError::CreditViolation("more than the window"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn pass_on(&mut self, bytes: u64) {
        self.passed_on = self.passed_on.saturating_add(bytes).min(self.arrived);
    }

    /// The sender asked for credit at once; outside multiplexed mode that means nothing.
    pub(super) fn ask(&mut self) {
        self.asked = self.window.is_some();
    }

    // oap1 §4: send one when at least N/2 are owed, not per frame.
    pub(super) fn is_due(&self) -> bool {
        let Some(window) = self.window else { return false };
        self.asked || self.passed_on - self.acknowledged >= u64::from(window / 2)
    }

    /// The `up_to` to send.
    pub(super) fn up_to(&mut self) -> u64 {
        self.asked = false;
        self.acknowledged = self.passed_on;
        self.acknowledged
    }
}
