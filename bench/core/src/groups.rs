//! The groups of a scenario: which node belongs to which, and which ports and variables its nodes have.
//!
//! A scenario with `[nodes]` has one group without a name. What a text may speak of depends on whose point of view it is read from
//! ([`Whose`]): `{addr.client}` is a mistake in a group that has no port of this name.

use crate::observation::Name;

/// From whose point of view a text is read: who is "this node".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Nobody's: the bench runs it for itself.
    Nobody,
    /// Some node's, and only the run will tell whose: what one group has can be named.
    Anybody,
    /// That of every node of the scenario: what all groups have can be named.
    Everybody,
    /// That of the nodes of one scope.
    Of(ScopeId),
}

/// Names a scope: a group, or a node with differences of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeId(usize);

/// What it takes to know what a text says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// There has to be a "this node".
    pub node: bool,
    /// Ports that "this node" must have.
    pub ports: Vec<Name>,
}

impl Needs {
    /// Both.
    pub fn with(mut self, other: Self) -> Self {
        self.node |= other.node;
        self.ports.extend(other.ports);
        self
    }
}

/// What a variable may be used for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VarShape {
    /// It is a list without `join`: as an argument of its own it becomes several.
    pub is_list: bool,
    /// What it takes to know its value.
    pub needs: Needs,
}

/// The groups, and the variables in the order of the file.
#[derive(Debug, Clone)]
pub struct Groups {
    scopes: Vec<Scope>,
    /// The variables that every node sees.
    vars: Vec<(Name, VarShape)>,
    /// Every variable's name in the order in which it was first declared. One that replaces another stands where that one stood.
    ranks: Vec<Name>,
    /// Only variables before this rank can be used: the one that is being defined has it.
    limit: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Scope {
    /// Of a group: its name, if it has one.
    group: Option<Name>,
    /// Of a node with differences: its group.
    parent: Option<ScopeId>,
    nodes: Vec<Name>,
    ports: Vec<Name>,
    vars: Vec<(Name, VarShape)>,
}

impl Default for Groups {
    /// One group without a name and without nodes.
    fn default() -> Self {
        Self { scopes: vec![Scope::default()], vars: Vec::new(), ranks: Vec::new(), limit: usize::MAX }
    }
}

impl Groups {
    /// Begins a group: what is declared next belongs to it.
    pub fn begin(&mut self, group: Option<Name>) -> ScopeId {
        if self.are_unknown() {
            self.scopes.clear();
        }
        self.scopes.push(Scope { group, ..Scope::default() });
        ScopeId(self.scopes.len() - 1)
    }

    /// Begins the scope of one node of a group, which has variables of its own.
    pub fn differ(&mut self, parent: ScopeId, node: Name) -> ScopeId {
        self.scopes.push(Scope { parent: Some(parent), nodes: vec![node], ..Scope::default() });
        ScopeId(self.scopes.len() - 1)
    }

    fn last(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("there is always one")
    }

    /// Declares a node of the group that was begun last.
    pub fn add_node(&mut self, node: Name) {
        self.last().nodes.push(node);
    }

    /// Declares a port of every node of the group that was begun last.
    pub fn add_port(&mut self, port: Name) {
        self.last().ports.push(port);
    }

    /// Says that this variable is read next: until it is declared, only those before it can be used.
    pub fn define(&mut self, var: &str) {
        self.limit = self.ranks.iter().position(|known| &**known == var).unwrap_or(self.ranks.len());
    }

    /// Declares a variable that every node sees, or the nodes of one scope.
    pub fn add_var(&mut self, of: Option<ScopeId>, name: Name, shape: VarShape) {
        if !self.ranks.contains(&name) {
            self.ranks.push(name.clone());
        }
        self.limit = usize::MAX;
        match of {
            Some(ScopeId(of)) => self.scopes[of].vars.push((name, shape)),
            None => self.vars.push((name, shape)),
        }
    }

    /// True as long as none was begun: the scenario's could not be read.
    pub fn are_unknown(&self) -> bool {
        matches!(self.scopes.as_slice(), [only] if *only == Scope::default())
    }

    /// The groups, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = ScopeId> {
        let groups = self.scopes.iter().enumerate().filter(|(_, scope)| scope.parent.is_none());
        groups.map(|(index, _)| ScopeId(index))
    }

    /// The first group, and the others; there is always one.
    pub fn all(&self) -> (ScopeId, Vec<ScopeId>) {
        (ScopeId(0), self.iter().skip(1).collect())
    }

    /// True if the scenario has `[groups]`, and so more than one kind of peers.
    pub fn are_named(&self) -> bool {
        self.scopes.iter().any(|scope| scope.group.is_some())
    }

    /// The names of the groups, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.scopes.iter().filter_map(|scope| scope.group.as_ref())
    }

    /// A group by its name.
    pub fn named(&self, name: &str) -> Option<ScopeId> {
        self.scopes.iter().position(|scope| scope.group.as_deref() == Some(name)).map(ScopeId)
    }

    /// The group of a node.
    pub fn of_node(&self, node: &str) -> Option<ScopeId> {
        self.scopes.iter().position(|scope| scope.nodes.iter().any(|known| &**known == node)).map(ScopeId)
    }

    /// The scope of a node: its own if it has one, else its group.
    pub fn scope_of_node(&self, node: &str) -> Option<ScopeId> {
        self.scopes.iter().rposition(|scope| scope.nodes.iter().any(|known| &**known == node)).map(ScopeId)
    }

    /// The nodes of a group, in their order; the only one of a single node's scope.
    pub fn nodes(&self, of: ScopeId) -> &[Name] {
        &self.scopes[of.0].nodes
    }

    /// A node's number in its group, from 1.
    pub fn id(&self, node: &str) -> Option<usize> {
        let group = &self.scopes[self.of_node(node)?.0];
        group.nodes.iter().position(|known| &**known == node).map(|index| index + 1)
    }

    /// How a group is called in diagnostics.
    pub fn shown(&self, of: ScopeId) -> String {
        let group = self.scopes[of.0].parent.unwrap_or(of);
        self.scopes[group.0].group.as_ref().map_or_else(|| "[nodes]".to_owned(), |name| format!("group `{name}`"))
    }

    /// The ports of the nodes of a scope, in the order of the file.
    pub fn ports(&self, of: ScopeId) -> &[Name] {
        let scope = &self.scopes[of.0];
        scope.parent.map_or(&scope.ports, |group| self.ports(group))
    }

    /// A variable as the nodes of a scope see it (or as everybody does): their own before that of all.
    pub fn var(&self, of: Option<ScopeId>, name: &str) -> Option<(&Name, &VarShape)> {
        self.vars(of).find(|(known, _)| &***known == name)
    }

    /// The variables that the nodes of a scope see and that can be used now: their own first.
    pub fn vars(&self, of: Option<ScopeId>) -> impl Iterator<Item = (&Name, &VarShape)> {
        let own = of.map(|of| &self.scopes[of.0]);
        let group = own.and_then(|scope| scope.parent).map(|group| &self.scopes[group.0]);
        let own = own.into_iter().chain(group).flat_map(|scope| &scope.vars);
        let is_before = |name: &Name| self.ranks.iter().take(self.limit).any(|known| known == name);
        own.chain(&self.vars).filter(move |(name, _)| is_before(name)).map(|(name, shape)| (name, shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_sees_its_own_variables_then_its_groups_then_those_of_all() {
        let mut groups = Groups::default();
        let list = |is_list| VarShape { is_list, ..VarShape::default() };
        groups.add_var(None, "a".into(), list(false));
        let server = groups.begin(Some("server".into()));
        groups.add_node("server1".into());
        groups.add_port("peer".into());
        let client = groups.begin(Some("client".into()));
        groups.add_var(Some(server), "a".into(), list(true));
        groups.add_var(Some(server), "b".into(), list(true));
        let one = groups.differ(server, "server1".into());
        groups.add_var(Some(one), "b".into(), list(false));
        let sees = |of, name| groups.var(of, name).map(|(_, shape)| shape.is_list);
        assert_eq!(
            [sees(None, "a"), sees(Some(client), "a"), sees(Some(server), "a")],
            [Some(false), Some(false), Some(true)]
        );
        assert_eq!(
            [sees(Some(one), "a"), sees(Some(one), "b"), sees(Some(client), "b")],
            [Some(true), Some(false), None]
        );
        assert_eq!(groups.ports(one), [Name::from("peer")]);
        assert_eq!(groups.of_node("server1"), Some(server));
        assert_eq!(groups.iter().collect::<Vec<_>>(), [server, client]);
    }

    #[test]
    fn a_variable_that_replaces_another_uses_only_what_stood_before_that_one() {
        let mut groups = Groups::default();
        for name in ["a", "b", "c"] {
            groups.add_var(None, name.into(), VarShape::default());
        }
        let group = groups.begin(None);
        groups.define("b");
        let usable: Vec<&str> = groups.vars(Some(group)).map(|(name, _)| &**name).collect();
        assert_eq!(usable, ["a"], "or `c`, which uses the old `b`, would be used by the new one");
        groups.add_var(Some(group), "b".into(), VarShape::default());
        assert_eq!(groups.vars(Some(group)).count(), 4);
    }
}
