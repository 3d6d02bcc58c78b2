#!/bin/sh
# Starts three peers of a chat side by side in tmux; detach or close it to end them. Usage: node/configs/run-p2p.sh [dsbench]
set -eu
node="${1:-dsbench} node p2p"
command -v tmux > /dev/null || {
  echo "tmux is not here; run each of these in a terminal of its own:"
  echo "  $node --id 1 --port 6001"
  echo "  $node --id 2 --port 6002 --seed 1:127.0.0.1:6001"
  echo "  $node --id 3 --port 6003 --seed 1:127.0.0.1:6001"
  exit 1
}
session="p2p-$$"
tmux new-session -d -s "$session" "$node --id 1 --port 6001"
tmux split-window -t "$session" "$node --id 2 --port 6002 --seed 1:127.0.0.1:6001"
tmux split-window -t "$session" "$node --id 3 --port 6003 --seed 1:127.0.0.1:6001"
tmux select-layout -t "$session" even-vertical
tmux attach -t "$session"
