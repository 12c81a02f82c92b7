"""Runs os-ken's switch tester (os_ken.tests.switch.tester); started by conformance.ts.

    conformance.py [--as-shipped] [--seconds N] CASES

Without --as-shipped three faults of the tester itself are made good, none of which is about the switch tested:

* It computes the SCTP checksum over the text form of a buffer (`str(data)`, which was the bytes themselves in
  Python 2), so the frames it expects carry checksums that no switch could compute. Here it is RFC 9260's CRC32c.
* It paces load by sleeping 10 ms between bursts and not counting the time that sending takes, so that it sends
  less than the case says, 10 to 15 % on a busy machine, where 10 % are the tolerance. Here the clock paces.
* It writes each message of a constant load anew, which is too slow for 20,000 packets per second. Here once.

With --seconds, cases of load (groups, meters) take that long instead of the 30 seconds they ask for.
"""

import argparse
import struct
import sys
import time

from os_ken.cmd import manager  # patches sockets and threads, so it comes first
from os_ken.lib import hub
from os_ken.lib.packet import sctp
from os_ken.tests.switch import tester

SEND_INTERVAL_S = 0.01


def _crc32c_table():
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


CRC32C = _crc32c_table()


def sctp_checksum(_self, data):
    crc = 0xFFFFFFFF
    for byte in bytes(data):
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xFF]
    return struct.unpack(">I", struct.pack("<I", crc ^ 0xFFFFFFFF))[0]


class Load:
    """Packet-outs of one case, written as bytes."""

    def __init__(self, switch, case):
        self.switch = switch
        self.case = case
        self.constant = None if case["randomize"] else self._encode(case["packet_binary"])

    def _encode(self, frame):
        ofp, parser = self.switch.dp.ofproto, self.switch.dp.ofproto_parser
        message = parser.OFPPacketOut(
            datapath=self.switch.dp,
            buffer_id=ofp.OFP_NO_BUFFER,
            in_port=ofp.OFPP_CONTROLLER,
            actions=[parser.OFPActionOutput(self.switch.tester_send_port)],
            data=frame,
        )
        self.switch.dp.set_xid(message)
        message.serialize()
        return bytes(message.buf)

    def _random(self):
        packet = eval("/".join(self.case["packet_text"]), vars(tester))  # as the tester does it
        packet.serialize()
        return self._encode(packet.data)

    def send(self, count):
        if self.constant is not None:
            self.switch.dp.send(self.constant * count)
        else:
            for _ in range(count):
                self.switch.dp.send(self._random())


def send_by_the_clock(self, case):
    event = self.ingress_event
    load = Load(self.tester_sw, case)
    rate = case["packet_counter_inc"] / tester.CONTINUOUS_THREAD_INTVL
    start, sent = time.monotonic(), 0
    while event is not None and self.ingress_event is event:
        hub.sleep(SEND_INTERVAL_S)
        due = int((time.monotonic() - start) * rate)
        try:
            load.send(due - sent)
        except Exception as error:  # pylint: disable=broad-except
            self.thread_msg = error
            event.set()
            return
        sent = due


def shorten_load(seconds):
    original = tester.OfTester._continuous_packet_send

    def send(self, case):
        case[tester.KEY_PACKETS][tester.KEY_DURATION_TIME] = seconds
        original(self, case)

    tester.OfTester._continuous_packet_send = send


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--as-shipped", action="store_true")
    parser.add_argument("--seconds", type=int)
    parser.add_argument("cases")
    options = parser.parse_args()
    if options.seconds is not None:
        shorten_load(options.seconds)
    if not options.as_shipped:
        sctp.sctp._checksum = sctp_checksum
        tester.OfTester._send_packet_thread = send_by_the_clock
    sys.argv = [
        "conformance",
        "os_ken.tests.switch.tester",
        "--test-switch-dir",
        options.cases,
        "--test-switch-target-version",
        "openflow13",
        "--test-switch-tester-version",
        "openflow13",
        "--test-switch-interval",
        "0",
    ]
    manager.main()


if __name__ == "__main__":
    main()
