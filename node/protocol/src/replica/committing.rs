//! Committing: an entry is safe once a majority has it and no later leader can be without it (Raft, 5.4).

use std::collections::BTreeMap;
use std::sync::Arc;

use dsbench_wire::{Content, NodeId};

use super::Replica;
use crate::{Cx, Machine};

impl<M: Machine> Replica<M> {
    /// The first entry of a term: a no-op, with which everything before it is committed; or, where the votes tell whose disks
    /// the view's members have, the view with that.
    pub(super) fn open_term(&mut self, votes: &BTreeMap<NodeId, u64>, cx: &mut Cx<'_, Self>) {
        let mut view = self.views.latest().as_ref().clone();
        let mut is_news = view.network == 0;
        if is_news {
            view.network = self.incarnation;
        }
        for (id, &incarnation) in votes {
            if let Some(peer) = view.members.get_mut(id).filter(|peer| peer.incarnation == 0) {
                peer.incarnation = incarnation;
                is_news = true;
            }
        }
        let content = if is_news { Content::View(Arc::new(view)) } else { Content::NoOp };
        self.propose(content, cx);
        self.count_copies(cx);
    }

    /// Commits what a majority of the view in force has on its disks, this node's own among them. Only entries of the leader's
    /// own term are counted: one of an earlier term may be on a majority and still be replaced (Raft, figure 8).
    pub(super) fn count_copies(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(leading) = self.leading.as_ref().filter(|_| self.needs_votes()) else { return };
        let view = self.views.latest();
        let copies = view.members.values().map(|peer| {
            if peer.id == *cx.me {
                return if peer.is(self.incarnation) { self.log.synced() } else { 0 };
            }
            let progress = leading.progress.get(&peer.id);
            let counted = progress.filter(|progress| peer.incarnation != 0 && progress.incarnation == peer.incarnation);
            counted.map_or(0, |progress| progress.matched())
        });
        let mut copies: Vec<_> = copies.collect();
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::CountsLearners) {
            copies.extend(
                view.learners
                    .keys()
                    .filter_map(|id| leading.progress.get(id))
                    .map(super::replicating::Progress::matched),
            );
        }
        copies.sort_unstable_by(|a, b| b.cmp(a));
        let Some(&safe) = view.majority().checked_sub(1).and_then(|weakest| copies.get(weakest)) else { return };
        let first = leading.first;
        #[cfg(feature = "mistakes")]
        let first = if self.makes(crate::Mistake::CountsOldTerms) { 0 } else { first };
        #[cfg(feature = "mistakes")]
        let safe = if self.makes(crate::Mistake::AcknowledgesBeforeMajority) { self.log.synced() } else { safe };
        if safe > self.commit && safe >= first {
            self.commit_to(safe, cx);
            // What is changed now goes out with the news of what is committed.
            self.manage(cx);
            self.spread(cx);
        }
    }

    /// Everything up to `index` is committed.
    pub(super) fn commit_to(&mut self, index: u64, cx: &mut Cx<'_, Self>) {
        if index <= self.commit {
            return;
        }
        let before = Arc::clone(self.views.committed(self.commit));
        self.commit = index;
        self.apply_committed(cx);
        let after = Arc::clone(self.views.committed(index));
        self.views.settle(index);
        if !Arc::ptr_eq(&before, &after) {
            self.view_is_committed(&before, &after, cx);
        }
    }
}
