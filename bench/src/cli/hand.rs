//! Acting by hand on a cluster that is up, from any terminal: `kill`, `restart`, `input`, `down` and the others.

use clap::{Args, Subcommand};
use dsbench_core::observation::ActionVerb;

use super::{LOGS, attach, logs, ps};
use crate::control::{Ask, clusters};
use crate::error::BenchError;
use crate::report::terminal::{clean, say};

/// Examples of a command, and whom it can be for.
macro_rules! targets {
    ($($example:literal),+) => {
        concat!(
            "Examples:\n",
            $("  dsbench ", $example, "\n",)+
            "\nTargets are those of scenarios:\n",
            "  peer2                  a node; peer2/sentinel one process of it\n",
            "  leader                 whoever holds this role of the scenario now\n",
            "  all  any  random       everybody; one at random\n",
            "  killed  paused         whoever is killed; whoever is paused\n",
            "  isolated               whoever has no majority because of network faults\n",
            "  restarted              whoever the newest restart has brought back\n",
            "  minority  majority     as many at random\n",
            "  '!leader'              everybody else; several targets are all of them, without those with `!`",
        )
    };
}

/// What can be done with clusters that are up.
#[derive(Debug, Subcommand)]
pub(super) enum HandCommand {
    /// List the clusters that are up, and what every node does
    Ps(ps::PsArgs),
    /// Print the logs of a cluster that is up
    Logs(logs::LogsArgs),
    /// Connect the terminal with a node, or with a whole cluster that is up
    Attach(attach::AttachArgs),
    /// Kill nodes of a cluster that is up: SIGKILL to every process of them
    #[command(after_help = targets!("kill leader", "kill random --run leader-election"))]
    Kill(TargetArgs),
    /// Kill what is alive of nodes and start them again; returns when they are ready
    #[command(after_help = targets!("restart killed", "restart peer2 peer3"))]
    Restart(TargetArgs),
    /// Freeze nodes: they say, hear and do nothing, and do not know it
    #[command(after_help = targets!("pause leader", "pause all '!leader'"))]
    Pause(TargetArgs),
    /// Let paused nodes go on
    #[command(after_help = targets!("resume paused", "resume peer2"))]
    Resume(TargetArgs),
    /// Ask nodes to end, as the scenario's `stop` says
    #[command(after_help = targets!("stop peer2", "stop minority"))]
    Stop(TargetArgs),
    /// Start nodes that do not run; returns when they are ready
    #[command(after_help = targets!("start peer2", "start killed"))]
    Start(TargetArgs),
    /// Send a signal (HUP, USR1 ...) to the main programs of nodes
    Signal(SignalArgs),
    /// Type a line into the standard input of nodes
    Input(InputArgs),
    /// End a cluster that is up; returns when nothing of it is left
    Down(DownArgs),
    /// Cut links between nodes of a cluster that is up, in the place of the cut in force
    #[command(after_help = "\
Examples:
  dsbench partition leader                       the leader on one side, all others on the other
  dsbench partition peer1 '|' peer2 peer3        groups that do not reach each other
  dsbench partition peer1 '->' peer2             one way: what peer1 sends does not reach peer2
  dsbench partition halves                       at random; also: ring, bridge PEER, isolate PEER
  dsbench heal

Needs a cluster in the network laboratory (mode = \"lab\" in [network]).")]
    Partition(NetworkArgs),
    /// Delay, lose, repeat or change what goes over links of a cluster that is up
    #[command(after_help = "\
Examples:
  dsbench link delay=100ms jitter=50ms           every link
  dsbench link leader loss=0.2                   the leader's links, both ways
  dsbench link peer1 '<->' peer2 rate=1mbit      between two
  dsbench link peer1 '->' peer2 loss.share=0.1 loss.burst=3 only.protocol=udp
  dsbench heal

The keys are those of `link` in a step (dsbench explain link). What is done adds to what was done before.

Needs a cluster in the network laboratory (mode = \"lab\" in [network]).")]
    Link(NetworkArgs),
    /// Pull the network cable of nodes of a cluster that is up: they see it
    #[command(after_help = targets!("unplug leader", "unplug peer1 peer2"))]
    Unplug(NetworkArgs),
    /// Undo every network fault of a cluster that is up
    #[command(after_help = "Examples:\n  dsbench heal\n  dsbench heal --run leader-election")]
    Heal(Which),
}

/// Which cluster is meant.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Which cluster, if several are up: its run's directory, scenario or seed
    #[arg(long, value_name = "RUN")]
    pub(super) run: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// Nodes, roles, or words like `all`
    #[arg(value_name = "TARGET", required = true)]
    target: Vec<String>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  dsbench signal HUP peer1\n  dsbench signal USR1 all")]
pub(super) struct SignalArgs {
    /// HUP, INT, USR1 ...
    #[arg(value_name = "SIGNAL")]
    signal: String,
    /// Nodes, roles, or words like `all`
    #[arg(value_name = "TARGET", required = true)]
    target: Vec<String>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  dsbench input peer1 status\n  dsbench input leader sell 2 30\n  dsbench input all ''"
)]
pub(super) struct InputArgs {
    /// A node, a role, or a word like `all`
    #[arg(value_name = "TARGET")]
    target: String,
    /// The line; several words are joined by spaces
    #[arg(value_name = "TEXT", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    text: Vec<String>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  dsbench down\n  dsbench down --now\n  dsbench down --run leader-election")]
pub(super) struct DownArgs {
    /// Kill the nodes instead of asking them to end
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
pub(super) struct NetworkArgs {
    #[command(flatten)]
    which: Which,
    /// Nodes, roles, words and signs, as in the examples
    #[arg(value_name = "WORDS", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(super) fn act(command: &HandCommand) -> Result<u8, BenchError> {
    let acts = |verb, args: &TargetArgs| ask(&args.which, Ask::Act(verb, args.target.clone()));
    let network = |verb, args: &NetworkArgs| ask(&args.which, Ask::Act(verb, args.words.clone()));
    match command {
        HandCommand::Ps(args) => ps::ps(args),
        HandCommand::Logs(args) => logs::logs(args),
        HandCommand::Attach(args) => attach::attach(args),
        HandCommand::Kill(args) => acts(ActionVerb::Kill, args),
        HandCommand::Restart(args) => acts(ActionVerb::Restart, args),
        HandCommand::Pause(args) => acts(ActionVerb::Pause, args),
        HandCommand::Resume(args) => acts(ActionVerb::Resume, args),
        HandCommand::Stop(args) => acts(ActionVerb::Stop, args),
        HandCommand::Start(args) => acts(ActionVerb::Start, args),
        HandCommand::Signal(args) => ask(&args.which, Ask::Signal(args.signal.clone(), args.target.clone())),
        HandCommand::Input(args) => ask(&args.which, Ask::Input(args.text.join(" "), vec![args.target.clone()])),
        HandCommand::Down(args) => ask(&args.which, Ask::Down { now: args.now }),
        HandCommand::Partition(args) => network(ActionVerb::Partition, args),
        HandCommand::Link(args) => network(ActionVerb::Link, args),
        HandCommand::Unplug(args) => network(ActionVerb::Unplug, args),
        HandCommand::Heal(which) => ask(which, Ask::Act(ActionVerb::Heal, Vec::new())),
    }
}

/// Asks the cluster that is meant, and says what was done.
fn ask(which: &Which, ask: Ask) -> Result<u8, BenchError> {
    let (_, mut call) = clusters::the_one(LOGS.as_ref(), which.run.as_deref())?;
    let done = call.ask(ask)?;
    say!("{}", clean(&done.text));
    Ok(0)
}
