//! The rules of the Runtime API's conversation. Pure.

use lambent_core::ids::RequestId;

/// Where a client stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Started; has not asked for an event yet.
    Init,
    /// Has asked for an event and waits.
    Polling,
    /// Its connection broke while it waited: it may ask again.
    PollLost,
    Running {
        request_id: RequestId,
        answered: bool,
    },
    InitFailed,
}

/// What was refused, in the reference's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 403: not at this point of the conversation.
    InvalidStateTransition,
    /// 400: not the request that is being run.
    InvalidRequestId,
}

/// What a client's question for an event means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    FirstTime,
    AfterAnswer,
    Again,
}

#[derive(Debug)]
pub struct Session {
    phase: Phase,
}

impl Default for Session {
    fn default() -> Self {
        Self { phase: Phase::Init }
    }
}

impl Session {
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    pub fn poll(&mut self) -> Result<Polled, Refusal> {
        let polled = match &self.phase {
            Phase::Init => Polled::FirstTime,
            Phase::PollLost => Polled::Again,
            Phase::Running { answered: true, .. } => Polled::AfterAnswer,
            Phase::Polling | Phase::Running { answered: false, .. } | Phase::InitFailed => {
                return Err(Refusal::InvalidStateTransition);
            }
        };
        self.phase = Phase::Polling;
        Ok(polled)
    }

    pub fn poll_lost(&mut self) {
        if self.phase == Phase::Polling {
            self.phase = Phase::PollLost;
        }
    }

    /// An event is on its way to the client.
    pub fn deliver(&mut self, request_id: RequestId) {
        self.phase = Phase::Running { request_id, answered: false };
    }

    /// The client answers (with a response or an error). Call [`Session::answer`] once the body is in.
    pub fn may_answer(&self, id: &str) -> Result<(), Refusal> {
        match &self.phase {
            Phase::Running { request_id, answered } if request_id.as_str() == id => {
                if *answered {
                    Err(Refusal::InvalidStateTransition)
                } else {
                    Ok(())
                }
            }
            Phase::Running { .. } | Phase::Polling | Phase::PollLost => Err(Refusal::InvalidRequestId),
            Phase::Init | Phase::InitFailed => Err(Refusal::InvalidStateTransition),
        }
    }

    pub fn answer(&mut self, id: &str) -> Result<(), Refusal> {
        self.may_answer(id)?;
        if let Phase::Running { answered, .. } = &mut self.phase {
            *answered = true;
        }
        Ok(())
    }

    pub fn fail_init(&mut self) -> Result<(), Refusal> {
        if self.phase != Phase::Init {
            return Err(Refusal::InvalidStateTransition);
        }
        self.phase = Phase::InitFailed;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> RequestId {
        RequestId::new(format!("00000000-0000-4000-8000-0000000000{n:02x}")).unwrap()
    }

    fn running(n: u8) -> Session {
        let mut session = Session::default();
        session.poll().unwrap();
        session.deliver(id(n));
        session
    }

    #[test]
    fn a_conversation_goes_round() {
        let mut session = Session::default();
        assert_eq!(session.poll(), Ok(Polled::FirstTime));
        session.deliver(id(1));
        assert_eq!(session.answer(id(1).as_str()), Ok(()));
        assert_eq!(session.poll(), Ok(Polled::AfterAnswer));
        session.deliver(id(2));
        assert_eq!(session.answer(id(2).as_str()), Ok(()));
    }

    #[test]
    fn an_answer_counts_once() {
        let mut session = running(1);
        session.answer(id(1).as_str()).unwrap();
        assert_eq!(session.answer(id(1).as_str()), Err(Refusal::InvalidStateTransition));
    }

    #[test]
    fn a_foreign_id_is_not_an_answer() {
        let mut session = running(1);
        assert_eq!(session.answer(id(2).as_str()), Err(Refusal::InvalidRequestId));
        assert_eq!(session.answer("../../next"), Err(Refusal::InvalidRequestId));
        assert_eq!(session.answer(id(1).as_str()), Ok(()));
    }

    #[test]
    fn a_second_poll_beside_the_first_is_refused() {
        let mut session = Session::default();
        session.poll().unwrap();
        assert_eq!(session.poll(), Err(Refusal::InvalidStateTransition));
        session.poll_lost();
        assert_eq!(session.poll(), Ok(Polled::Again));
    }

    #[test]
    fn a_poll_without_an_answer_is_refused() {
        assert_eq!(running(1).poll(), Err(Refusal::InvalidStateTransition));
    }

    #[test]
    fn init_fails_once_and_only_before_the_first_poll() {
        let mut session = Session::default();
        assert_eq!(session.fail_init(), Ok(()));
        assert_eq!(session.fail_init(), Err(Refusal::InvalidStateTransition));
        assert_eq!(session.poll(), Err(Refusal::InvalidStateTransition));
        assert_eq!(running(1).fail_init(), Err(Refusal::InvalidStateTransition));
        assert_eq!(Session::default().answer(id(1).as_str()), Err(Refusal::InvalidStateTransition));
    }
}
