/**
 * Numbers for groups and meters. Ids from 0x57000000 belong to programs (ARCHITECTURE.md); below that they are
 * users'. A number follows from what the group is, so that a restarted controller finds the same ones:
 *
 * - ordinary groups by a hash of their content, in the lower half of the range;
 * - modifiable groups (whose content may change under the same number) and meters by a hash of their name.
 */
import { hashText, type ResolvedGroup } from '../programs/index.js';
import { contentOf } from './tables.js';

export const FIRST_PROGRAM_GROUP = 0x57000000;
const NAMED = 0x57800000;
export const LAST_PROGRAM_GROUP = 0x57ffffff;
const SPAN = 0x800000;

/** Meter ids that are the programs'. */
export interface MeterRange {
  readonly first: number;
  readonly count: number;
}

/** On our own datapath: apart from users' meters, as with groups. */
export const PROGRAM_METERS: MeterRange = { first: FIRST_PROGRAM_GROUP, count: 0x1000000 };

/**
 * On a switch that takes only ids below `maxMeter` (`ofp_meter_features.max_meter`, OF 1.3.5 §7.3.5.14, as Open
 * vSwitch reads it): the upper half of them. Meters carry no cookie, so the lower half is left to everybody else.
 */
export function metersWithin(maxMeter: number): MeterRange {
  if (maxMeter > LAST_PROGRAM_GROUP) return PROGRAM_METERS;
  const first = Math.max(1, Math.floor(maxMeter / 2));
  return { first, count: Math.max(0, maxMeter - first) };
}

export function isMeterOf({ first, count }: MeterRange, meterId: number): boolean {
  return meterId >= first && meterId < first + count;
}

export function isProgramGroup(groupId: number): boolean {
  return groupId >= FIRST_PROGRAM_GROUP && groupId <= LAST_PROGRAM_GROUP;
}

/** Hands out group numbers, knowing which are on the switch and with what content. */
export class GroupNumbers {
  readonly #byContent = new Map<string, number>();
  /** Content of each number in use, on the switch or wanted. */
  readonly #contents = new Map<number, string>();
  readonly #named = new Set<number>();

  constructor(installed: Iterable<ResolvedGroup>) {
    for (const group of installed) {
      const { groupId } = group;
      const content = contentOf(group);
      this.#contents.set(groupId, content);
      if (groupId < NAMED) this.#byContent.set(content, groupId);
    }
  }

  /**
   * The number for a group of this content: the one it has on the switch, else a free one. A number that
   * holds other buckets on the switch is never reused while it does: flows may still lead there.
   */
  forContent(content: string): number {
    let groupId = this.#byContent.get(content);
    if (groupId === undefined) {
      groupId = FIRST_PROGRAM_GROUP + (hashText(content) % SPAN);
      while (this.#contents.has(groupId))
        groupId = FIRST_PROGRAM_GROUP + ((groupId + 1 - FIRST_PROGRAM_GROUP) % SPAN);
      this.#byContent.set(content, groupId);
      this.#contents.set(groupId, content);
    }
    return groupId;
  }

  /** The number for a modifiable group; ask in a fixed order of names, so that collisions resolve alike. */
  forName(name: string): number {
    let groupId = NAMED + (hashText(name) % SPAN);
    while (this.#named.has(groupId)) groupId = NAMED + ((groupId + 1 - NAMED) % SPAN);
    this.#named.add(groupId);
    return groupId;
  }
}
