# Functions shared by the testnet's commands. Sourced, never run.
# The network lives in testnet/run: node-0, node-1, ... (one data directory per peer), keys, logs and pids.

set -euo pipefail

TESTNET=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$TESTNET")
RUN=${ALLOD_TESTNET_DIR:-$TESTNET/run}
ALLOD=${CARGO_TARGET_DIR:-$ROOT/target}/release/allod
BASE_PORT=7640
export ALLOD_KEYS=$RUN/keys

if [ -t 1 ]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
  BOLD='' DIM='' GREEN='' RED='' PLAIN=''
fi

say() { printf '%s\n' "$*"; }
fail() {
  printf '%s%s%s\n' "$RED" "$*" "$PLAIN" >&2
  exit 1
}

api_of() { printf 'http://127.0.0.1:%s' $((BASE_PORT + 10 * $1)); }
p2p_port_of() { printf '%s' $((BASE_PORT + 1 + 10 * $1)); }

# The peers that have a data directory, by number.
nodes() {
  local directory
  for directory in "$RUN"/node-*; do
    [ -d "$directory" ] && printf '%s\n' "${directory##*-}"
  done | sort -n
}

need_network() {
  [ -n "$(nodes)" ] || fail "There is no local network yet. Start one:  testnet/up"
}

need_node() {
  case ${1:-} in
    '' | *[!0-9]*) fail "Name the peer by its number:  $(basename "$0") N   (peers: $(nodes | tr '\n' ' '))" ;;
  esac
  [ -d "$RUN/node-$1" ] || fail "There is no peer $1 (peers: $(nodes | tr '\n' ' '))"
}

# A process is identified by its id and its start time, so that a reused id is never taken for ours.
began() { awk '{print $22}' "/proc/$1/stat" 2>/dev/null || true; }

pid_of() { # prints the pid of peer $1 if the process that we started is alive
  local pid start
  [ -f "$RUN/node-$1/pid" ] || return 1
  read -r pid start <"$RUN/node-$1/pid" || return 1
  [ -n "$start" ] && [ "$(began "$pid")" = "$start" ] || return 1
  # A zombie is not alive.
  [ "$(awk '{print $3}' "/proc/$pid/stat" 2>/dev/null)" != Z ] || return 1
  printf '%s' "$pid"
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start_node() { # starts peer $1 in the background
  local directory=$RUN/node-$1 pid
  if pid_of "$1" >/dev/null; then
    return 0
  fi
  local port
  for port in $((BASE_PORT + 10 * $1)) "$(p2p_port_of "$1")"; do
    port_is_free "$port" || fail "Port $port, which peer $1 needs, is in use by another program. See who:  ss -ltnp 'sport = :$port'"
  done
  setsid "$ALLOD" run --data "$directory" >>"$directory/log" 2>&1 </dev/null &
  pid=$!
  printf '%s %s\n' "$pid" "$(began "$pid")" >"$directory/pid"
  disown "$pid" 2>/dev/null || true
}

signal_node() { # sends signal $2 to peer $1 and waits until it is gone
  local pid
  pid=$(pid_of "$1") || return 0
  kill "-$2" "$pid" 2>/dev/null || true
  wait_for 15 "peer $1 to stop" gone "$1" || { kill -9 "$pid" 2>/dev/null || true; }
}
gone() { ! pid_of "$1" >/dev/null; }

wait_for() { # wait_for SECONDS WHAT COMMAND...: until the command succeeds
  local seconds=$1 what=$2 deadline
  shift 2
  deadline=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      say "waited $seconds s in vain for $what" >&2
      return 1
    fi
    sleep 0.1
  done
}

# is_up: whether peer $1 can take part, or cannot only because too few of the others run, which is not its fault.
is_ready() { curl -fsS -m 2 "$(api_of "$1")/readyz"; }
is_up() { is_ready "$1" || curl -sS -m 2 "$(api_of "$1")/readyz" | grep -qE '"code": *"(cut_off|alone|no_quorum|tip_old)"'; }

wait_ready() { # waits until peer $1 can take part; with $2 = is_up, even without the others
  local deadline=$((SECONDS + 60))
  until "${2:-is_ready}" "$1" >/dev/null 2>&1; do
    if ! pid_of "$1" >/dev/null; then
      tail -n 5 "$RUN/node-$1/log" >&2
      fail "Peer $1 did not start; its log says why:  testnet/logs $1"
    fi
    [ "$SECONDS" -lt "$deadline" ] || fail "Peer $1 is not ready after 60 s. See:  testnet/logs $1"
    sleep 0.1
  done
}

# A number or text at the top level of a small JSON answer, without requiring a JSON tool.
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\)\"\{0,1\}.*/\1/p" | head -n 1; }

height_of() { curl -fsS -m 2 "$(api_of "$1")/v1/status" 2>/dev/null | tr -d '\n' | sed -n 's/.*"height": *\([0-9]*\).*/\1/p'; }
at_height() { local height; height=$(height_of "$1") && [ -n "$height" ] && [ "$height" -ge "$2" ]; }
