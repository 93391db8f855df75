# How the stories are told: every command is printed as a person would type it, and what is printed is what runs. A
# step that does not end as expected stops the telling with a plain sentence. A story on its own, and the demo with all
# five, source this: it begins a daemon in a state directory of its own, and ends it when the telling is over.

[[ -n ${telling:-} ]] && return
telling=yes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ -x .venv/bin/daruma ]] && PATH=$PWD/.venv/bin:$PATH
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi

say() { printf '%s\n' "$*"; }
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; }

fail() {
  printf '\nThe story ends here: %s\n' "$*" >&2
  exit 1
}

# run COMMAND: a line for the shell, which must succeed.
run() { ends_with 0 "$1"; }

# ends_with CODE COMMAND: a line for the shell, which must end with this exit code.
ends_with() {
  local got=0
  show "$2"
  eval "$2" || got=$?
  [[ $got -eq $1 ]] || fail "'$2' ended with $got and should have ended with $1"
}

# wake: start the daemon in the background and wait until it answers. Its process id is then in $daemon.
wake() {
  run 'daruma serve --config examples/daruma.yaml 2>>build/demo/daemon.log &'
  daemon=$!
  run 'daruma health --within 20s | grep live'
}

# fell: kill the daemon and reap it, with no word from this shell on how it ended, which may come as soon as it is dead.
fell() {
  local got=0
  show "kill -9 $daemon"
  { kill -9 "$daemon" || got=$?; wait "$daemon" || true; } 2>/dev/null
  [[ $got -eq 0 ]] || fail 'there was no daemon any more to be killed'
}

# rest: stop the daemon and wait until it is gone.
rest() {
  run 'daruma stop'
  wait "$daemon" || fail "the daemon ended with $?"
  daemon=''
}

leave() {
  if [[ -n $daemon ]]; then
    kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null
  fi
  rm -rf "$home"
  return 0
}

daemon='' home=''
trap leave EXIT
unset ${!DARUMA_@}
export COLUMNS=${COLUMNS:-120}
run 'rm -rf build/demo && mkdir -p build/demo'
run 'home=$(mktemp -d)'
run 'export DARUMA_STATE_DIR=$home/state DARUMA_CONTROL__SOCKET=$home/control.sock'
wake
