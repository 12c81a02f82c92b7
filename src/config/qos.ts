/** Queues of ports and limits of interfaces (ovs-vswitchd.conf.db(5): QoS, Queue, Interface `ingress_policing_*`). */
import type { Database, Row } from '../ovsdb/index.js';
import type { Report } from './addresses.js';
import { mapOfTexts, numberOf, textOf } from './fields.js';

/** Queues at the egress of an interface; rates in bit/s. */
export interface Qos {
  /** Of all queues together; the link's own without it. */
  readonly maxRate?: number;
  readonly queues: readonly Queue[];
}

export interface Queue {
  readonly id: number;
  readonly minRate?: number;
  readonly maxRate?: number;
  /** What it may send at once, bits. */
  readonly burst?: number;
  readonly priority?: number;
}

/** What an interface may send into the switch. */
export interface Policing {
  readonly rateKbps: number;
  /** 0: the usual 8000. */
  readonly burstKbits: number;
}

/** Queues have numbers below this, as in Open vSwitch. */
const QUEUE_LIMIT = 0xf000;

/** The queues that a port asks for; those of a bond are for each of its interfaces. */
export function qosOf(database: Database, port: Row, fault: Report): Qos | null {
  const uuid = textOf(port, 'qos');
  const row = uuid === undefined ? undefined : database.row('QoS', uuid);
  const type = row && textOf(row, 'type');
  if (!row || !type || type === 'linux-noop') return null;
  if (type !== 'linux-htb') {
    fault('qos', `is of type "${type}"; Weft has linux-htb`);
    return null;
  }
  const queues: Queue[] = [];
  for (const [key, queueUuid] of mapOfTexts(row, 'queues')) {
    const queue = database.row('Queue', queueUuid);
    if (Number(key) >= QUEUE_LIMIT)
      fault('qos', `has queue ${key}; queues are numbered below ${QUEUE_LIMIT}`);
    else if (queue) {
      const number = numbers(queue, `queue ${key}`, fault);
      queues.push({
        id: Number(key),
        ...number('min-rate', 'minRate'),
        ...number('max-rate', 'maxRate'),
        ...number('burst', 'burst'),
        ...number('priority', 'priority'),
      });
    }
  }
  queues.sort((a, b) => a.id - b.id);
  return { ...numbers(row, 'QoS', fault)('max-rate', 'maxRate'), queues };
}

/** Reads keys of `other_config` as numbers, under the names that they have here. */
function numbers(row: Row, what: string, fault: Report) {
  const config = mapOfTexts(row, 'other_config');
  return <Name extends string>(key: string, name: Name): { [name in Name]?: number } => {
    const text = config.get(key);
    if (text === undefined) return {};
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
      fault('qos', `${what}: ${key} "${text}" is not a whole number`);
      return {};
    }
    return { [name]: value } as { [name in Name]?: number };
  };
}

/** The limit of what an interface may send; none if its rate is 0. */
export function policingOf(row: Row): Policing | null {
  const rateKbps = numberOf(row, 'ingress_policing_rate') ?? 0;
  return rateKbps > 0 ? { rateKbps, burstKbits: numberOf(row, 'ingress_policing_burst') ?? 0 } : null;
}
