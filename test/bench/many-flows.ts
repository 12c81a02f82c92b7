/**
 * What a table of a thousand to a million flows costs weft-datapath: memory, loading, and the walk of a packet. All flows
 * have the same mask, so the walk should cost the same (but for caches of the processor); it is measured by packet-outs to
 * `TABLE`, which never use cached translations, and in time of the switch's own CPU.
 *
 * `--most=N` (1000000)
 */
import { encode, parseFlow } from 'node-openflow';
import { Lab, sh } from '../system/lab.js';
import { BARRIER_REPLY, barrier, startWeft, Wire } from './flow-mods.js';
import { cpuSeconds, printTable, readOptions, residentMb } from './measure.js';

const PACKETS = 50_000;
/** Flow-mods encoded at once: a million in one buffer is more than a stream likes. */
const BATCH = 50_000;
const BASE = 0x0a000000;
const ETHERNET = '0200000000020200000000010800';

/** A message whose IPv4 source address (192.0.2.1 in it) can be chosen. */
function template(message: Buffer): (address: number) => Buffer {
  const at = message.indexOf(Buffer.from([192, 0, 2, 1]));
  return (address) => {
    const bytes = Buffer.from(message);
    bytes.writeUInt32BE(address, at);
    return bytes;
  };
}

const flowMod = template(
  Buffer.from(encode({ ...parseFlow('priority=100,ip,in_port=1,nw_src=192.0.2.1,actions=drop'), xid: 5 })),
);

/** An IPv4 packet in a packet-out that walks the tables as one received on port 1. */
const packetOut = template(
  Buffer.from(
    encode({
      type: 'PACKET_OUT',
      xid: 6,
      inPort: 1,
      actions: [{ type: 'OUTPUT', port: 0xfffffff9 }],
      data: Buffer.from(`${ETHERNET}450000140000000040000000c0000201c0000202${'00'.repeat(26)}`, 'hex'),
    }),
  ),
);

export default async function run(options: string[]): Promise<void> {
  const most = readOptions(options).number('most', 1_000_000);
  const rows = [['flows', 'memory, MB', 'bytes a flow', 'loading, CPU µs a flow', 'walk, CPU µs a packet']];
  for (let flows = 1000; flows <= most; flows *= 10) {
    const lab = await Lab.create();
    try {
      const subject = await startWeft(lab);
      const { socket, pid } = subject;
      const wire = await Wire.open(socket);
      const emptyMb = residentMb([pid]);
      const sent = async (count: number, make: (index: number) => Buffer): Promise<number> => {
        const startedCpu = cpuSeconds(pid);
        for (let from = 0; from < count; from += BATCH) {
          const batch = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => make(from + i));
          await wire.ask(Buffer.concat([...batch, barrier]), BARRIER_REPLY);
        }
        return ((cpuSeconds(pid) - startedCpu) / count) * 1e6;
      };
      const loading = await sent(flows, (index) => flowMod(BASE + index));
      const mb = residentMb([pid]);
      // A stride without common factor meets all flows evenly.
      const packet = (index: number) => packetOut(BASE + ((index * 7919) % flows));
      await sent(PACKETS, packet);
      const walk = await sent(PACKETS, packet);
      const counted = await sh('ovs-ofctl', '-O', 'OpenFlow13', 'dump-aggregate', `unix:${socket}`);
      if (!counted.includes(`packet_count=${2 * PACKETS}`))
        throw new Error(`not every packet met a flow: ${counted}`);
      const bytes = ((mb - emptyMb) * 2 ** 20) / flows;
      rows.push([String(flows), mb.toFixed(0), bytes.toFixed(0), loading.toFixed(1), walk.toFixed(1)]);
      wire.close();
      await subject.stop();
    } finally {
      await lab.close();
    }
  }
  printTable(rows);
}
