//! `[network]`: the network between the nodes, and whether it is the run's own.

use std::net::Ipv4Addr;

use super::nodes::{Node, is_reserved, refuse_unsafe};
use crate::diagnostic::{self, Diagnostic, Located};
use crate::names::Names;
use crate::network::{Layout, Subnet};
use crate::observation::Name;
use crate::table::{Item, Key, Kind, Table};

/// The network between the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// What of the scenario only a laboratory has, if it runs in one; none: it runs in host mode.
    pub lab: Option<String>,
    /// The laboratory's network, if the scenario says which.
    subnet: Option<Subnet>,
    /// The largest packet between nodes, in bytes.
    pub mtu: Option<u16>,
    /// Addresses that nodes may take over from each other.
    pub addresses: Vec<Ipv4Addr>,
    /// Machines that run nothing by themselves, after those of the nodes.
    pub clients: Vec<Name>,
}

/// The keys of `[network]`.
pub(super) const KEYS: &[Key] = &[
    Key::new(
        "mode",
        Kind::OneOf(MODES),
        "\"lab\": each node has an address and a network of its own, which dsbench connects. \"host\": the nodes share this machine's network, on 127.0.0.1. \"auto\" (if not given): \"lab\" if the scenario uses anything that only the laboratory has, else \"host\". (\"shared\" comes later.)",
    ),
    Key::new(
        "subnet",
        Kind::Text,
        "The laboratory's network: \"10.77.0.0/24\" if not given (/16 of more than 250 nodes). The first node has its first address.",
    ),
    Key::new("mtu", Kind::IntIn(1280, 9000), "The largest packet between nodes, in bytes; 1500 if not given."),
    Key::new(
        "addresses",
        Kind::Texts,
        "Further addresses of that network that nodes may take and give away while they run, as VRRP does.",
    ),
    CLIENTS,
];

const CLIENTS: Key = Key::new(
    "clients",
    Kind::Texts,
    "Names of further machines with addresses of their own, after those of the nodes: `exec` steps run there with `as`, and `partition` and `link` can name them. Who is not named reaches everybody.",
);

const MODES: &[&str] = &["auto", "lab", "host", "shared"];

/// The words of `[network]`, before it is known who runs.
#[derive(Debug)]
pub(super) struct Asked {
    subnet: Option<Option<Subnet>>,
    mtu: Option<u16>,
    addresses: Option<Vec<Ipv4Addr>>,
    clients: Vec<Name>,
}

/// Reads `[network]`. What comes later is refused if it does not fit the mode.
pub(super) fn parse(root: &Table<'_, '_>, names: &mut Names<'_>) -> Option<Asked> {
    let Some(item) = root.item("network") else {
        return Some(Asked { subnet: Some(None), mtu: None, addresses: Some(Vec::new()), clients: Vec::new() });
    };
    let table = item.table(KEYS, "[network]")?;
    if let Some(mode) = table.word("mode") {
        match mode.value {
            "host" => names.ask_for_host(),
            "lab" => _ = names.needs_lab("mode = \"lab\"", &mode.span, ""),
            "shared" => {
                let message = "network mode \"shared\" is not in this version";
                let help = "\"lab\" gives every node a network of its own; \"host\" has them share this machine's";
                let diagnostic = Diagnostic::error(diagnostic::NOT_YET, message, mode.span, "not yet");
                root.report(diagnostic.help(help));
            }
            _ => {}
        }
    }
    for key in ["subnet", "mtu", "addresses", "clients"] {
        if let Some(item) = table.item(key) {
            let instead = "in host mode every node is on 127.0.0.1";
            names.needs_lab(&format!("`{key}`"), &item.key_span(), instead);
        }
    }
    let subnet = match table.item("subnet") {
        Some(item) => parse_subnet(&item).map(Some),
        None => Some(None),
    };
    let mtu = table.int("mtu", 1280..=9000).and_then(|mtu| u16::try_from(mtu.value).ok());
    let addresses = parse_addresses(&table, subnet.flatten());
    let clients = table.texts("clients").unwrap_or_default();
    let clients = clients.iter().filter(|client| is_free(client, &table)).map(|client| Name::from(client.value));
    let clients: Vec<Name> = clients.collect();
    clients.iter().for_each(|client| names.add_client(client.clone()));
    Some(Asked { subnet, mtu, addresses, clients })
}

/// A client's name is a machine's, and must not be a word of the language.
fn is_free(client: &Located<&str>, table: &Table<'_, '_>) -> bool {
    let is_safe = refuse_unsafe(client.value, &client.span, "a client's name", table.problems());
    let is_word = is_reserved(client.value) || client.value == "dsbench";
    if is_word {
        let message = format!("no client can be called `{}`", client.value);
        let label = "a word of the language";
        table.report(Diagnostic::error(diagnostic::RESERVED_NAME, message, client.span.clone(), label));
    }
    is_safe && !is_word
}

fn parse_subnet(item: &Item<'_, '_>) -> Option<Subnet> {
    let text = item.text()?;
    let subnet = Subnet::parse(text.value);
    if subnet.is_none() {
        let message = format!("`{}` is not a network", text.value.escape_debug());
        let label = "an IPv4 network with its prefix";
        item.report(
            Diagnostic::error(diagnostic::BAD_SUBNET, message, text.span, label).help("for example \"10.77.0.0/24\""),
        );
    }
    subnet
}

fn parse_addresses(table: &Table<'_, '_>, subnet: Option<Subnet>) -> Option<Vec<Ipv4Addr>> {
    let subnet = subnet.unwrap_or_else(|| Subnet::for_endpoints(0));
    let parse = |text: &Located<&str>| {
        let address = text.value.parse::<Ipv4Addr>().ok().filter(|address| subnet.has(*address));
        if address.is_none() {
            let message = format!("`{}` is no address of {subnet}", text.value.escape_debug());
            table.report(
                Diagnostic::error(diagnostic::BAD_SUBNET, message, text.span.clone(), "not of this network")
                    .help("an address that no node has from the beginning, from the upper end of the network"),
            );
        }
        address
    };
    let addresses: Vec<_> = table.texts("addresses").unwrap_or_default().iter().map(parse).collect();
    addresses.into_iter().collect()
}

impl Asked {
    /// Machines for the clients of workloads, after those that the scenario names.
    pub(super) fn with_clients(mut self, clients: impl IntoIterator<Item = Name>) -> Self {
        self.clients.extend(clients);
        self
    }

    /// What it comes to, when everything has been read.
    pub(super) fn decide(self, root: &Table<'_, '_>, nodes: &[Node], names: &Names<'_>) -> Option<Network> {
        let Self { subnet, mtu, addresses, clients } = self;
        let (subnet, addresses) = (subnet?, addresses?);
        let network = Network { lab: names.uses_lab(), subnet, mtu, addresses, clients };
        let layout = network.layout(nodes);
        let at = |key| root.table("network", "[network]").and_then(|table| table.item(key)).map(|item| item.span());
        let is_taken = |client: &&Name| {
            let twice = network.clients.iter().filter(|other| *other == *client).count() > 1;
            twice || names.is_node(client) || names.group(client).is_some() || names.is_role(client)
        };
        if let Some(client) = network.clients.iter().find(is_taken) {
            let message = format!("`{client}` is a client, and something else");
            let span = at("clients").unwrap_or_else(|| root.span());
            root.report(Diagnostic::error(diagnostic::DUPLICATE_NAME, message, span, "given twice"));
            return None;
        }
        if nodes.len() + network.clients.len() > layout.subnet.room() {
            let message = format!(
                "{} has room for {} nodes, and there are {}",
                layout.subnet,
                layout.subnet.room(),
                nodes.len() + network.clients.len()
            );
            let span = at("subnet").unwrap_or_else(|| root.span());
            root.report(Diagnostic::error(diagnostic::BAD_SUBNET, message, span, "too small").help("a shorter prefix"));
            return None;
        }
        let everybody = || layout.endpoints.iter().chain([&layout.bench]);
        if let Some(taken) = everybody().find(|endpoint| network.addresses.contains(&endpoint.ip4)) {
            let message = format!("{} is the address of {}", taken.ip4, taken.name);
            let span = at("addresses").unwrap_or_else(|| root.span());
            let diagnostic = Diagnostic::error(diagnostic::BAD_SUBNET, message, span, "taken from the beginning");
            root.report(diagnostic.help("an address that nobody has, from the upper end of the network"));
            return None;
        }
        Some(network)
    }
}

impl Network {
    /// True if the run has a network of its own.
    pub fn is_lab(&self) -> bool {
        self.lab.is_some()
    }

    /// Where everybody would be in the laboratory: the nodes in their order, then the clients.
    pub fn layout<'n>(&'n self, nodes: impl IntoIterator<Item = &'n Node>) -> Layout {
        let names: Vec<&Name> = nodes.into_iter().map(|node| &node.name).chain(&self.clients).collect();
        let subnet = self.subnet.unwrap_or_else(|| Subnet::for_endpoints(names.len()));
        Layout::new(subnet, names)
    }
}
