//! Which partitions are ours, and how far each is done and committed. An assignment begins a new term:
//! what was read under an earlier one belongs to whoever owns the partition now, and is read there
//! again from the last commit. So work of an earlier term is never committed.

use std::collections::BTreeMap;

/// One uninterrupted ownership of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Term(u64);

#[derive(Debug, Default)]
pub(super) struct Ownership {
    last: u64,
    owned: BTreeMap<i32, Progress>,
}

/// Both are the offset of the next record.
#[derive(Debug)]
struct Progress {
    term: Term,
    done: Option<i64>,
    committed: Option<i64>,
}

impl Ownership {
    pub(super) fn assign(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            self.last += 1;
            self.owned.insert(partition, Progress { term: Term(self.last), done: None, committed: None });
        }
    }

    pub(super) fn revoke(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            self.owned.remove(&partition);
        }
    }

    /// None: the partition is not ours.
    pub(super) fn term(&self, partition: i32) -> Option<Term> {
        self.owned.get(&partition).map(|progress| progress.term)
    }

    pub(super) fn holds(&self, partition: i32, term: Term) -> bool {
        self.term(partition) == Some(term)
    }

    /// Everything before `next` has been worked on, if the partition is still ours.
    pub(super) fn done(&mut self, partition: i32, term: Term, next: i64) {
        if let Some(progress) = self.owned.get_mut(&partition).filter(|progress| progress.term == term) {
            progress.done = progress.done.max(Some(next));
        }
    }

    /// What the broker said it has. It may be said of an earlier term, too; then it says nothing new.
    pub(super) fn committed(&mut self, partition: i32, next: i64) {
        if let Some(progress) = self.owned.get_mut(&partition) {
            progress.committed = progress.committed.max(Some(next));
        }
    }

    /// What is done and not known to be committed: partitions, and the offset of their next record.
    pub(super) fn uncommitted(&self) -> Vec<(i32, i64)> {
        let open = |(partition, progress): (&i32, &Progress)| {
            progress.done.filter(|_| progress.done > progress.committed).map(|next| (*partition, next))
        };
        self.owned.iter().filter_map(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_done_is_to_be_committed_and_only_once() {
        let mut ownership = Ownership::default();
        ownership.assign([0, 1]);
        assert_eq!(ownership.uncommitted(), []);
        ownership.done(1, ownership.term(1).unwrap(), 7);
        assert_eq!(ownership.uncommitted(), [(1, 7)]);
        ownership.committed(1, 7);
        assert_eq!(ownership.uncommitted(), []);
        ownership.done(1, ownership.term(1).unwrap(), 9);
        assert_eq!(ownership.uncommitted(), [(1, 9)]);
    }

    #[test]
    fn what_was_lost_in_the_middle_of_a_batch_is_not_committed() {
        let mut ownership = Ownership::default();
        ownership.assign([0, 1]);
        let terms = [ownership.term(0).unwrap(), ownership.term(1).unwrap()];
        ownership.revoke([1]);
        ownership.done(0, terms[0], 3);
        ownership.done(1, terms[1], 4);
        assert_eq!(ownership.uncommitted(), [(0, 3)]);
    }

    #[test]
    fn a_partition_that_came_back_begins_anew() {
        let mut ownership = Ownership::default();
        ownership.assign([0]);
        let before = ownership.term(0).unwrap();
        ownership.revoke([0]);
        ownership.assign([0]);
        ownership.done(0, before, 9);
        assert_eq!(ownership.uncommitted(), [], "the records of before are read again");
        assert!(!ownership.holds(0, before));
    }

    #[test]
    fn a_late_word_about_an_earlier_commit_takes_nothing_back() {
        let mut ownership = Ownership::default();
        ownership.assign([0]);
        let term = ownership.term(0).unwrap();
        ownership.done(0, term, 9);
        ownership.committed(0, 9);
        ownership.committed(0, 5);
        ownership.done(0, term, 7);
        assert_eq!(ownership.uncommitted(), []);
    }
}
