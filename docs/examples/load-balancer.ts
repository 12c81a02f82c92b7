/**
 * A load balancer for one TCP service: connections to a virtual address are spread over servers by a SELECT group, which
 * keeps each connection on its server. The switch answers ARP for the virtual address itself. All of it is flow
 * rules: no frame waits for the controller.
 *
 *     ovs-vsctl set bridge br0 other_config:lb-vip=10.0.0.100:80 other_config:lb-mac=02:00:00:00:00:64 \
 *       other_config:lb-server-1=10.0.0.11,02:00:00:00:00:0b \
 *       other_config:lb-server-2=10.0.0.12,02:00:00:00:00:0c,weight=3
 *
 * Servers and clients are in one VLAN. A server is taken out by removing its key: its connections go to the others, which
 * answer them with a reset, while those of the other servers stay where they are.
 */
import {
  defineProgram,
  moveField,
  NEXT_PROGRAM,
  ProgramError,
  type Action,
  type Bridge,
  type Flow,
  type FlowSet,
} from 'weft/program';

interface Server {
  readonly name: string;
  readonly address: string;
  readonly mac: string;
  readonly weight: number;
}

interface Service {
  readonly address: string;
  readonly port: number;
  readonly mac: string;
  readonly servers: readonly Server[];
}

const ADDRESS = String.raw`\d{1,3}(?:\.\d{1,3}){3}`;
const MAC = '[0-9a-f]{2}(?::[0-9a-f]{2}){5}';
const VIP = new RegExp(`^(?<address>${ADDRESS}):(?<port>\\d{1,5})$`);
const SERVER = new RegExp(`^(?<address>${ADDRESS}),(?<mac>${MAC})(?:,weight=(?<weight>\\d{1,4}))?$`, 'i');

/** The service that `other_config` describes, if any. @throws ProgramError when it cannot be read. */
export function readService({ otherConfig }: Pick<Bridge, 'otherConfig'>): Service | null {
  const vip = otherConfig['lb-vip'];
  if (vip === undefined) return null;
  const { address, port } = VIP.exec(vip)?.groups ?? {};
  const mac = otherConfig['lb-mac'] ?? '';
  if (address === undefined || Number(port) > 0xffff)
    throw new ProgramError(`lb-vip: ADDRESS:PORT is wanted, not "${vip}"`);
  if (!new RegExp(`^${MAC}$`, 'i').test(mac))
    throw new ProgramError(`lb-mac: the virtual address needs a MAC address, not "${mac}"`);
  const servers = Object.entries(otherConfig)
    .filter(([key]) => key.startsWith('lb-server-'))
    .map(([name, text]) => readServer(name, text));
  return { address, port: Number(port), mac, servers };
}

function readServer(name: string, text: string): Server {
  const { address, mac, weight = '1' } = SERVER.exec(text)?.groups ?? {};
  if (address === undefined || mac === undefined)
    throw new ProgramError(`${name}: ADDRESS,MAC[,weight=N] is wanted, not "${text}"`);
  return { name, address, mac, weight: Number(weight) };
}

const ARP = 0x0806;
const IPV4 = 0x0800;
const TCP = 6;
const IN_PORT = 0xfffffff8;

export default defineProgram<null>({
  name: 'load-balancer',
  id: 101,
  kinds: ['arp', 'to-servers', 'from-server', 'no-server'],
  tables: [
    {
      name: 'service',
      does: 'sends what is for the virtual address to a server, and lets answers come from it',
      match: {
        eth_type: 'exact',
        ip_proto: 'exact',
        ipv4_src: 'exact',
        ipv4_dst: 'exact',
        tcp_src: 'exact',
        tcp_dst: 'exact',
        arp_op: 'exact',
        arp_tpa: 'exact',
      },
      miss: { kind: 'next', table: NEXT_PROGRAM, reason: 'not for the service' },
      next: [NEXT_PROGRAM],
    },
  ],
  init: () => null,
  flows({ bridge }) {
    const service = readService(bridge);
    return service === null ? { flows: [] } : serviceFlows(service);
  },
});

function serviceFlows(service: Service): FlowSet {
  const { address, port, mac, servers } = service;
  const isLive = servers.some(({ weight }) => weight > 0);
  const tcp = { eth_type: IPV4, ip_proto: TCP };
  const flows: Flow[] = [
    {
      table: 'service',
      priority: 200,
      match: { eth_type: ARP, arp_op: 1, arp_tpa: address },
      instructions: [{ type: 'APPLY_ACTIONS', actions: arpReply(address, mac) }],
      kind: 'arp',
      reason: `answers who has ${address}`,
    },
    {
      table: 'service',
      priority: 100,
      match: { ...tcp, ipv4_dst: address, tcp_dst: port },
      instructions: isLive ? [{ type: 'APPLY_ACTIONS', actions: [{ type: 'GROUP', group: 'servers' }] }] : [],
      kind: isLive ? 'to-servers' : 'no-server',
      reason: isLive
        ? `${address}:${port} is served by ${servers.map((it) => it.address).join(', ')}`
        : 'no server',
    },
    ...servers.map((server): Flow => {
      const back: Action[] = [
        { type: 'SET_FIELD', field: { eth_src: mac } },
        { type: 'SET_FIELD', field: { ipv4_src: address } },
      ];
      return {
        table: 'service',
        priority: 100,
        match: { ...tcp, ipv4_src: server.address, tcp_src: port },
        instructions: [
          { type: 'APPLY_ACTIONS', actions: back },
          { type: 'GOTO_TABLE', table: NEXT_PROGRAM },
        ],
        kind: 'from-server',
        reason: `${server.name} answers as ${address}`,
      };
    }),
  ];
  const buckets = servers.map((server) => ({
    weight: server.weight,
    actions: [
      { type: 'SET_FIELD', field: { eth_dst: server.mac } },
      { type: 'SET_FIELD', field: { ipv4_dst: server.address } },
      { type: 'RESUBMIT', table: NEXT_PROGRAM },
    ] satisfies Action[],
  }));
  const reason = `the servers of ${address}:${port}`;
  return {
    flows,
    groups: isLive ? [{ name: 'servers', type: 'SELECT', buckets, isModifiable: true, reason }] : [],
  };
}

/** Turns an ARP request into its answer and sends it back where it came from. */
function arpReply(address: string, mac: string): Action[] {
  return [
    moveField('eth_src', 'eth_dst', 48),
    { type: 'SET_FIELD', field: { eth_src: mac } },
    { type: 'SET_FIELD', field: { arp_op: 2 } },
    moveField('arp_sha', 'arp_tha', 48),
    { type: 'SET_FIELD', field: { arp_sha: mac } },
    moveField('arp_spa', 'arp_tpa', 32),
    { type: 'SET_FIELD', field: { arp_spa: address } },
    { type: 'OUTPUT', port: IN_PORT },
  ];
}
