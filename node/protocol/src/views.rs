//! The views that a log holds: the last one is in force, committed or not (Ongaro's thesis, 4.1).

use std::sync::Arc;

use dsbench_wire::View;

/// Views by the index of their entry. The first is the newest that is known to be committed, the others are not yet.
#[derive(Debug, Default)]
pub(crate) struct Views {
    list: Vec<(u64, Arc<View>)>,
    none: Arc<View>,
}

impl Views {
    /// The view in force; empty and with id 0 where there is none.
    pub(crate) fn latest(&self) -> &Arc<View> {
        self.list.last().map_or(&self.none, |(_, view)| view)
    }

    /// The oldest that is known: committed, or the founding one.
    pub(crate) fn oldest(&self) -> &Arc<View> {
        self.list.first().map_or(&self.none, |(_, view)| view)
    }

    /// Where the view in force is in the log.
    pub(crate) fn index(&self) -> u64 {
        self.list.last().map_or(0, |&(index, _)| index)
    }

    /// The newest view that is committed, when the log is up to `commit`.
    pub(crate) fn committed(&self, commit: u64) -> &Arc<View> {
        self.list.iter().rev().find(|&&(index, _)| index <= commit).map_or(&self.none, |(_, view)| view)
    }

    pub(crate) fn push(&mut self, index: u64, view: Arc<View>) {
        self.list.push((index, view));
    }

    /// A snapshot takes the place of everything.
    pub(crate) fn install(&mut self, index: u64, view: Arc<View>) {
        self.list = vec![(index, view)];
    }

    /// The log is cut off from `from` on.
    pub(crate) fn truncate(&mut self, from: u64) {
        self.list.retain(|&(index, _)| index < from);
    }

    /// The log is committed up to `commit`: earlier views can never come back.
    pub(crate) fn settle(&mut self, commit: u64) {
        let settled = self.list.partition_point(|&(index, _)| index <= commit);
        self.list.drain(..settled.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_view_is_in_force_until_it_is_cut_off() {
        let view = |id| Arc::new(View { id, ..View::default() });
        let mut views = Views::default();
        assert_eq!((views.latest().id, views.index()), (0, 0));
        views.push(1, view(1));
        views.push(5, view(2));
        assert_eq!((views.latest().id, views.committed(4).id, views.committed(5).id), (2, 1, 2));
        views.truncate(5);
        assert_eq!(views.latest().id, 1);
        views.push(6, view(2));
        views.settle(6);
        assert_eq!((views.latest().id, views.committed(3).id), (2, 0));
    }
}
