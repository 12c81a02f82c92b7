/** Groups: `group_id=1,type=select,bucket=weight:5,watch_port:1,actions=output:1` and the lines of `dump-groups`. */

import type { Static } from '../codec/codec.js';
import { Group, Port } from '../messages/constants.js';
import type { Bucket } from '../messages/groups.js';
import type { MessageInput } from '../messages/message.js';
import type { GroupDesc, GroupStats } from '../messages/statistics.js';
import { formatAction } from './actions.js';
import { readPort, writePort, type PortNames } from './field-values.js';
import { formatDuration } from './flow.js';
import { actionsOf, contextOf } from './parse-actions.js';
import { OfctlSyntaxError, badValue, integer, splitWords, valueOf, wordNumber, type Word } from './syntax.js';

type GroupModInput = Extract<MessageInput, { type: 'GROUP_MOD' }>;
type BucketInput = NonNullable<GroupModInput['buckets']>[number];
type GroupType = 'ALL' | 'SELECT' | 'INDIRECT' | 'FF';

const TYPES: Readonly<Record<string, GroupType>> = {
  all: 'ALL',
  select: 'SELECT',
  indirect: 'INDIRECT',
  ff: 'FF',
  fast_failover: 'FF',
};

/** Reads one group. @throws OfctlSyntaxError naming the word at fault and where it stands */
export function parseGroup(
  text: string,
  options: { command?: 'ADD' | 'MODIFY' | 'DELETE'; names?: PortNames } = {},
): GroupModInput {
  const command = options.command ?? 'ADD';
  const starts = [...text.matchAll(/(?:^|[\s,])bucket\s*=/g)];
  let groupId: number | undefined;
  let groupType: GroupType | undefined;
  for (const word of splitWords(text.slice(0, starts[0]?.index ?? text.length))) {
    if (word.key === 'group_id') groupId = readGroupId(word);
    else if (word.key === 'type') {
      groupType = TYPES[valueOf(word)];
      if (groupType === undefined) throw badValue(word, 'is not all, select, indirect or ff');
    } else if (
      word.key.startsWith('selection_method') ||
      word.key === 'fields' ||
      word.key === 'command_bucket_id'
    ) {
      throw new OfctlSyntaxError('OpenFlow 1.3 groups have no such property', word.key, word.at);
    } else throw new OfctlSyntaxError('unknown word', word.key, word.at);
  }
  if (groupId === undefined) throw new OfctlSyntaxError('no group_id given', text, 0);
  if (command !== 'DELETE' && groupType === undefined) throw new OfctlSyntaxError('no type given', text, 0);
  const buckets = starts.map((start, i) => {
    const from = start.index + start[0].length;
    const to = starts[i + 1]?.index ?? text.length;
    return parseBucket(text.slice(from, to), from, groupType ?? 'ALL', options.names);
  });
  return { type: 'GROUP_MOD', command, groupType: groupType ?? 'ALL', groupId, buckets };
}

function readGroupId(word: Word): number {
  const text = valueOf(word);
  if (text === 'all') return Group.ALL;
  if (text === 'any') return Group.ANY;
  return Number(integer(text, 32, word.valueAt, word.key));
}

/** What stands behind `actions=` are actions, and without that word everything that is none of a bucket's own. */
function parseBucket(
  text: string,
  at: number,
  groupType: GroupType,
  names: PortNames | undefined,
): BucketInput {
  // Open vSwitch gives a select bucket that names no weight the weight 1.
  const bucket = {
    weight: groupType === 'SELECT' ? 1 : 0,
    watchPort: Port.ANY as number,
    watchGroup: Group.ANY as number,
  };
  const split = /(?:^|[\s,])actions?\s*=/.exec(text);
  const actions: Word[] =
    split === null
      ? []
      : splitWords(text.slice(split.index + split[0].length), at + split.index + split[0].length);
  for (const word of splitWords(split === null ? text : text.slice(0, split.index), at)) {
    switch (word.key) {
      case 'weight':
        bucket.weight = wordNumber(word, 16);
        break;
      case 'watch_port': {
        const port = readPort(valueOf(word), names);
        if (port === undefined) throw badValue(word, 'unknown port');
        bucket.watchPort = port;
        break;
      }
      case 'watch_group':
        bucket.watchGroup = wordNumber(word, 32);
        break;
      // OpenFlow 1.5's; 1.3 numbers buckets by their order.
      case 'bucket_id':
        break;
      default:
        if (split !== null) throw new OfctlSyntaxError('unknown word in bucket', word.key, word.at);
        actions.push(word);
    }
  }
  return { ...bucket, actions: actionsOf(actions, contextOf({}, names)) };
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  ALL: 'all',
  SELECT: 'select',
  INDIRECT: 'indirect',
  FF: 'ff',
};

/** Writes a line of `ovs-ofctl -O OpenFlow13 dump-groups`, without the blank in front. */
export function formatGroup(group: Omit<Static<typeof GroupDesc>, 'type'>, names?: PortNames): string {
  const buckets = group.buckets.map((bucket) => `,bucket=${formatBucket(bucket, group.groupType, names)}`);
  return `group_id=${group.groupId},type=${TYPE_WORDS[group.groupType] ?? group.groupType}${buckets.join('')}`;
}

function formatBucket(
  bucket: Static<typeof Bucket>,
  groupType: string | number,
  names: PortNames | undefined,
): string {
  const words: string[] = [];
  if (groupType === 'SELECT' ? bucket.weight !== 1 : bucket.weight !== 0)
    words.push(`weight:${bucket.weight}`);
  if (bucket.watchPort !== Port.ANY) words.push(`watch_port:${writePort(bucket.watchPort, names)}`);
  if (bucket.watchGroup !== Group.ANY) words.push(`watch_group:${bucket.watchGroup}`);
  const actions = bucket.actions.map((action) => formatAction(action, names));
  return [...words, `actions=${actions.length === 0 ? 'drop' : actions.join(',')}`].join(',');
}

/** Writes a line of `ovs-ofctl -O OpenFlow13 dump-group-stats`, without the blank in front. */
export function formatGroupStats(stats: Static<typeof GroupStats>): string {
  const words = [
    `group_id=${stats.groupId}`,
    `duration=${formatDuration(stats)}`,
    `ref_count=${stats.refCount}`,
    `packet_count=${stats.packetCount}`,
    `byte_count=${stats.byteCount}`,
  ];
  stats.bucketStats.forEach(({ packetCount, byteCount }, i) => {
    words.push(`bucket${i}:packet_count=${packetCount}`, `byte_count=${byteCount}`);
  });
  return words.join(',');
}
