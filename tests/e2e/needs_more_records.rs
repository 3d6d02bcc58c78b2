//! What is recorded of a laboratory's network, read back by a reader that is not ours. `.ci/run` runs these.

use std::fs::File;

use dsbench_core::network::messages::{self, End};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};

use crate::support::{Place, stderr};

/// Both send the other a datagram again and again, and one way is cut for a while.
const TALKERS: &str = r#"
schema  = 1
name    = "talkers"
timeout = "30s"

[nodes]
count   = 2
name    = "peer{id}"
command = ["bash", "-c", "echo ready; while sleep 0.02; do echo hello from {name} > /dev/udp/peer$((3 - {id}))/7000; done 2> /dev/null"]
ready   = { log = 'ready', within = "20s" }

[events]
ready = { log = 'ready' }

[[steps]]
name      = "cut"
after     = "500ms"
partition = { from = "peer1", to = "peer2" }
for       = "1s"

[[steps]]
after = "500ms"
end   = true

[[invariants]]
sometimes = { event = "ready" }
"#;

/// Interface and comments of every packet.
fn packets(place: &Place, path: &str) -> Vec<(String, Vec<String>)> {
    let mut reader = PcapNgReader::new(File::open(place.path(path)).expect("packets")).expect("a section");
    let (mut names, mut packets) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block() {
        match block.expect("a sound block").into_owned() {
            Block::InterfaceDescription(interface) => {
                let name = interface.options.into_iter().find_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.into_owned()),
                    _ => None,
                });
                names.push(name.expect("every interface has a name"));
            }
            Block::EnhancedPacket(packet) => {
                let comment = |option| match option {
                    EnhancedPacketOption::Comment(comment) => Some(comment.into_owned()),
                    _ => None,
                };
                let comments = packet.options.into_iter().filter_map(comment).collect();
                packets.push((names[packet.interface_id as usize].clone(), comments));
            }
            _ => {}
        }
    }
    packets
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and bash"]
fn every_packet_is_recorded_with_what_a_fault_did_to_it() {
    let place = Place::new();
    place.write("x.toml", TALKERS);
    let run = place.dsbench(&["run", "x.toml", "--pcap"]).success();
    let text = stderr(&run);
    assert!(text.contains("logs/runs/talkers/") && text.contains("/packets.pcapng"), "{text}");

    let packets = packets(&place, "logs/runs/latest/packets.pcapng");
    let of = |name: &str, is_cut: bool| {
        let is_cut_comment =
            |comment: &String| comment.starts_with("dropped by rule ") && comment.ends_with(" (partition)");
        packets.iter().filter(|(on, comments)| on == name && comments.iter().any(is_cut_comment) == is_cut).count()
    };
    assert!(of("peer1", true) > 5 && of("peer1", false) > 5, "peer1 was cut off for a while");
    assert!(of("peer2", true) == 0 && of("peer2", false) > 5, "the other way was open");

    let record = std::fs::read(place.path("logs/runs/latest/messages.bin")).unwrap();
    let record = messages::read(&record).unwrap();
    let between = |from: &str, end: End| {
        let is_one = |message: &&messages::Message| {
            *record.names[usize::from(message.from)] == *from
                && message.end == end
                && message.first_bytes == format!("hello from {from}\n").as_bytes()
        };
        record.messages.iter().filter(is_one).count()
    };
    let cut = record.messages.iter().filter(|message| message.end == End::Cut);
    // Also what the kernel of peer1 answers to peer2, where nobody listens.
    assert_eq!(cut.count(), of("peer1", true));
    assert!(between("peer1", End::Cut) > 5 && between("peer2", End::Cut) == 0);
    assert!(between("peer1", End::Came) > 5 && between("peer2", End::Came) > 5);
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and bash"]
fn packets_are_recorded_only_if_that_is_wanted() {
    let place = Place::new();
    place.write("x.toml", TALKERS);
    let run = place.dsbench(&["run", "x.toml"]).success();
    assert!(!stderr(&run).contains("pcapng"));
    assert!(!place.path("logs/runs/latest/packets.pcapng").exists());
}
