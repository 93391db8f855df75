# How the stories are told: every command is printed as a person would type it, then run. A step that does not end as
# expected stops the telling with a plain sentence.

if [[ -t 1 && -z "${NO_COLOR:-}" ]]; then bold=$'\e[1m'; dim=$'\e[2m'; plain=$'\e[0m'; else bold=''; dim=''; plain=''; fi

say() { printf '%s\n' "$*"; }
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; }

fail() {
  printf '\nThe story ends here: %s\n' "$*" >&2
  exit 1
}

# run COMMAND...: it must succeed.
run() { ends_with 0 "$@"; }

# ends_with CODE COMMAND...: it must end with this exit code.
ends_with() {
  local expected=$1 got=0
  shift
  show "$(quoted "$@")"
  "$@" || got=$?
  [[ $got -eq $expected ]] || fail "'$(quoted "$@")' ended with $got and should have ended with $expected"
}

quoted() {
  local word out=''
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:=@%+,-]+$ ]] && out+=" $word" || out+=" \"$word\""
  done
  printf '%s' "${out# }"
}

# wake: start the daemon in the background and wait until it answers. It leaves its process id in $daemon.
wake() {
  show "daruma serve --config examples/daruma.yaml &"
  daruma serve --config examples/daruma.yaml 2>>"$DARUMA_STATE_DIR/daemon.log" &
  daemon=$!
  for _ in $(seq 200); do
    daruma health >/dev/null 2>&1 && return
    kill -0 "$daemon" 2>/dev/null || fail "the daemon did not start: $(tail -n 3 "$DARUMA_STATE_DIR/daemon.log")"
    sleep 0.05
  done
  fail "the daemon did not answer within ten seconds: $(tail -n 3 "$DARUMA_STATE_DIR/daemon.log")"
}

# rest: stop the daemon and wait until it is gone.
rest() {
  run daruma stop
  wait "$daemon" || fail "the daemon ended with $?"
}
