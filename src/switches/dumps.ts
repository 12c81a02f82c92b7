/** What a switch holds, for people: every flow and group, ours with owner and reason. */
import type { FlowStats, GroupDesc, MeterConfig } from 'node-openflow';
import { flowKey } from '../programs/index.js';
import { isMeterOf } from '../reconcile/index.js';
import type { FlowDump, FlowOwner, GroupDump, MeterDump } from './driver.js';
import type { ProgramRunner } from './runner.js';
import { flowOf, groupOf } from './wire.js';

export function flowDumps(entries: readonly FlowStats[], runner: ProgramRunner): FlowDump[] {
  return entries.map((stats) => {
    const { tableId, priority, cookie, match, instructions } = flowOf(stats);
    return {
      tableId,
      priority,
      cookie,
      match,
      instructions,
      idleTimeoutS: stats.idleTimeout,
      hardTimeoutS: stats.hardTimeout,
      flags: stats.flags,
      packets: stats.packetCount,
      bytes: stats.byteCount,
      durationS: stats.durationSec + stats.durationNsec / 1e9,
      owner: ownerOf({ tableId, priority, match, cookie }, runner),
    };
  });
}

export function ownerOf(
  flow: Pick<FlowDump, 'tableId' | 'priority' | 'match' | 'cookie'>,
  runner: ProgramRunner,
): FlowOwner | null {
  const owner = runner.pipeline.owner(flow);
  if (owner === undefined) return null;
  const { program, kind, table } = owner;
  const reason =
    runner.want.reasons.get(flowKey(flow)) ?? program.explain?.(kind, flow.match) ?? 'not wanted any more';
  return { program: program.name, table: table ?? `${flow.tableId}`, kind, reason };
}

export function groupDumps(entries: readonly GroupDesc[], runner: ProgramRunner): GroupDump[] {
  return entries.map((description) => ({
    groupId: description.groupId,
    type: description.groupType,
    buckets: description.buckets.map(({ weight, watchPort, watchGroup }, i) => ({
      weight,
      watchPort,
      watchGroup,
      actions: groupOf(description).buckets[i]?.actions ?? [],
    })),
    owner: runner.want.groupReasons.get(description.groupId) ?? null,
  }));
}

/** Meters carry no cookie: the range of ids tells whose one is. */
export function meterDumps(entries: readonly MeterConfig[], runner: ProgramRunner): MeterDump[] {
  return entries.map(({ meterId, flags, bands }) => ({
    meterId,
    flags,
    bands,
    owner: isMeterOf(runner.meterRange, meterId)
      ? { program: 'weft', reason: 'a meter of a program: its id is in their range' }
      : null,
  }));
}
