# A node of a cluster of shells: the leader of term N is who made the directory term.N, which only one can do.
#
#     BOARD=shared-directory sh node.sh NAME

name=$1
trap 'echo "$name leaves"; exit 0' TERM INT

# The highest term there is; 0 if there is none.
latest() {
  term=0
  while [ -d "$BOARD/term.$((term + 1))" ]; do term=$((term + 1)); done
  echo "$term"
}

# True if whoever made this term's directory still lives. Who made it and has not written its pid yet is given the time to.
holder_lives() {
  [ "$1" -gt 0 ] || return 1
  pid=$(cat "$BOARD/term.$1/pid" 2> /dev/null) || { sleep 1; pid=$(cat "$BOARD/term.$1/pid" 2> /dev/null); }
  [ -n "$pid" ] && kill -0 "$pid" 2> /dev/null
}

echo "$name watches $BOARD"
while :; do
  term=$(latest)
  if ! holder_lives "$term"; then
    next=$((term + 1))
    if mkdir "$BOARD/term.$next" 2> /dev/null; then
      # Written elsewhere and moved, so that nobody reads half of it.
      echo $$ > "$BOARD/term.$next/pid.new" && mv "$BOARD/term.$next/pid.new" "$BOARD/term.$next/pid"
      echo "$name leads term=$next"
    fi
  fi
  sleep 1
done
