/**
 * Messages per second, decoded and encoded, beside os-ken when `python3` has it: `npm run bench` in this folder.
 * Prints one JSON object a line: { peer, message, operation, perSecond }, the best of five rounds.
 */

import { spawnSync } from 'node:child_process';
import { decode, encode } from '../dist/index.js';

const messages = {
  flow_mod: {
    type: 'FLOW_MOD',
    xid: 1,
    command: 'ADD',
    priority: 100,
    cookie: 5n,
    match: { in_port: 1, eth_dst: '02:00:00:00:00:01', eth_type: 0x0800, ipv4_dst: '10.0.0.1' },
    instructions: [
      { type: 'APPLY_ACTIONS', actions: [{ type: 'OUTPUT', port: 2 }] },
      { type: 'GOTO_TABLE', tableId: 3 },
    ],
  },
  packet_in: {
    type: 'PACKET_IN',
    xid: 0,
    totalLength: 64,
    reason: 'ACTION',
    match: { in_port: 7 },
    data: new Uint8Array(64),
  },
};

function perSecond(operation, count) {
  for (let i = 0; i < count / 2; i++) operation();
  let best = 0;
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    for (let i = 0; i < count; i++) operation();
    best = Math.max(best, (count * 1000) / (performance.now() - start));
  }
  return Math.round(best);
}

const report = (peer, message, operation, figure) =>
  console.log(JSON.stringify({ peer, message, operation, perSecond: figure }));

const hex = {};
for (const [name, message] of Object.entries(messages)) {
  const bytes = encode(message);
  hex[name] = bytes.toString('hex');
  report(
    'node-openflow',
    name,
    'decode',
    perSecond(() => decode(bytes), 100_000),
  );
  report(
    'node-openflow',
    name,
    'encode',
    perSecond(() => encode(message), 100_000),
  );
}

const python = `
import json, sys, time
from os_ken.ofproto import ofproto_v1_3, ofproto_v1_3_parser as parser
class Datapath:
    ofproto, ofproto_parser = ofproto_v1_3, parser
from os_ken.ofproto import ofproto_parser
def per_second(operation, count):
    best = 0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(count): operation()
        best = max(best, count / (time.perf_counter() - start))
    return round(best)
for name, text in json.loads(sys.argv[1]).items():
    data = bytes.fromhex(text)
    version, kind, length, xid = ofproto_parser.header(data)
    read = lambda: ofproto_parser.msg(Datapath, version, kind, length, xid, data)
    message = read()
    print(json.dumps(dict(peer='os-ken', message=name, operation='decode', perSecond=per_second(read, 2000))))
    def write():
        message.buf = None
        message.serialize()
    if name == 'flow_mod':
        print(json.dumps(dict(peer='os-ken', message=name, operation='encode', perSecond=per_second(write, 2000))))
`;
const peer = spawnSync(process.env.PYTHON ?? 'python3', ['-c', python, JSON.stringify(hex)], {
  encoding: 'utf8',
});
if (peer.status === 0) process.stdout.write(peer.stdout);
else console.error(`os-ken left out: ${(peer.error?.message ?? peer.stderr).trim().split('\n').at(-1)}`);
