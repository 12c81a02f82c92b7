"""Raw frames for tests: sends and captures on the interfaces of the network namespace that it runs in.

Reads one JSON object a line on stdin: {"send": IFNAME, "hex": FRAME} or {"listen": IFNAME}.
Writes one a line on stdout: {"listening": IFNAME} or {"on": IFNAME, "hex": FRAME}; frames received, not sent.
A VLAN tag that the kernel took out of a frame is put back, so that what is printed is what was on the wire.
"""
import json
import selectors
import socket
import struct
import sys

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_OUTGOING = 4
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6

selector = selectors.DefaultSelector()
sockets = {}


def open_socket(name):
    if name not in sockets:
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        packet.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        packet.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        packet.bind((name, ETH_P_ALL))
        sockets[name] = packet
    return sockets[name]


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def receive(name, packet):
    data, control, _flags, address = packet.recvmsg(65600, 256)
    if address[2] == PACKET_OUTGOING:
        return
    for level, kind, value in control:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _length, _snap, _mac, _net, tci, tpid = struct.unpack("=IIIHHHH", value[:20])
            if status & TP_STATUS_VLAN_VALID:
                tpid = tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
                data = data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
    say({"on": name, "hex": data.hex()})


def obey(line):
    command = json.loads(line)
    if "send" in command:
        open_socket(command["send"]).send(bytes.fromhex(command["hex"]))
    else:
        packet = open_socket(command["listen"])
        packet.setblocking(False)
        selector.register(packet, selectors.EVENT_READ, command["listen"])
        say({"listening": command["listen"]})


def main():
    stdin = sys.stdin.buffer
    stdin_socket = stdin.raw
    selector.register(stdin_socket, selectors.EVENT_READ, None)
    pending = b""
    while True:
        for key, _events in selector.select():
            if key.data is None:
                chunk = stdin_socket.read(65536)
                if not chunk:
                    return
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    obey(line)
            else:
                receive(key.data, key.fileobj)


main()
