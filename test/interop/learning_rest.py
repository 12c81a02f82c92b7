"""A controller on os-ken for the interop runs: a learning switch with exact flows, and flows managed over HTTP.

    osken-manager learning_rest.py

Port 8080 of 127.0.0.1: GET /flows, POST /flows (a flow as os_ken.lib.ofctl_v1_3 reads it, `command`: add, modify or
delete), GET /tables, each for the switch that is connected.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.lib import ofctl_v1_3, hub
from os_ken.lib.packet import ethernet, ether_types, packet
from os_ken.ofproto import ofproto_v1_3


class LearningRest(app_manager.OSKenApp):
    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.datapath = None
        self.waiters = {}
        self.port_of = {}
        hub.spawn(self.serve)

    def serve(self):
        app = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, body):
                bytes_ = json.dumps(body).encode()
                self.send_response(200 if app.datapath else 503)
                self.send_header('content-length', str(len(bytes_)))
                self.end_headers()
                self.wfile.write(bytes_)

            def do_GET(self):
                if app.datapath is None:
                    return self.answer('no switch')
                ask = {'/flows': ofctl_v1_3.get_flow_stats, '/tables': ofctl_v1_3.get_table_stats,
                       '/desc': ofctl_v1_3.get_desc_stats, '/ports': ofctl_v1_3.get_port_stats,
                       '/features': ofctl_v1_3.get_table_features}[self.path]
                return self.answer(ask(app.datapath, app.waiters))

            def do_POST(self):
                flow = json.loads(self.rfile.read(int(self.headers['content-length'])))
                ofproto = app.datapath.ofproto
                command = {'add': ofproto.OFPFC_ADD, 'modify': ofproto.OFPFC_MODIFY,
                           'delete': ofproto.OFPFC_DELETE}[flow.pop('command')]
                ofctl_v1_3.mod_flow_entry(app.datapath, flow, command)
                app.datapath.send_barrier()
                return self.answer('ok')

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(('127.0.0.1', 8080), Handler)
        server.serve_forever()

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def connected(self, event):
        datapath = event.msg.datapath
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        self.add(datapath, 0, parser.OFPMatch(),
                 [parser.OFPActionOutput(ofproto.OFPP_CONTROLLER, ofproto.OFPCML_NO_BUFFER)])
        self.datapath = datapath

    def add(self, datapath, priority, match, actions):
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        instructions = [parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, actions)]
        datapath.send_msg(parser.OFPFlowMod(datapath=datapath, priority=priority, match=match,
                                            instructions=instructions))

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event):
        message = event.msg
        datapath = message.datapath
        parser, ofproto = datapath.ofproto_parser, datapath.ofproto
        in_port = message.match['in_port']
        frame = packet.Packet(message.data).get_protocol(ethernet.ethernet)
        if frame.ethertype == ether_types.ETH_TYPE_LLDP:
            return
        self.port_of[frame.src] = in_port
        out = self.port_of.get(frame.dst, ofproto.OFPP_FLOOD)
        actions = [parser.OFPActionOutput(out)]
        if out != ofproto.OFPP_FLOOD:
            match = parser.OFPMatch(in_port=in_port, eth_dst=frame.dst, eth_src=frame.src)
            self.add(datapath, 1, match, actions)
        datapath.send_msg(parser.OFPPacketOut(datapath=datapath, buffer_id=ofproto.OFP_NO_BUFFER,
                                              in_port=in_port, actions=actions, data=message.data))

    for event_name in ('FlowStatsReply', 'TableStatsReply', 'DescStatsReply', 'PortStatsReply', 'TableFeaturesStatsReply'):
        def stats(self, event):
            message = event.msg
            waiting = self.waiters.get(message.datapath.id, {}).get(message.xid)
            if waiting is None:
                return
            lock, parts = waiting
            parts.append(message)
            if not message.flags & message.datapath.ofproto.OFPMPF_REPLY_MORE:
                lock.set()
        locals()[event_name] = set_ev_cls(getattr(ofp_event, 'EventOFP' + event_name), MAIN_DISPATCHER)(stats)
    del event_name, stats
