#!/bin/sh
# Starts three peers of a chat side by side in tmux. They end when tmux is left: /quit in each, or Ctrl-b d.
# Usage: node/configs/run-p2p.sh [PROGRAM...]    how to start a node, if that is not `dsbench node`: target/release/dsbench node, or dsnode
set -eu
[ $# -gt 0 ] || set -- dsbench node

program=
for word in "$@"; do
  program="$program'$(printf %s "$word" | sed "s/'/'\\\\''/g")' "
done
first="--id 1 --host 127.0.0.1 --port 6001"
second="--id 2 --host 127.0.0.1 --port 6002 --seed 1:127.0.0.1:6001"
third="--id 3 --host 127.0.0.1 --port 6003 --seed 1:127.0.0.1:6001"

command -v "$1" > /dev/null || {
  echo "$1 is not found (build it: cargo build --release, then $0 target/release/dsbench node)" >&2
  exit 1
}
command -v tmux > /dev/null || {
  echo "tmux is not found (install it: apt-get install tmux). Without it, run each of these in a terminal of its own:" >&2
  for peer in "$first" "$second" "$third"; do echo "  $* p2p $peer" >&2; done
  exit 1
}
[ -t 0 ] && [ -t 1 ] || {
  echo "no terminal to show three peers on" >&2
  exit 1
}

# A server of its own, so that nothing of it outlives this script, and that it works inside another tmux as well.
unset TMUX
place=$(mktemp -d)
in_tmux() { tmux -S "$place/tmux" "$@"; }
trap 'in_tmux kill-server 2> /dev/null || true; rm -rf "$place"' EXIT
trap 'exit 1' HUP INT TERM
# What went wrong stays to be read.
pane() { echo "$program p2p $1 || { echo; echo 'Enter closes this pane.'; read -r _; }"; }
in_tmux new-session -d -s p2p "$(pane "$first")"
in_tmux set-option -t p2p status-right ' Ctrl-b o: next peer   Ctrl-b d: end all '
in_tmux set-option -t p2p status-right-length 60
in_tmux set-option -t p2p mouse on
in_tmux split-window -t p2p "$(pane "$second")"
in_tmux split-window -t p2p "$(pane "$third")"
in_tmux select-layout -t p2p even-vertical
in_tmux select-pane -t p2p -U
in_tmux select-pane -t p2p -U
in_tmux attach-session -t p2p
