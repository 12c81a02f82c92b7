/**
 * Every setting that a configuration document has a word for, declared once: its word, the column (and key) that holds
 * it in the database, what may be written. Schema, reading, writing and comparing all follow from this table.
 */
import { Type } from 'typebox';
import type { TSchema } from 'typebox';
import { MAC_AGEING_TIME_S, MAC_TABLE_SIZE, MAX_REQUESTABLE_PORT, VlanSet } from '../../domain/index.js';
import type { Json, Row } from '../../ovsdb/index.js';
import { mapOfTexts, numbersOf } from '../fields.js';

/**
 * A setting's value as documents hold it: in one form for each meaning, so that equal texts are equal settings. Null in
 * place of a text takes a key away that another may have set; a whole configuration has none.
 */
export type Value =
  string | number | boolean | readonly (string | number)[] | Readonly<Record<string, string | null>>;

/** By word; a setting at its default is not mentioned. */
export type Settings = ReadonlyMap<string, Value>;

export type Table = 'Bridge' | 'Controller' | 'Port' | 'Interface';

export interface Setting {
  readonly word: string;
  readonly column: string;
  /** Of a map column, the key that holds the setting. */
  readonly key?: string;
  readonly schema: TSchema;
  /** The one form of a value that the schema has accepted; undefined: the default. */
  readonly normalize: (given: Value) => Value | undefined;
  /** Undefined: the default, or nothing that the document could say. */
  readonly read: (row: Row) => Value | undefined;
  /** As the database's JSON (RFC 7047 §5.1); for a `key`, its text. */
  readonly write: (value: Value | undefined) => Json;
}

const EMPTY: Json = ['set', []];

/** A column of one value at most. `unset` is what the database holds where nothing is said. */
function column(word: string, name: string, schema: TSchema, unset: Json = EMPTY): Setting {
  return {
    word,
    column: name,
    schema,
    normalize: (given) => (given === unset ? undefined : given),
    read: (row) => {
      const [atom] = row.fields[name]?.keys ?? [];
      return atom === undefined || atom === unset ? undefined : atom;
    },
    write: (value) => (value === undefined ? unset : value),
  };
}

/** A key of `other_config` that holds a number, a word or `true`. */
function key(word: string, name: string, schema: TSchema): Setting {
  const kind = (schema as { type?: string }).type;
  const parse = (text: string | undefined): Value | undefined => {
    if (text === undefined) return undefined;
    if (kind === 'integer') return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
    if (kind === 'boolean') return text === 'true' ? true : undefined;
    return text;
  };
  return {
    word,
    column: 'other_config',
    key: name,
    schema,
    normalize: (given) => (given === false ? undefined : given),
    read: (row) => parse(mapOfTexts(row, 'other_config').get(name)),
    write: (value) => (typeof value === 'object' ? JSON.stringify(value) : String(value)),
  };
}

function vlans(word: string, name: string, description: string): Setting {
  return {
    word,
    column: name,
    schema: Type.Array(Type.Union([VlanId, VlanRange]), { maxItems: 4096, description }),
    normalize: (given) => vlanList(vidsOf(given as readonly (string | number)[])),
    read: (row) => vlanList(numbersOf(row, name)),
    write: (value) => ['set', value === undefined ? [] : [...vidsOf(value as readonly (string | number)[])]],
  };
}

function texts(word: string, name: string, description: string, options: object = {}): Setting {
  return {
    word,
    column: name,
    schema: Type.Record(Type.String(), Text, { description, ...options }),
    normalize: (given) => sortedTexts(Object.entries(given as Record<string, string>)),
    read: (row) => sortedTexts([...mapOfTexts(row, name)]),
    write: (value) => ['map', Object.entries(value ?? {})],
  };
}

function words(choices: readonly string[], description: string): TSchema {
  return Type.Unsafe<string>({ type: 'string', enum: choices, description });
}

// What values look like --------------------------------------------------------------------------------------------

export const NAME_PATTERN = '^(?!\\.{1,2}$)[^\\s/:]{1,15}$';
export const VlanId = Type.Integer({ minimum: 0, maximum: 4095 });
const VlanRange = Type.String({ pattern: '^\\d{1,4}-\\d{1,4}$', examples: ['100-199'] });
/** YAML reads `5` and `true` as what they look like; the database holds texts. */
const Text = Type.Union([Type.String({ maxLength: 65_536 }), Type.Number(), Type.Boolean()]);
export const StationMac = Type.String({ pattern: '^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$' });
export const Target = Type.String({
  pattern: '^(p?unix:.+|(tcp|ssl):.+|(ptcp|pssl):([0-9]{1,5})?(:.+)?)$',
  maxLength: 300,
  examples: ['tcp:127.0.0.1:6653', 'ptcp:6654'],
});
const mac = (description: string) => Type.String({ ...StationMac, description });
const flag = (description: string) => Type.Boolean({ description, default: false });
const count = (minimum: number, maximum: number, description: string, extra: object = {}) =>
  Type.Integer({ minimum, maximum, description, ...extra });

const lowerCase = (setting: Setting): Setting => ({
  ...setting,
  normalize: (given) => setting.normalize((given as string).toLowerCase()),
});

// The settings -----------------------------------------------------------------------------------------------------

const OTHER_CONFIG = 'Further keys of other_config. Whole: a key that is not here is not set';
const EXTERNAL_IDS =
  'Keys of external_ids that this document sets; keys of others stay. null in place of a value takes a key away';

/** Keys with another's data in them: what is not mentioned stays. */
export const SHARED_WORDS: ReadonlySet<string> = new Set(['externalIds', 'interfaceExternalIds']);

export const BRIDGE_SETTINGS: readonly Setting[] = [
  lowerCase(
    key(
      'datapathId',
      'datapath-id',
      Type.String({
        pattern: '^(?!0{16}$)[0-9a-fA-F]{16}$',
        description: 'Default: 0000 and the address of the bridge',
      }),
    ),
  ),
  lowerCase(
    key('mac', 'hwaddr', mac("Address of the bridge's own interface; default: one that stays the same")),
  ),
  column(
    'failMode',
    'fail_mode',
    words(['standalone', 'secure'], 'What the switch does while no controller answers'),
  ),
  key(
    'connection',
    'openflow-connection',
    Type.String({
      pattern: '^(unix:.+|(tcp|ssl):.+:[0-9]{1,5})$',
      maxLength: 300,
      description: 'Where the switch is, if not Weft’s own datapath',
    }),
  ),
  key(
    'macTableSize',
    'mac-table-size',
    count(MAC_TABLE_SIZE.min, MAC_TABLE_SIZE.max, 'Most addresses learned', {
      default: MAC_TABLE_SIZE.default,
    }),
  ),
  key(
    'macAgeingTimeS',
    'mac-aging-time',
    count(MAC_AGEING_TIME_S.min, MAC_AGEING_TIME_S.max, 'Seconds until a silent address is forgotten', {
      default: MAC_AGEING_TIME_S.default,
    }),
  ),
  key('forwardBpdu', 'forward-bpdu', flag('Pass frames to the reserved group addresses on')),
  vlans('floodVlans', 'flood_vlans', 'VLANs without learning'),
  column('stp', 'stp_enable', flag('Spanning tree (IEEE 802.1D)'), false),
  column('rstp', 'rstp_enable', flag('Rapid spanning tree (IEEE 802.1D-2004)'), false),
  column('mcastSnooping', 'mcast_snooping_enable', flag('Multicast only where it is listened to'), false),
  column(
    'datapathType',
    'datapath_type',
    words(['system', 'netdev'], 'As Open vSwitch has it; Weft has one datapath'),
    '',
  ),
  {
    word: 'protocols',
    column: 'protocols',
    schema: Type.Array(
      words(
        ['OpenFlow10', 'OpenFlow11', 'OpenFlow12', 'OpenFlow13', 'OpenFlow14', 'OpenFlow15'],
        'A version',
      ),
      {
        uniqueItems: true,
        description: 'OpenFlow versions offered to controllers',
      },
    ),
    normalize: (given) => nonEmpty([...(given as readonly string[])].sort()),
    read: (row) => nonEmpty((row.fields['protocols']?.keys ?? []).map(String).sort()),
    write: (value) => ['set', value ?? []],
  },
  texts('otherConfig', 'other_config', OTHER_CONFIG),
  texts('externalIds', 'external_ids', EXTERNAL_IDS),
];

export const CONTROLLER_SETTINGS: readonly Setting[] = [
  column('maxBackoffMs', 'max_backoff', count(1000, 2 ** 31, 'Longest pause between attempts to connect')),
  column(
    'inactivityProbeMs',
    'inactivity_probe',
    count(0, 2 ** 31, 'Silence after which the connection is probed; 0: never'),
  ),
  column(
    'connectionMode',
    'connection_mode',
    words(['in-band', 'out-of-band'], 'Whether its traffic crosses the bridge itself'),
  ),
  texts('otherConfig', 'other_config', OTHER_CONFIG),
  texts('externalIds', 'external_ids', EXTERNAL_IDS),
];

export const PORT_SETTINGS: readonly Setting[] = [
  column(
    'vlanMode',
    'vlan_mode',
    words(
      ['access', 'trunk', 'native-tagged', 'native-untagged', 'dot1q-tunnel'],
      'Default: access where a tag is given, else trunk',
    ),
  ),
  column('tag', 'tag', count(0, 4095, 'The access, native or service VLAN')),
  vlans('trunks', 'trunks', 'VLANs that a trunk carries, as numbers and "from-to"; default: all'),
  vlans('cvlans', 'cvlans', 'Customer VLANs that a dot1q-tunnel takes; default: all'),
  key(
    'priorityTags',
    'priority-tags',
    words(
      ['never', 'if-nonzero', 'always', 'true', 'false', 'no'],
      'Whether frames without a VLAN keep a tag for their priority',
    ),
  ),
  key(
    'qinqEthertype',
    'qinq-ethertype',
    words(['802.1ad', '802.1q'], 'Of the service tag that a dot1q-tunnel puts on'),
  ),
  column('protected', 'protected', flag('No traffic to other protected ports'), false),
  column(
    'bondMode',
    'bond_mode',
    words(['active-backup', 'balance-slb', 'balance-tcp'], 'How a port of several members sends'),
  ),
  column('lacp', 'lacp', words(['active', 'passive', 'off'], 'IEEE 802.1AX')),
  column(
    'bondUpdelayMs',
    'bond_updelay',
    count(0, 2 ** 31, 'A member is used once it has been up for so long', { default: 0 }),
    0,
  ),
  column(
    'bondDowndelayMs',
    'bond_downdelay',
    count(0, 2 ** 31, 'A member is left once it has been down for so long', { default: 0 }),
    0,
  ),
  column('fakeBridge', 'fake_bridge', flag('The port stands for a VLAN ("fake") bridge of its name'), false),
  texts('otherConfig', 'other_config', OTHER_CONFIG),
  texts('externalIds', 'external_ids', EXTERNAL_IDS),
];

export const INTERFACE_SETTINGS: readonly Setting[] = [
  column(
    'type',
    'type',
    Type.String({
      maxLength: 64,
      description: 'internal: an interface of this host that Weft makes; default: system',
      examples: ['internal'],
    }),
    '',
  ),
  lowerCase(column('mac', 'mac', mac('Address of an internal interface'))),
  column('ofportRequest', 'ofport_request', count(1, MAX_REQUESTABLE_PORT, 'OpenFlow port number')),
  column('mtuRequest', 'mtu_request', count(68, 65_535, 'Largest packet in bytes')),
  texts('options', 'options', 'Of the interface type. Whole: a key that is not here is not set'),
  column(
    'ingressPolicingRate',
    'ingress_policing_rate',
    count(0, 2 ** 31, 'kbit/s taken in; 0: no limit', { default: 0 }),
    0,
  ),
  column('ingressPolicingBurst', 'ingress_policing_burst', count(0, 2 ** 31, 'kbit', { default: 0 }), 0),
  texts('lldp', 'lldp', 'As in Open vSwitch'),
  texts('bfd', 'bfd', 'As in Open vSwitch'),
  column('cfmMpid', 'cfm_mpid', count(0, 2 ** 31, 'Maintenance point (IEEE 802.1ag); none: no CFM')),
  texts('otherConfig', 'other_config', OTHER_CONFIG),
  texts('externalIds', 'external_ids', EXTERNAL_IDS),
];

/** On a port of one interface both speak in one place; words that each has are told apart. */
export function flatWord(word: string): string {
  return word === 'otherConfig'
    ? 'interfaceOtherConfig'
    : word === 'externalIds'
      ? 'interfaceExternalIds'
      : word;
}

export const SETTINGS: Readonly<Record<Table, readonly Setting[]>> = {
  Bridge: BRIDGE_SETTINGS,
  Controller: CONTROLLER_SETTINGS,
  Port: PORT_SETTINGS,
  Interface: INTERFACE_SETTINGS,
};

// Helpers ----------------------------------------------------------------------------------------------------------

function nonEmpty<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** Numbers, and `from-to` where three or more follow one another; undefined: none. */
export function vlanList(vids: Iterable<number>): readonly (string | number)[] | undefined {
  const list = VlanSet.of(vids)
    .ranges()
    .flatMap(([from, to]): (string | number)[] =>
      to - from < 2 ? (from === to ? [from] : [from, to]) : [`${from}-${to}`],
    );
  return nonEmpty(list);
}

/** The VLANs that a list speaks of; a range the wrong way round or beyond 4095 holds what it can. */
export function* vidsOf(list: readonly (string | number)[]): Generator<number> {
  for (const item of list) {
    const [from = 0, to = from] = typeof item === 'number' ? [item] : item.split('-').map(Number);
    for (let vid = from; vid <= to && vid <= 4095; vid++) yield vid;
  }
}

export function sortedTexts(
  entries: readonly (readonly [string, unknown])[],
): Readonly<Record<string, string | null>> | undefined {
  if (entries.length === 0) return undefined;
  const sorted = entries
    .map(([name, text]) => [name, text === null ? null : String(text as string)] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(sorted);
}

/** Text equal for equal values, for comparing. */
export function valueText(value: Value | undefined): string {
  return value === undefined ? '' : JSON.stringify(value);
}
