#!/bin/sh
# Runs on the machine that proof.mjs boots, once after each boot.
stage=$(cat /root/stage 2>/dev/null || echo 1)
export LC_ALL=C

# check WHAT COMMAND...: within a minute
check() {
    what=$1
    shift
    n=0
    until "$@" >/root/check.log 2>&1; do
        n=$((n + 1))
        if [ $n -ge 60 ]; then
            echo "proof: FAIL boot $stage: $what"
            cat /root/check.log
            journalctl -b --no-pager -u weft -u weftd -u weft-datapath -u networking | tail -n 40
            return
        fi
        sleep 1
    done
    echo "proof: ok   boot $stage: $what"
}
has() { "$@" | grep -q -- "$pattern"; }
shows() { # WHAT PATTERN COMMAND...
    what=$1 pattern=$2
    shift 2
    check "$what" has "$@"
}

look_at_interfaces() {
    shows 'br0 has its address and is up' '192.0.2.1/24' ip -br addr show br0 up
    shows 'vlan5 has its address and is up' '198.51.100.1/24' ip -br addr show vlan5 up
    shows 'eth0 is an access port' '^5$' ovs-vsctl get port eth0 tag
    shows 'bond0 has its members' 'eth1$' ovs-vsctl list-ifaces br0
    shows 'the bond carries on one of them' 'active' ovs-appctl bond/show bond0
    shows 'ovs_extra was done' 'of=proof' ovs-vsctl get interface vlan5 external_ids
    check 'networking.service is content' systemctl is-active networking.service
}

case $stage in
1)
    echo "proof: $(. /etc/os-release && echo "$PRETTY_NAME"), Linux $(uname -r), systemd $(systemctl --version | head -n 1 | cut -d' ' -f2)"
    check 'dpkg -i weft.deb' dpkg -i /root/weft.deb
    for unit in weft-datapath weftd weft; do check "$unit.service is active" systemctl is-active $unit.service; done
    for unit in weft-datapath weftd weft; do check "$unit.service is enabled" systemctl is-enabled $unit.service; done
    shows 'ovs-vsctl show' 'ovs_version' ovs-vsctl show
    check 'weft show' weft show
    check 'ovs-appctl version' ovs-appctl version
    check 'ovs-vsctl add-br br1, add-br mgmt br1 7' ovs-vsctl -- add-br br1 -- add-br mgmt br1 7
    check 'systemctl restart weftd' systemctl restart weftd.service
    cp /root/interfaces /etc/network/interfaces
    check 'ifup --allow=ovs br0' ifup --allow=ovs br0
    look_at_interfaces
    echo 2 >/root/stage
    systemctl reboot
    ;;
2)
    echo "proof: booted in $(systemd-analyze time 2>/dev/null | head -n 1 | sed 's/.*= //')"
    for unit in weft-datapath weftd weft; do check "$unit.service is active" systemctl is-active $unit.service; done
    look_at_interfaces
    shows 'an address of /etc/network/interfaces on a VLAN bridge of the database' '203.0.113.1/24' ip -br addr show mgmt
    shows 'no unit has failed' '^0 loaded' systemctl --failed
    check 'ovs-vsctl add-port br1 kept0 (internal)' ovs-vsctl add-port br1 kept0 -- set interface kept0 type=internal
    ip -br link show br1 | awk '{print $3}' >/root/mac
    check 'ifdown br0' ifdown --allow=ovs br0
    check 'br0 is gone' sh -c '! ovs-vsctl br-exists br0'
    echo 3 >/root/stage
    systemctl reboot
    ;;
3)
    look_at_interfaces
    check 'kept0 is there' ip link show kept0
    pattern=$(cat /root/mac)
    check 'br1 has the MAC address that it had' has ip -br link show br1
    check 'apt-get remove' dpkg --remove weft
    check 'its units are gone' sh -c '! systemctl is-active weftd.service weft-datapath.service'
    check 'its tools are gone' sh -c '! command -v ovs-vsctl'
    check 'the configuration is kept' test -s /var/lib/weft/conf.db
    check 'dpkg --purge' dpkg --purge weft
    check 'nothing is left' sh -c '! test -e /var/lib/weft && ! test -e /usr/lib/weft && ! test -e /etc/default/weft'
    echo 'proof: done'
    systemctl poweroff
    ;;
esac
