/** What mirrors have copied: the counters of the rules that write their copies. */
import type { Bridge } from '../domain/index.js';
import { activeMirrors, unpackCookie } from '../programs/index.js';
import type { SwitchDriver } from '../switches/driver.js';

export interface MirrorCounters {
  readonly packets: number;
  readonly bytes: number;
}

/**
 * By the mirror's uuid; one that is not at work has none. They begin anew with each rule that does.
 * @throws Error when the switch does not answer
 */
export async function readMirrorCounters(
  bridge: Bridge,
  driver: Pick<SwitchDriver, 'table' | 'dumpFlows'>,
): Promise<Map<string, MirrorCounters>> {
  const active = activeMirrors(bridge);
  const counters = new Map(active.map(({ mirror }) => [mirror.uuid, { packets: 0, bytes: 0 }]));
  const tableId = active.length === 0 ? -1 : tableOf(driver);
  if (tableId < 0) return counters;
  for (const { cookie, packets, bytes, owner } of await driver.dumpFlows({ tableId })) {
    if (owner?.program !== 'bridge' || owner.kind !== 'mirror') continue;
    const index = unpackCookie(cookie)?.detail;
    const uuid = active.find((each) => each.index === index)?.mirror.uuid;
    const sum = uuid === undefined ? undefined : counters.get(uuid);
    if (sum === undefined) continue;
    sum.packets += Number(packets);
    sum.bytes += Number(bytes);
  }
  return counters;
}

function tableOf(driver: Pick<SwitchDriver, 'table'>): number {
  for (let id = 0; id < 255; id += 1) {
    const table = driver.table(id);
    if (table?.program === 'bridge' && table.name === 'mirror') return id;
  }
  return -1;
}
