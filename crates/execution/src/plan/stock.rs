//! Which waiting cell to make next, or to give up, within a budget of memory. Pure.
//!
//! Invariants:
//! - nothing is made that does not fit the budget by what its kind is known to cost;
//! - a kind of which nothing waits comes before one of which some do, and takes the place of what another kind
//!   has in plenty;
//! - nothing is given up to make more of a kind that already has some, so that the steps come to an end.

/// One kind of cell, as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelf<K> {
    pub kind: K,
    /// Those that wait and those being made.
    pub have: usize,
    /// Those that wait: only they can be given up.
    pub waiting: usize,
    pub target: usize,
    /// Bytes that one of them takes while it waits.
    pub cost: u64,
    /// A make of this kind failed a moment ago.
    pub resting: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<K> {
    Make(K),
    GiveUp(K),
}

/// `None` when the stock is as it should be, or nothing can be done about it.
pub fn next_step<K: Copy + PartialEq>(shelves: &[Shelf<K>], budget: u64) -> Option<Step<K>> {
    if let Some(plenty) = shelves.iter().find(|shelf| shelf.have > shelf.target && shelf.waiting > 0) {
        return Some(Step::GiveUp(plenty.kind));
    }
    let held: u64 = shelves.iter().map(|shelf| shelf.cost.saturating_mul(shelf.have as u64)).sum();
    if held > budget {
        return dearest(shelves, 1).map(Step::GiveUp);
    }
    let mut missing: Vec<&Shelf<K>> =
        shelves.iter().filter(|shelf| shelf.have < shelf.target && !shelf.resting).collect();
    // The emptiest first; among equals what is asked for most.
    missing
        .sort_by(|a, b| (a.have * b.target).cmp(&(b.have * a.target)).then_with(|| b.target.cmp(&a.target)));
    for shelf in missing {
        if held.saturating_add(shelf.cost) <= budget {
            return Some(Step::Make(shelf.kind));
        }
        let fits_at_all = shelf.cost <= budget;
        if shelf.have == 0
            && fits_at_all
            && let Some(donor) = dearest(shelves, 2)
        {
            return Some(Step::GiveUp(donor));
        }
    }
    None
}

/// The kind that takes the most memory, of those with at least so many waiting.
fn dearest<K: Copy>(shelves: &[Shelf<K>], at_least: usize) -> Option<K> {
    shelves
        .iter()
        .filter(|shelf| shelf.waiting >= at_least)
        .max_by_key(|shelf| shelf.cost.saturating_mul(shelf.waiting as u64))
        .map(|shelf| shelf.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(kind: char, have: usize, target: usize, cost: u64) -> Shelf<char> {
        Shelf { kind, have, waiting: have, target, cost, resting: false }
    }

    #[test]
    fn the_emptiest_kind_is_made_first() {
        let shelves = [shelf('a', 1, 2, 10), shelf('b', 1, 8, 10), shelf('c', 2, 2, 10)];
        assert_eq!(next_step(&shelves, 1_000), Some(Step::Make('b')));
        let shelves = [shelf('a', 0, 1, 10), shelf('b', 0, 3, 10)];
        assert_eq!(next_step(&shelves, 1_000), Some(Step::Make('b')));
        assert_eq!(next_step(&[shelf('a', 2, 2, 10)], 1_000), None);
    }

    #[test]
    fn a_kind_that_failed_a_moment_ago_does_not_keep_others_from_being_made() {
        let resting = Shelf { resting: true, ..shelf('a', 0, 4, 10) };
        assert_eq!(next_step(&[resting, shelf('b', 1, 2, 10)], 1_000), Some(Step::Make('b')));
        assert_eq!(next_step(&[resting], 1_000), None);
    }

    #[test]
    fn nothing_is_made_beyond_the_budget() {
        assert_eq!(next_step(&[shelf('a', 3, 8, 10)], 39), None);
        assert_eq!(next_step(&[shelf('a', 3, 8, 10)], 40), Some(Step::Make('a')));
        assert_eq!(next_step(&[shelf('a', 0, 1, 10)], 0), None);
        // A cheaper kind still fits.
        assert_eq!(next_step(&[shelf('a', 1, 8, 10), shelf('b', 1, 2, 3)], 17), Some(Step::Make('b')));
    }

    #[test]
    fn what_was_found_to_cost_more_than_there_is_room_for_is_given_up() {
        assert_eq!(next_step(&[shelf('a', 3, 3, 10), shelf('b', 1, 1, 5)], 20), Some(Step::GiveUp('a')));
        assert_eq!(next_step(&[shelf('a', 1, 1, 10)], 0), Some(Step::GiveUp('a')));
    }

    #[test]
    fn a_kind_without_any_takes_the_place_of_what_another_has_in_plenty() {
        let plenty = [shelf('a', 4, 4, 10), shelf('b', 0, 1, 10)];
        assert_eq!(next_step(&plenty, 40), Some(Step::GiveUp('a')));
        let singles = [shelf('a', 1, 4, 10), shelf('b', 0, 1, 10)];
        assert_eq!(next_step(&singles, 10), None);
    }

    #[test]
    fn more_than_wanted_is_given_up() {
        assert_eq!(next_step(&[shelf('a', 3, 2, 10)], 1_000), Some(Step::GiveUp('a')));
    }

    #[test]
    fn the_steps_come_to_an_end() {
        let mut shelves =
            [shelf('a', 9, 9, 10), shelf('b', 0, 3, 17), shelf('c', 0, 1, 30), shelf('d', 1, 4, 1)];
        for turn in 0.. {
            assert!(turn < 200, "{shelves:?}");
            let Some(step) = next_step(&shelves, 100) else { break };
            let (kind, change) = match step {
                Step::Make(kind) => (kind, 1),
                Step::GiveUp(kind) => (kind, -1),
            };
            let shelf = shelves.iter_mut().find(|shelf| shelf.kind == kind).unwrap();
            shelf.have = shelf.have.checked_add_signed(change).unwrap();
            shelf.waiting = shelf.have;
        }
        assert!(shelves.iter().all(|shelf| shelf.have > 0), "{shelves:?}");
        assert!(shelves.iter().map(|shelf| shelf.have as u64 * shelf.cost).sum::<u64>() <= 100);
    }
}
