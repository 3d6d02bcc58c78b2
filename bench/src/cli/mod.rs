//! The command line: what can be asked, and the exit code of the answer.

mod attach;
mod bug;
mod check;
mod completions;
mod config;
mod doctor;
mod explain;
mod hand;
mod help;
mod init;
mod list;
mod logs;
mod man;
mod one;
mod plan;
mod ps;
mod recheck;
mod run;
mod runs;
mod schema;
mod select;
mod show;
mod storage;
mod stored;
mod told;
mod up;
mod values;
mod worker;

use std::process::ExitCode;

use clap::{FromArgMatches as _, Parser, Subcommand};

use crate::report::terminal;
use crate::series;
pub(crate) use values::ValueArgs;

/// A test bench for clusters: starts real nodes, breaks things, and says with evidence whether the promises held.
#[derive(Debug, Parser)]
#[command(name = "dsbench", version, propagate_version = true, max_term_width = 110, after_help = EXAMPLES)]
struct Cli {
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", display_order = 990)]
    color: Colour,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  dsbench run scenarios/leader-election.toml        run one scenario and judge it
  dsbench run                                       run every scenario in ./scenarios
  dsbench run x.toml --set nodes.count=5 --seed 7   change a value, fix the seed
  dsbench up x.toml                                 launch its nodes to look at, and act by hand
  dsbench check scenarios/*.toml                    only look for mistakes
  dsbench show                                      print the last run again
  dsbench runs list                                 what is stored
  dsbench explain DS0101                            a mistake; also verbs, checks, keys, exit codes

Exit codes:
  0  pass                        5        environment (a node did not start, a program is missing)
  1  violated, or missed         70       a bug in dsbench
  2  usage, invalid scenario     129 130 143  interrupted (SIGHUP, Ctrl-C, SIGTERM), after clean-up
  3  inconclusive
  4  nothing selected";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios and judge them
    Run(run::RunArgs),
    /// Launch a cluster for a demo: its nodes and logs, no steps and no verdict
    Up(up::UpArgs),
    #[command(flatten)]
    Hand(hand::HandCommand),
    /// Look for mistakes in scenarios; start nothing
    Check(check::CheckArgs),
    /// Print the runs that a command line means, without running them
    List(list::ListArgs),
    /// Print who would run and what would happen when
    Plan(plan::PlanArgs),
    /// Print the resolved scenario: every node's commands, addresses and files
    Config(config::ConfigArgs),
    /// Print a stored run: verdict, evidence, timeline
    Show(show::ShowArgs),
    /// Judge a stored run again, from its history alone
    Recheck(recheck::RecheckArgs),
    /// Write a first scenario, with a small cluster to run or for your own program
    Init(init::InitArgs),
    /// Try what a run needs from this machine, and say how to get what is missing
    Doctor(doctor::DoctorArgs),
    /// Explain a mistake, a verb, a check, a key or any other word; without one, list them all
    Explain(explain::ExplainArgs),
    /// List the stored runs, or remove old ones
    #[command(after_help = "\
Examples:
  dsbench runs list
  dsbench runs prune --keep 10 --older-than 7d")]
    Runs {
        #[command(subcommand)]
        verb: runs::Verb,
    },
    /// Print the JSON Schema of a scenario, from which editors complete and explain
    Schema(schema::SchemaArgs),
    /// Print completions for a shell: bash, zsh, fish, elvish or powershell
    Completions(completions::CompletionsArgs),
    /// Print the man page, or write those of all commands
    Man(man::ManArgs),
    /// The reference node: small distributed systems to try dsbench on
    #[command(after_help = "\
Examples:
  dsbench node sensor --help
  dsbench node sensor --id peer1 --peers peer1=127.0.0.1:7001,peer2=127.0.0.1:7002

In a scenario it is `{node}`: command = [\"{node}\", \"sensor\", \"--id\", \"{name}\", ..].")]
    Node {
        #[command(subcommand)]
        verb: dsbench_node::cli::Verb,
    },
}

/// Where runs are stored, in the directory in which dsbench is started.
const LOGS: &str = "logs";

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

fn parse_seed(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(&hex.replace('_', ""), 16),
        None => text.replace('_', "").parse(),
    };
    parsed.map_err(|_| "a seed is a number: 7 or 0x5eed1234".to_owned())
}

/// Parses the process's arguments, does what they say, and gives the exit code.
pub fn main() -> ExitCode {
    // No command of the command line, and in no completion of it: only dsbench itself gives it.
    if std::env::args_os().skip(1).eq([series::COMMAND]) {
        return ExitCode::from(bug::guarded(worker::worker));
    }
    let cli = Cli::from_arg_matches(&help::command().get_matches()).unwrap_or_else(|error| error.exit());
    if let Command::Node { verb } = cli.command {
        return dsbench_node::cli::run(verb);
    }
    ExitCode::from(bug::guarded(|| answer(cli)))
}

fn answer(cli: Cli) -> u8 {
    match cli.color {
        Colour::Auto => {}
        Colour::Always => anstream::ColorChoice::Always.write_global(),
        Colour::Never => anstream::ColorChoice::Never.write_global(),
    }
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Up(args) => up::up(&args),
        Command::Hand(command) => hand::act(&command),
        Command::Check(args) => check::check(&args),
        Command::List(args) => list::list(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Config(args) => config::config(&args),
        Command::Show(args) => show::show(&args),
        Command::Recheck(args) => recheck::recheck(&args),
        Command::Init(args) => init::init(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::man(&args),
        Command::Runs { verb } => runs::runs(&verb),
        Command::Schema(args) => schema::schema(&args),
        Command::Node { .. } => unreachable!("the reference node is a program of its own"),
    };
    done.unwrap_or_else(|error| {
        terminal::tell_error(&error);
        error.exit_code()
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn seeds_are_decimal_or_hexadecimal() {
        assert_eq!(super::parse_seed("7"), Ok(7));
        assert_eq!(super::parse_seed("0x5eed_1234"), Ok(0x5eed_1234));
        assert!(super::parse_seed("seven").is_err());
    }
}
