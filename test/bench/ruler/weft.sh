# Weft, its two daemons started as its units do. WEFT_DIR: the project's folder, built. Both ports are access ports of VLAN 10
# that learn.
WR=$P/weft-run
WEFT_VSCTL="ovs-vsctl --timeout=20 --db=unix:$WR/db.sock"
weft_start() {
  weft_stop
  rm -rf "$WR"; mkdir -p "$WR"
  ( cd "${WEFT_DIR:?}" || exit
    ip netns exec pf-sw datapath/target/release/weft-datapath --rundir "$WR" > "$WR/datapath.log" 2>&1 < /dev/null &
    echo $! > "$WR/pids"
    ip netns exec pf-sw nice -n -10 node dist/weftd/main.js --rundir "$WR" --db "$WR/conf.db" --http "unix:$WR/api.sock" \
      > "$WR/weftd.log" 2>&1 < /dev/null &
    echo $! >> "$WR/pids" )
  for i in $(seq 600); do $WEFT_VSCTL --timeout=1 show > /dev/null 2>&1 && break; sleep .1; done
  $WEFT_VSCTL add-br br0 -- add-port br0 swA tag=10 -- add-port br0 swB tag=10 || { tail "$WR"/*.log >&2; return 1; }
  # Known to the kernel are ports a moment after they are up.
  for i in $(seq 50); do weft_ask fastpath.show | grep -Eq '"active":false|"ports":[3-9]' && break; sleep .1; done
  SW_PIDS=$(paste -sd, "$WR/pids")
}
weft_ask() {
  python3 -c 'import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1])
s.sendall((json.dumps({"jsonrpc": "2.0", "id": 1, "method": sys.argv[2], "params": {}}) + "\n").encode())
print(json.dumps(json.loads(s.makefile().readline())["result"], separators=(",", ":")))' "$WR/weft-datapath.sock" "$1" 2>/dev/null
}
weft_stop() {
  [ -s "$WR/pids" ] || return 0
  for pid in $(cat "$WR/pids"); do
    kill -INT "$pid" 2>/dev/null
    for i in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep .1; done
    kill -9 "$pid" 2>/dev/null
  done
  rm -f "$WR/pids"
}
sw_up() { weft_start; }
sw_down() { weft_stop; }
