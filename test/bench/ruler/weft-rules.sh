# Weft with 1,000 rules of a user in 5 tables and with 8 distinct masks before the bridge program; no frame of the ruler matches.
. "$P/switches/weft.sh"
weft_rules() {
  python3 - <<'PY'
masks = [
    lambda n: f"ip,nw_src=172.16.{n}.0/24",
    lambda n: f"ip,nw_dst=172.17.0.{n}",
    lambda n: f"udp,tp_dst={20000 + n}",
    lambda n: f"tcp,nw_src=172.18.0.{n},tp_dst=80",
    lambda n: f"dl_src=06:00:00:00:00:{n:02x}",
    lambda n: f"ip,nw_proto={100 + n},nw_tos=32",
    lambda n: f"udp,nw_dst=172.{20 + n // 100}.0.0/16,tp_dst={n}",
    lambda n: f"in_port=swA,dl_dst=06:00:00:00:01:{n:02x}",
]
for n in range(1000):
    print(f"table={n % 5},priority={100 + n % 8},{masks[n % 8](n // 8)},actions=drop")
for table in range(4):
    print(f"table={table},priority=0,actions=goto_table:{table + 1}")
print("table=4,priority=0,actions=NORMAL")
PY
}
sw_up() { weft_start && weft_rules > "$WR/rules" && ovs-ofctl -O OpenFlow13 --bundle add-flows "$WR/br0.mgmt" "$WR/rules"; }
