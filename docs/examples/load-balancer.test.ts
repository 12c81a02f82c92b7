import { expect, it } from 'vitest';
import { BridgeModel, fieldsOf, makeFrame, newBridge, newPort, parseFrame } from 'weft/testing';
import balancer from './load-balancer.js';

const CLIENT = '02:00:00:00:00:0a';
const VIP = '02:00:00:00:00:64';
const SERVERS = ['02:00:00:00:00:0b', '02:00:00:00:00:0c'];

/** The client behind port 1, the servers behind 2 and 3. */
function balancerModel(otherConfig: Record<string, string>): BridgeModel {
  const ports = [1, 2, 3].map((ofport) => newPort({ name: `p${ofport}`, ofport, tag: 10 }));
  const model = new BridgeModel(newBridge({ ports, otherConfig }), [balancer]);
  for (const [i, src] of SERVERS.entries()) model.send(i + 2, makeFrame({ dst: VIP, src }));
  model.send(1, makeFrame({ dst: 'ff:ff:ff:ff:ff:ff', src: CLIENT }));
  return model;
}

const SERVICE = {
  'lb-vip': '10.0.0.100:80',
  'lb-mac': VIP,
  'lb-server-1': `10.0.0.11,${SERVERS[0]}`,
  'lb-server-2': `10.0.0.12,${SERVERS[1]},weight=3`,
};

interface Ends {
  readonly dst: string;
  readonly src: string;
  readonly from: number;
  readonly to: number;
  readonly fromPort: number;
  readonly toPort: number;
}

/** TCP from 10.0.0.`from` to 10.0.0.`to`. */
function tcpFrame({ dst, src, from, to, fromPort, toPort }: Ends): Uint8Array {
  const ip = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, from, 10, 0, 0, to];
  const ports = [fromPort >> 8, fromPort & 0xff, toPort >> 8, toPort & 0xff];
  const payload = Uint8Array.from([...ip, ...ports, ...new Array<number>(16).fill(0)]);
  return makeFrame({ dst, src, ethertype: 0x0800, payload });
}

const toService = (fromPort: number): Uint8Array =>
  tcpFrame({ dst: VIP, src: CLIENT, from: 1, to: 100, fromPort, toPort: 80 });

it('sends a connection to one of its servers, addressed to it', () => {
  const [output, ...others] = balancerModel(SERVICE).model.inject(1, toService(40000)).outputs;
  expect(others).toEqual([]);
  const server = (output?.port ?? 0) - 2;
  expect(parseFrame(output?.frame ?? new Uint8Array()).dst).toBe(SERVERS[server]);
  expect(fieldsOf(output?.frame ?? new Uint8Array()).get('ipv4_dst')).toBe(BigInt(0x0a00000b + server));
});

it('lets the server answer as the virtual address', () => {
  const frame = tcpFrame({
    dst: CLIENT,
    src: SERVERS[1] ?? '',
    from: 12,
    to: 1,
    fromPort: 80,
    toPort: 40000,
  });
  const [output] = balancerModel(SERVICE).model.inject(3, frame).outputs;
  expect(output?.port).toBe(1);
  expect(parseFrame(output?.frame ?? new Uint8Array()).src).toBe(VIP);
  expect(fieldsOf(output?.frame ?? new Uint8Array()).get('ipv4_src')).toBe(0x0a000064n);
});

it('answers ARP for the virtual address', () => {
  const sha = CLIENT.split(':').map((byte) => parseInt(byte, 16));
  const request = [0, 1, 8, 0, 6, 4, 0, 1, ...sha, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 100];
  const frame = makeFrame({
    dst: 'ff:ff:ff:ff:ff:ff',
    src: CLIENT,
    ethertype: 0x0806,
    payload: Uint8Array.from(request),
  });
  const { outputs } = balancerModel(SERVICE).model.inject(1, frame);
  expect(outputs.map(({ port }) => port)).toEqual([1]);
  const fields = fieldsOf(outputs[0]?.frame ?? new Uint8Array());
  expect(fields.get('arp_op')).toBe(2n);
  expect(fields.get('arp_spa')).toBe(0x0a000064n);
  expect(fields.get('arp_tpa')).toBe(0x0a000001n);
  expect(fields.get('eth_dst')).toBe(fields.get('arp_tha'));
});

it('leaves everything else to the bridge, and all of it where no service is configured', () => {
  const frame = tcpFrame({
    dst: SERVERS[0] ?? '',
    src: CLIENT,
    from: 1,
    to: 11,
    fromPort: 40000,
    toPort: 22,
  });
  for (const config of [SERVICE, {}]) {
    const { outputs } = balancerModel(config).model.inject(1, frame);
    expect(outputs.map(({ port }) => port)).toEqual([2]);
  }
});

it('drops connections when every server has the weight 0', () => {
  const none = {
    'lb-server-1': `10.0.0.11,${SERVERS[0]},weight=0`,
    'lb-server-2': `10.0.0.12,${SERVERS[1]},weight=0`,
  };
  expect(balancerModel({ ...SERVICE, ...none }).model.inject(1, toService(40000)).outputs).toEqual([]);
});
