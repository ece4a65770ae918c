//! The table, written out. Nothing in it is computed by what it is compared with.
//!
//! The rule behind it, for `retries = { attempts = 1 }`, three servers, and deadlines that leave time:
//!
//! - no connection: the next server, whatever the method, until all were tried;
//! - no byte of an answer, no HTTP, no whole head, no answer in time, or 502, 503, 504: one more server, if the method is
//!   idempotent and the body was kept; otherwise the client is told at once;
//! - a head is the client's as soon as it is whole: what breaks later breaks for the client too;
//! - any other answer is an answer.

use super::*;

/// What becomes of a request.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub(super) seen: Seen,
    /// How often a sick server was asked, all of them together.
    pub(super) asked: usize,
}

/// What the client sees.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen {
    /// The head of a sick server's answer, and a body that visibly breaks off.
    Cut,
    /// A healthy server's answer.
    Elsewhere,
    /// The gateway's own answer.
    Error(u16),
    /// By chance one or the other, because the connection may or may not have been reset before a byte was given to it.
    ElsewhereOrError(u16),
    /// The sick server's own answer, whole.
    Own(u16),
}

/// What becomes of requests at one fault: of GET, HEAD, PUT, and of those that go once: POST, and a PUT that is too long to be kept.
pub(super) struct Row {
    pub(super) fault: Fault,
    one: [Cell; 4],
    all: [Cell; 4],
}

const fn seen(seen: Seen, asked: usize) -> Cell {
    Cell { seen, asked }
}

const fn elsewhere(asked: usize) -> Cell {
    seen(Seen::Elsewhere, asked)
}

const fn error(status: u16, asked: usize) -> Cell {
    seen(Seen::Error(status), asked)
}

const fn own(status: u16, asked: usize) -> Cell {
    seen(Seen::Own(status), asked)
}

const CUT: Cell = seen(Seen::Cut, 1);
const WHOLE: Cell = own(200, 1);
const CHANCE: Cell = seen(Seen::ElsewhereOrError(502), 0);

/// GET, HEAD and PUT come to the first, what goes once to the second.
const fn by(repeatable: Cell, once: Cell) -> [Cell; 4] {
    [repeatable, repeatable, repeatable, once]
}

const fn same(cell: Cell) -> [Cell; 4] {
    [cell; 4]
}

/// A HEAD has no body that could be cut.
const BODY_CUT: [Cell; 4] = [CUT, WHOLE, CUT, CUT];

const SHORT: Duration = Duration::from_millis(5);

/// Everything that can be wrong, but for [`Fault::StaleConnections`] and [`Fault::Step`], which have tests of their own.
#[rustfmt::skip]
pub(super) static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| vec![
    //   the fault                                  one of three has it                  all three have it
    row(Fault::Healthy,                             same(WHOLE),                         same(WHOLE)),
    row(Fault::Refuse,                              same(elsewhere(0)),                  same(error(502, 0))),
    row(Fault::BlackHole,                           same(elsewhere(0)),                  same(error(504, 0))),
    row(Fault::ResetOnAccept,                       by(elsewhere(0), CHANCE),            same(error(502, 0))),
    row(Fault::ResetWithinRequest,                  by(elsewhere(1), error(502, 1)),     by(error(502, 2), error(502, 1))),
    row(Fault::ResetAfterRequest,                   by(elsewhere(1), error(502, 1)),     by(error(502, 2), error(502, 1))),
    row(Fault::CloseAfterRequest,                   by(elsewhere(1), error(502, 1)),     by(error(502, 2), error(502, 1))),
    row(Fault::Garbage,                             by(elsewhere(1), error(502, 1)),     by(error(502, 2), error(502, 1))),
    row(Fault::HalfHead,                            by(elsewhere(1), error(502, 1)),     by(error(502, 2), error(502, 1))),
    row(Fault::TooLargeHead,                        by(elsewhere(1), error(502, 1)),     by(error(502, 2), error(502, 1))),
    row(Fault::Hang,                                by(elsewhere(1), error(504, 1)),     by(error(504, 2), error(504, 1))),
    row(Fault::HangAfterHead,                       BODY_CUT,                            BODY_CUT),
    row(Fault::Truncate,                            BODY_CUT,                            BODY_CUT),
    row(Fault::TruncateChunks,                      BODY_CUT,                            BODY_CUT),
    row(Fault::Trickle(Duration::ZERO),             same(WHOLE),                         same(WHOLE)),
    row(Fault::SlowBy(Delays::always(SHORT)),       same(WHOLE),                         same(WHOLE)),
    row(Fault::Status(502, &[]),                    by(elsewhere(1), own(502, 1)),       by(own(502, 2), own(502, 1))),
    row(Fault::Status(503, &[]),                    by(elsewhere(1), own(503, 1)),       by(own(503, 2), own(503, 1))),
    row(Fault::Status(504, &[]),                    by(elsewhere(1), own(504, 1)),       by(own(504, 2), own(504, 1))),
    // It speaks for itself, not for its siblings.
    row(Fault::Status(503, &["retry-after: 3600"]), by(elsewhere(1), own(503, 1)),       by(own(503, 2), own(503, 1))),
    row(Fault::Status(500, &[]),                    same(own(500, 1)),                   same(own(500, 1))),
    row(Fault::Status(429, &["retry-after: 1"]),    same(own(429, 1)),                   same(own(429, 1))),
    row(Fault::Status(404, &[]),                    same(own(404, 1)),                   same(own(404, 1))),
]);

fn row(fault: Fault, one: [Cell; 4], all: [Cell; 4]) -> Row {
    Row { fault, one, all }
}

impl Row {
    fn cells(&self, sick: Sick) -> &[Cell; 4] {
        if sick == Sick::All { &self.all } else { &self.one }
    }

    pub(super) fn get(&self, sick: Sick) -> Cell {
        self.cells(sick)[0]
    }

    pub(super) fn head(&self, sick: Sick) -> Cell {
        self.cells(sick)[1]
    }

    pub(super) fn put(&self, sick: Sick) -> Cell {
        self.cells(sick)[2]
    }

    pub(super) fn once(&self, sick: Sick) -> Cell {
        self.cells(sick)[3]
    }

    /// Whether a deadline has to pass.
    pub(super) fn waits(&self) -> bool {
        matches!(self.fault, Fault::BlackHole | Fault::Hang | Fault::HangAfterHead)
    }
}

impl Seen {
    /// Compares it with the answer to `method`; `sick` are the names of the servers that have the fault.
    pub(super) fn check(self, method: &str, answer: Option<&Message>, sick: &str, what: &str) {
        let answer = answer.unwrap_or_else(|| panic!("no answer, {what}"));
        let (status, whole) = (answer.status(), answer.complete);
        let by = answer.get("x-origin").map(|name| sick.contains(name));
        let body = if method == "HEAD" { "" } else { answer.get("x-origin").unwrap_or_default() };
        let own = whole && answer.text() == body;
        let holds = match self {
            Self::Cut => (status, whole, by) == (200, false, Some(true)),
            Self::Elsewhere => own && (status, by) == (200, Some(false)),
            Self::Error(expected) => whole && (status, by) == (expected, None),
            Self::ElsewhereOrError(expected) => {
                let one_of = if status == 200 { Self::Elsewhere } else { Self::Error(expected) };
                return one_of.check(method, Some(answer), sick, what);
            }
            Self::Own(expected) => own && (status, by) == (expected, Some(true)),
        };
        assert!(holds, "{self:?} was to be seen, {what}: {answer:?}");
    }
}
