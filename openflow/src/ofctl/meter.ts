/** Meters: `meter=1,kbps,burst,bands=type=drop,rate=100,burst_size=10` and the output of `dump-meters`. */

import type { Static } from '../codec/codec.js';
import { Meter } from '../messages/constants.js';
import type { MessageInput } from '../messages/message.js';
import type { MeterConfig, MeterStats } from '../messages/statistics.js';
import { formatDuration } from './flow.js';
import { OfctlSyntaxError, badValue, integer, splitWords, valueOf, wordNumber, type Word } from './syntax.js';

type MeterModInput = Extract<MessageInput, { type: 'METER_MOD' }>;
type BandInput = NonNullable<MeterModInput['bands']>[number];

const FLAGS = { kbps: 'KBPS', pktps: 'PKTPS', burst: 'BURST', stats: 'STATS' } as const;
type FlagWord = keyof typeof FLAGS;
const isFlag = (key: string): key is FlagWord => Object.hasOwn(FLAGS, key);

const RESERVED = { controller: Meter.CONTROLLER, slowpath: Meter.SLOWPATH, all: Meter.ALL } as const;
const RESERVED_WORDS = new Map<number, string>(Object.entries(RESERVED).map(([word, id]) => [id, word]));

/** Reads one meter. @throws OfctlSyntaxError naming the word at fault and where it stands */
export function parseMeter(
  text: string,
  options: { command?: 'ADD' | 'MODIFY' | 'DELETE' } = {},
): MeterModInput {
  const command = options.command ?? 'ADD';
  const start = /(?:^|[\s,])bands?\s*=/.exec(text);
  const bandsAt = start === null ? text.length : start.index + start[0].length;
  let meterId: number | undefined;
  const given = new Set<FlagWord>();
  for (const word of splitWords(text.slice(0, start?.index ?? text.length))) {
    if (word.key === 'meter') meterId = readMeterId(word);
    else if (isFlag(word.key) && word.value === undefined) given.add(word.key);
    else throw new OfctlSyntaxError('unknown word', word.key, word.at);
  }
  if (meterId === undefined) throw new OfctlSyntaxError('no meter given', text, 0);
  if (command === 'DELETE') return { type: 'METER_MOD', command, meterId, flags: [], bands: [] };
  // Without a unit, OFPMF_KBPS is meant (OF 1.3.5 §7.3.4.4; Open vSwitch's default too).
  if (!given.has('kbps') && !given.has('pktps')) given.add('kbps');
  if (given.has('kbps') && given.has('pktps'))
    throw new OfctlSyntaxError('kbps and pktps exclude each other', text, 0);
  const flags = (Object.keys(FLAGS) as FlagWord[])
    .filter((word) => given.has(word))
    .map((word) => FLAGS[word]);
  return {
    type: 'METER_MOD',
    command,
    meterId,
    flags,
    bands: parseBands(text.slice(bandsAt), bandsAt, given),
  };
}

function readMeterId(word: Word): number {
  const text = valueOf(word);
  const reserved = Object.entries(RESERVED).find(([name]) => name === text)?.[1];
  return reserved ?? Number(integer(text, 32, word.valueAt, word.key));
}

/** Each `type=` opens a band. */
function parseBands(text: string, at: number, flags: ReadonlySet<FlagWord>): BandInput[] {
  const bands: {
    type: 'DROP' | 'DSCP_REMARK';
    rate?: number;
    burstSize?: number;
    precLevel?: number;
    word: Word;
  }[] = [];
  for (const word of splitWords(text, at)) {
    if (word.key === 'type') {
      const kind = valueOf(word);
      if (kind !== 'drop' && kind !== 'dscp_remark') throw badValue(word, 'is not drop or dscp_remark');
      bands.push({ type: kind === 'drop' ? 'DROP' : 'DSCP_REMARK', word });
      continue;
    }
    const band = bands.at(-1);
    if (band === undefined) throw new OfctlSyntaxError('a band opens with type=', word.key, word.at);
    if (word.key === 'rate') band.rate = wordNumber(word, 32);
    else if (word.key === 'burst_size') {
      if (!flags.has('burst'))
        throw new OfctlSyntaxError('burst_size needs the flag burst', word.key, word.at);
      band.burstSize = wordNumber(word, 32);
    } else if (word.key === 'prec_level') {
      if (band.type !== 'DSCP_REMARK')
        throw new OfctlSyntaxError('only a dscp_remark band has prec_level', word.key, word.at);
      band.precLevel = wordNumber(word, 8);
    } else throw new OfctlSyntaxError('unknown word in band', word.key, word.at);
  }
  return bands.map(({ type, rate, burstSize = 0, precLevel = 0, word }) => {
    if (rate === undefined) throw new OfctlSyntaxError('band without a rate', word.key, word.at);
    return type === 'DROP' ? { type, rate, burstSize } : { type, rate, burstSize, precLevel };
  });
}

function meterName(meterId: number): string {
  return RESERVED_WORDS.get(meterId) ?? String(meterId);
}

/** Writes a meter as `ovs-ofctl -O OpenFlow13 dump-meters` does: a line for the meter, one for each band. */
export function formatMeter(meter: Omit<Static<typeof MeterConfig>, 'type'>): string {
  const flags = meter.flags.map((flag) => `${String(flag).toLowerCase()} `).join('');
  const hasBurst = meter.flags.includes('BURST');
  const bands = meter.bands.map((band) => {
    if (band.type === 'unknown' || band.type === 'EXPERIMENTER') return `type=${band.type.toLowerCase()}`;
    const burst = hasBurst ? ` burst_size=${band.burstSize}` : '';
    const level = band.type === 'DSCP_REMARK' ? ` prec_level=${band.precLevel}` : '';
    return `type=${band.type.toLowerCase()} rate=${band.rate}${burst}${level}`;
  });
  return [`meter=${meterName(meter.meterId)} ${flags}bands=`, ...bands].join('\n');
}

/** Writes a meter's counters as `ovs-ofctl -O OpenFlow13 meter-stats` does. */
export function formatMeterStats(stats: Static<typeof MeterStats>): string {
  const head =
    `meter:${meterName(stats.meterId)} flow_count:${stats.flowCount} packet_in_count:${stats.packetInCount} ` +
    `byte_in_count:${stats.byteInCount} duration:${formatDuration(stats)} bands:`;
  const bands = stats.bandStats.map(
    (band, i) => `${i}: packet_count:${band.packetBandCount} byte_count:${band.byteBandCount}`,
  );
  return [head, ...bands].join('\n');
}
