"""The os-ken side of the OpenFlow codec benchmark: times decoding and encoding of the messages it is given.

stdin: {"seconds": s, "messages": {name: hex}}; stdout: {name: {"decode": per second, "encode": per second or null}}
"""

import json
import logging
import sys
import time

from os_ken.ofproto import ofproto_parser, ofproto_v1_3, ofproto_v1_3_parser  # noqa: F401


# What it cannot read is counted as such below, not logged.
logging.disable(logging.CRITICAL)


class Datapath:
    ofproto = ofproto_v1_3
    ofproto_parser = ofproto_v1_3_parser


def rate(operation, seconds):
    """Operations per second, warmed up, over at least `seconds`."""
    for _ in range(50):
        operation()
    done, batch, start = 0, 50, time.perf_counter()
    while True:
        for _ in range(batch):
            operation()
        done += batch
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return done / elapsed


def build_packet_out(data):
    """The packet-out of the benchmark, from its fields."""
    frame = data[40:]

    def build():
        parser = ofproto_v1_3_parser
        actions = [parser.OFPActionOutput(2, 0xFFFF)]
        return parser.OFPPacketOut(DATAPATH, buffer_id=0xFFFFFFFF, in_port=3, actions=actions, data=frame)

    return build


def build_flow_mod(_data):
    """The flow-mod of the benchmark, from its fields."""

    def build():
        parser = ofproto_v1_3_parser
        match = parser.OFPMatch(
            in_port=1,
            eth_dst="02:00:00:00:00:02",
            eth_src="02:00:00:00:00:01",
            eth_type=0x0800,
            ip_proto=6,
            ipv4_src="10.0.0.1",
            ipv4_dst=("10.1.0.0", "255.255.0.0"),
            tcp_dst=80,
        )
        actions = [
            parser.OFPActionSetField(eth_dst="02:00:00:00:00:03"),
            parser.OFPActionDecNwTtl(),
            parser.OFPActionOutput(2, 0xFFFF),
        ]
        apply = parser.OFPInstructionActions(ofproto_v1_3.OFPIT_APPLY_ACTIONS, actions)
        return parser.OFPFlowMod(
            DATAPATH,
            cookie=0x10,
            table_id=2,
            priority=100,
            idle_timeout=60,
            out_port=ofproto_v1_3.OFPP_ANY,
            out_group=ofproto_v1_3.OFPG_ANY,
            match=match,
            instructions=[apply, parser.OFPInstructionGotoTable(3)],
        )

    return build


BUILDERS = {"packet_out": build_packet_out, "flow_mod": build_flow_mod}
DATAPATH = Datapath()


def encoded(build):
    """Builds the message and writes it, as a controller does for each it sends."""
    message = build()
    message.set_xid(1)
    message.serialize()
    return message.buf


def main():
    job = json.load(sys.stdin)
    result = {}
    for name, text in job["messages"].items():
        data = bytes.fromhex(text)
        version, kind, length, xid = ofproto_parser.header(data)

        def decode():
            return ofproto_parser.msg(Datapath, version, kind, length, xid, data)

        row = {"decode": None, "encode": None}
        result[name] = row
        # Messages that only controllers send are not read: the parser logs that and returns nothing.
        if decode() is not None:
            row["decode"] = rate(decode, job["seconds"])
        builder = BUILDERS.get(name)
        if builder is not None:
            build = builder(data)
            if bytes(encoded(build)) != data:
                raise SystemExit(f"{name}: os-ken writes {bytes(encoded(build)).hex()}, expected {text}")
            row["encode"] = rate(lambda: encoded(build), job["seconds"])
    json.dump(result, sys.stdout)


main()
