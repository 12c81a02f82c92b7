/**
 * The address by which sFlow's collectors know this switch (sflow_version_5.txt §4.2.3): that should stay the same over time
 * and be reachable. A shell: interfaces and routes of this host.
 */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Collector } from '../domain/index.js';

export interface AgentAddress {
  readonly text: string;
  /** 4 or 16. */
  readonly bytes: Uint8Array;
  /** Where it comes from, for the status. */
  readonly why: string;
}

/**
 * @param agent an interface's name or an address; null: the address by which the first collector is reached
 * @param bridge whose own interface stands in where nothing else is found
 * @returns an address in any case; `0.0.0.0` where this host has none
 */
export async function chooseAgentAddress(
  agent: string | null,
  collectors: readonly Collector[],
  bridge: string,
): Promise<AgentAddress> {
  if (agent !== null && isIP(agent) !== 0) return address(agent, 'as configured');
  if (agent !== null) {
    const found = ofInterface(agent);
    if (found !== null) return address(found, `of ${agent}, as configured`);
  }
  const instead = agent === null ? '' : `${agent} has no address: `;
  for (const collector of collectors) {
    const found = await towards(collector);
    if (found !== null && !isLoopback(found))
      return address(found, `${instead}the one by which ${collector.host} is reached`);
  }
  const own = ofInterface(bridge);
  if (own !== null) return address(own, `${instead}of ${bridge}`);
  for (const name of Object.keys(networkInterfaces())) {
    const found = ofInterface(name);
    if (found !== null && !isLoopback(found)) return address(found, `${instead}of ${name}`);
  }
  const [first] = collectors;
  const local = first === undefined ? null : await towards(first);
  return local === null
    ? address('0.0.0.0', `${instead}this host has no address`)
    : address(local, `${instead}the one by which ${first?.host ?? ''} is reached`);
}

/** IPv4 before IPv6, as collectors expect; link-local addresses name nobody. */
function ofInterface(name: string): string | null {
  const all = (networkInterfaces()[name] ?? []).filter(
    ({ address: each }) => !/^(fe80|169\.254\.)/i.test(each),
  );
  return (all.find(({ family }) => family === 'IPv4') ?? all[0])?.address ?? null;
}

/** Which address of this host datagrams to the collector have. Nothing is sent. */
async function towards({ host, port }: Collector): Promise<string | null> {
  try {
    const { address: to, family } = await lookup(host);
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.connect(port, to, resolve);
      });
      return socket.address().address;
    } finally {
      socket.close();
    }
  } catch {
    return null;
  }
}

function isLoopback(text: string): boolean {
  return text.startsWith('127.') || text === '::1';
}

function address(text: string, why: string): AgentAddress {
  const bare = text.replace(/%.*$/, '');
  return {
    text: bare,
    bytes: isIP(bare) === 6 ? bytes6(bare) : Uint8Array.from(bare.split('.'), Number),
    why,
  };
}

/** The 16 bytes of an IPv6 address; the caller knows that it is one. */
function bytes6(text: string): Uint8Array {
  const words = (part: string): number[] =>
    part === ''
      ? []
      : part.split(':').flatMap((word) => {
          if (!word.includes('.')) return [Number.parseInt(word, 16)];
          const [a = 0, b = 0, c = 0, d = 0] = word.split('.').map(Number);
          return [a * 256 + b, c * 256 + d];
        });
  const [head = '', tail] = text.split('::');
  const [first, last] = [words(head), tail === undefined ? [] : words(tail)];
  const all = [...first, ...Array<number>(Math.max(0, 8 - first.length - last.length)).fill(0), ...last];
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}
