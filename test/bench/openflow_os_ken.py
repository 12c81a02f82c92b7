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


def packet_out(data):
    """os-ken only writes this one: built anew from the bytes, for one output action."""
    parser = ofproto_v1_3_parser
    port = int.from_bytes(data[28:32], "big")
    message = parser.OFPPacketOut(
        Datapath(),
        buffer_id=int.from_bytes(data[8:12], "big"),
        in_port=int.from_bytes(data[12:16], "big"),
        actions=[parser.OFPActionOutput(port, int.from_bytes(data[32:34], "big"))],
        data=data[40:],
    )
    message.set_xid(int.from_bytes(data[4:8], "big"))
    return message


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
        try:
            message = decode()
        except Exception:
            message = None
        if message is not None:
            row["decode"] = rate(decode, job["seconds"])
        elif kind == ofproto_v1_3.OFPT_PACKET_OUT:
            message = packet_out(data)
        else:
            continue
        try:
            message.serialize()
            # Only if what it writes is what was read is there something to compare.
            if bytes(message.buf) == data:
                row["encode"] = rate(message.serialize, job["seconds"])
        except Exception:
            pass
    json.dump(result, sys.stdout)


main()
