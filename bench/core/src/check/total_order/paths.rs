//! What is connected with what: disjoint sets that are joined (Tarjan & van Leeuwen, Worst-Case Analysis of Set Union Algorithms, 1984).

/// The set in which each number lies: each leads to the head of its own, by halves.
pub(super) struct Paths(Vec<u32>);

impl Paths {
    /// Each in the set of this head.
    pub(super) fn new(heads: impl IntoIterator<Item = u32>) -> Self {
        Self(heads.into_iter().collect())
    }

    /// One more, in a set of its own.
    pub(super) fn add(&mut self) -> u32 {
        let number = u32::try_from(self.0.len()).expect("a history has fewer than 2^32 observations");
        self.0.push(number);
        number
    }

    fn head(&mut self, mut number: u32) -> u32 {
        while self.0[number as usize] != number {
            let above = self.0[number as usize];
            self.0[number as usize] = self.0[above as usize];
            number = above;
        }
        number
    }

    /// Joins the sets of two; false if they were in the same one.
    pub(super) fn join(&mut self, one: u32, other: u32) -> bool {
        let (one, other) = (self.head(one), self.head(other));
        self.0[other as usize] = one;
        one != other
    }
}
