//! Ways that lead back, in a graph of what was delivered right after what.

use std::collections::VecDeque;

/// A message was delivered right after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    /// The line by which the second was delivered.
    pub(super) number: u64,
}

/// The outgoing edges of each message, one after the other.
struct Graph<'e> {
    edges: &'e [Edge],
    begins: Vec<u32>,
    order: Vec<u32>,
}

impl<'e> Graph<'e> {
    fn of(messages: usize, edges: &'e [Edge], end: fn(&Edge) -> u32) -> Self {
        let mut begins = vec![0_u32; messages + 1];
        edges.iter().for_each(|edge| begins[end(edge) as usize + 1] += 1);
        (0..messages).for_each(|at| begins[at + 1] += begins[at]);
        let mut free = begins.clone();
        let mut order = vec![0; edges.len()];
        for (index, edge) in (0_u32..).zip(edges) {
            let place = &mut free[end(edge) as usize];
            order[*place as usize] = index;
            *place += 1;
        }
        Self { edges, begins, order }
    }

    fn at(&self, message: u32) -> impl Iterator<Item = &'e Edge> {
        let range = self.begins[message as usize] as usize..self.begins[message as usize + 1] as usize;
        self.order[range].iter().map(|index| &self.edges[*index as usize])
    }
}

/// A short way that leads back, if there is one: in time linear in the edges (Kahn 1962, and a search in breadth from a message on a way
/// that leads back).
pub(super) fn cycle(messages: usize, edges: &[Edge]) -> Option<Vec<Edge>> {
    let graph = Graph::of(messages, edges, |edge| edge.from);
    let mut into = vec![0_u32; messages];
    edges.iter().for_each(|edge| into[edge.to as usize] += 1);
    let mut ready: Vec<u32> =
        (0_u32..).zip(&into).filter(|(_, into)| **into == 0).map(|(message, _)| message).collect();
    while let Some(message) = ready.pop() {
        for edge in graph.at(message) {
            let into = &mut into[edge.to as usize];
            *into -= 1;
            if *into == 0 {
                ready.push(edge.to);
            }
        }
    }
    // Whoever is left has somebody left before it, so going back comes to a message for the second time.
    let left = |message: u32| into[message as usize] > 0;
    let mut at = (0_u32..).zip(&into).find(|(_, into)| **into > 0)?.0;
    let back = Graph::of(messages, edges, |edge| edge.to);
    let mut is_met = vec![false; messages];
    while !std::mem::replace(&mut is_met[at as usize], true) {
        at = back.at(at).find(|edge| left(edge.from))?.from;
    }
    shortest(&graph, messages, at)
}

/// The shortest way from a message back to it.
fn shortest(graph: &Graph<'_>, messages: usize, start: u32) -> Option<Vec<Edge>> {
    let mut came: Vec<Option<Edge>> = vec![None; messages];
    let mut ahead = VecDeque::from([start]);
    while let Some(from) = ahead.pop_front() {
        for edge in
            graph.at(from).filter(|edge| edge.to == start || came[edge.to as usize].is_none()).collect::<Vec<_>>()
        {
            came[edge.to as usize] = Some(*edge);
            if edge.to == start {
                let last = came[start as usize]?;
                let way =
                    std::iter::successors(Some(last), |edge| came[edge.from as usize].filter(|_| edge.from != start));
                let mut way: Vec<Edge> = way.collect();
                way.reverse();
                return Some(way);
            }
            ahead.push_back(edge.to);
        }
    }
    None
}
