//! Page tokens. A token names a cut between two events; its direction says on which side to read on.
//!
//! Callers take tokens for opaque, so they need no secret: a made-up one reads what its maker may read anyway.

use lambent_core::time::Timestamp;
use lambent_store::logs::{Direction, Position};

const DIGITS: usize = 20;

/// GetLogEvents' token: `f/` or `b/` and the cut, in the reference's outer form.
pub fn write_directed(direction: Direction, cut: Position) -> String {
    let letter = match direction {
        Direction::Forward => 'f',
        Direction::Backward => 'b',
    };
    format!("{letter}/{}", write(cut))
}

pub fn read_directed(token: &str) -> Option<(Direction, Position)> {
    let (letter, cut) = token.split_once('/')?;
    let direction = match letter {
        "f" => Direction::Forward,
        "b" => Direction::Backward,
        _ => return None,
    };
    Some((direction, read(cut)?))
}

/// A cut, or an event's place as its id: two numbers of twenty digits.
pub fn write(cut: Position) -> String {
    format!("{:0width$}{:0width$}", cut.time.as_millis(), cut.seq, width = DIGITS)
}

pub fn read(token: &str) -> Option<Position> {
    if token.len() != 2 * DIGITS || !token.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (time, seq) = token.split_at(DIGITS);
    Some(Position { time: Timestamp::from_millis(time.parse().ok()?), seq: seq.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_as_it_was_written() {
        for cut in [Position::FIRST, Position::LAST, Position { time: Timestamp::from_millis(5), seq: 77 }] {
            for direction in [Direction::Forward, Direction::Backward] {
                assert_eq!(read_directed(&write_directed(direction, cut)), Some((direction, cut)));
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let huge = "9".repeat(40);
        for bad in ["", "f", "f/", "x/1", "f/12", &format!("f/{huge}"), &format!("f/{}é", "1".repeat(38))] {
            assert_eq!(read_directed(bad), None, "{bad}");
        }
    }
}
