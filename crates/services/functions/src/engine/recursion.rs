//! Loops of functions that call each other: counted in the trace header that every SDK hands on, and ended. Pure.
//!
//! Source: *Recursive loop detection* in the developer guide. A call says in its trace header's `Lineage` through how
//! much it came: how many calls lie behind it, a function to recognise, and how often it came by that one. After
//! about sixteen times the next call is stopped, unless the function allows it. The form of the value, `15:1a2b3c4d:3`,
//! is the reference's, whose documents leave its meaning to it.

use lambent_store::functions::{FunctionRecord, RecursiveLoop};

use super::next;

/// Developer guide: approximately this many calls of one event run a function before the next is stopped.
pub const LOOPS_MAX: u32 = 16;

/// Ours: a function that was not met again within so many calls is no part of a loop, and another is looked for.
const MEETING_CALLS_MAX: u32 = 32;

/// The largest numbers that the value may hold.
const CALLS_MAX: u32 = 32_767;
const MEETINGS_MAX: u32 = 255;

const PART: &str = "Lineage=";

/// The header that a function's call shows, and whether the call is to be stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advanced {
    pub header: String,
    pub is_over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lineage {
    calls: u32,
    function: u32,
    meetings: u32,
}

/// The function with this setting.
pub fn set(record: &FunctionRecord, setting: RecursiveLoop) -> FunctionRecord {
    FunctionRecord { recursive_loop: setting, ..next(record) }
}

/// One call further. What the header says besides stays as it is.
pub fn advance(header: &str, function_arn: &str, setting: RecursiveLoop) -> Advanced {
    let function = name_of(function_arn);
    let lineage = match read(header) {
        None => Lineage { calls: 1, function, meetings: 0 },
        Some(behind) => behind.next(function),
    };
    let mut advanced = String::with_capacity(header.len() + 32);
    for part in header.split(';').filter(|part| !part.trim_start().starts_with(PART) && !part.is_empty()) {
        advanced.push_str(part);
        advanced.push(';');
    }
    let Lineage { calls, function, meetings } = lineage;
    advanced.push_str(&format!("{PART}{calls}:{function:08x}:{meetings}"));
    Advanced { header: advanced, is_over: setting == RecursiveLoop::Terminate && meetings >= LOOPS_MAX }
}

/// Of the headers of events that a call gets together: the one that came the farthest, so that no loop hides behind
/// events that are new.
pub fn deepest<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let depth = |header: &str| read(header).map(|behind| (behind.meetings, behind.calls));
    // The first of equals.
    headers.into_iter().fold(None, |deepest: Option<&str>, header| match deepest {
        Some(known) if depth(known) >= depth(header) => Some(known),
        _ => Some(header),
    })
}

impl Lineage {
    fn next(self, function: u32) -> Self {
        let calls = (self.calls + 1).min(CALLS_MAX);
        if self.function == function {
            Self { calls, meetings: (self.meetings + 1).min(MEETINGS_MAX), ..self }
        } else if self.meetings == 0 && calls.is_multiple_of(MEETING_CALLS_MAX) {
            Self { calls, function, meetings: 0 }
        } else {
            Self { calls, ..self }
        }
    }
}

/// A lineage that can't be read is none: the header is the caller's, who may write what they like.
fn read(header: &str) -> Option<Lineage> {
    let value = header.split(';').find_map(|part| part.trim_start().strip_prefix(PART))?;
    let mut words = value.trim_end().split(':');
    let (calls, function, meetings) = (words.next()?, words.next()?, words.next()?);
    let lineage = Lineage {
        calls: calls.parse().ok()?,
        function: u32::from_str_radix(function, 16).ok()?,
        meetings: meetings.parse().ok()?,
    };
    let is_sound = words.next().is_none() && lineage.calls <= CALLS_MAX && lineage.meetings <= MEETINGS_MAX;
    is_sound.then_some(lineage)
}

/// FNV-1a: nobody gains by two functions of one name but who called both.
fn name_of(arn: &str) -> u32 {
    arn.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    /// After how many calls of a loop of so many functions one is stopped.
    fn stopped_after(functions: usize, setting: RecursiveLoop) -> Option<usize> {
        let names: Vec<_> = (0..functions).map(|n| format!("arn:aws:lambda:r:1:function:f{n}")).collect();
        let mut header = TRACE.to_owned();
        for call in 0..100 * functions {
            let advanced = advance(&header, &names[call % functions], setting);
            if advanced.is_over {
                return Some(call);
            }
            header = advanced.header;
        }
        None
    }

    #[test]
    fn the_seventeenth_call_of_a_loop_is_stopped() {
        assert_eq!(stopped_after(1, RecursiveLoop::Terminate), Some(16));
        assert_eq!(stopped_after(3, RecursiveLoop::Terminate), Some(48));
        assert_eq!(stopped_after(1, RecursiveLoop::Allow), None);
    }

    #[test]
    fn a_loop_that_the_first_function_is_no_part_of_is_found_too() {
        let mut header = advance(TRACE, "first", RecursiveLoop::Terminate).header;
        let stopped = (0..200).find(|call| {
            let name = if call % 2 == 0 { "a" } else { "b" };
            let advanced = advance(&header, name, RecursiveLoop::Terminate);
            header = advanced.header;
            advanced.is_over
        });
        assert!(stopped.is_some_and(|call| call < 80), "{stopped:?}");
    }

    #[test]
    fn of_several_events_the_one_that_came_the_farthest_counts() {
        let far = "Root=1;Lineage=9:1a2b3c4d:4";
        assert_eq!(deepest(["Root=2", "Root=3;Lineage=20:1a2b3c4d:1", far, "Root=4"]), Some(far));
        assert_eq!(deepest(["Root=2", "Root=3"]), Some("Root=2"));
        assert_eq!(deepest([]), None);
    }

    #[test]
    fn what_the_header_says_besides_stays() {
        let advanced = advance(TRACE, "f", RecursiveLoop::Terminate).header;
        assert!(advanced.starts_with(&format!("{TRACE};Lineage=1:")), "{advanced}");
        let again = advance(&advanced, "g", RecursiveLoop::Terminate).header;
        assert!(again.starts_with(&format!("{TRACE};Lineage=2:")) && again.ends_with(":0"), "{again}");
    }

    #[test]
    fn a_lineage_that_makes_no_sense_is_begun_anew() {
        for lineage in ["", "1", "1:2", "x:2:3", "1:zz:3", "99999:1:1", "1:1:999", "1:1:1:1", "-1:1:1"] {
            let header = format!("Root=1;Lineage={lineage}");
            let advanced = advance(&header, "f", RecursiveLoop::Terminate);
            assert!(advanced.header.starts_with("Root=1;Lineage=1:"), "{}", advanced.header);
        }
    }
}
