/**
 * The settings of bridges and ports as options of the command line: one declaration gives option, reading of the value and
 * the member of the API's body. What a value may be is the API's to say, which tells all faults at once.
 */
import { usageError } from './errors.js';

/** How the text of an option becomes a value of the body. */
type Kind = 'text' | 'number' | 'flag' | 'numbers' | 'texts';

export interface Setting {
  /** Without dashes. */
  readonly option: string;
  /** Member of the API's body. */
  readonly member: string;
  readonly kind: Kind;
  readonly value: string;
  readonly about: string;
  readonly choices?: readonly string[];
}

const setting = (
  option: string,
  member: string,
  kind: Kind,
  value: string,
  about: string,
  choices?: readonly string[],
): Setting => ({ option, member, kind, value, about, ...(choices ? { choices } : {}) });

const yesNo = ['yes', 'no'];

export const BRIDGE_SETTINGS: readonly Setting[] = [
  setting('fail-mode', 'failMode', 'text', 'mode', 'what the bridge does without a controller', [
    'standalone',
    'secure',
  ]),
  setting(
    'controller',
    'controllers',
    'texts',
    'target',
    'OpenFlow controllers, by commas: tcp:HOST:PORT, ptcp:PORT, …',
  ),
  setting('datapath-id', 'datapathId', 'text', 'id', '16 hexadecimal digits'),
  setting('mac', 'mac', 'text', 'address', "address of the bridge's own interface"),
  setting('mac-table-size', 'macTableSize', 'number', 'n', 'how many addresses it learns'),
  setting(
    'mac-ageing-time',
    'macAgeingTimeS',
    'number',
    'seconds',
    'after which a silent address is forgotten',
  ),
  setting('forward-bpdu', 'forwardBpdu', 'flag', 'yes|no', 'bridge reserved group addresses too', yesNo),
  setting('flood-vlans', 'floodVlans', 'numbers', 'vlans', 'VLANs without learning: 10,20-29'),
  setting(
    'connection',
    'connection',
    'text',
    'target',
    'the switch, if not Weft’s own: tcp:HOST:PORT, unix:PATH',
  ),
];

export const PORT_SETTINGS: readonly Setting[] = [
  setting('tag', 'tag', 'number', 'vlan', 'the access, native or service VLAN'),
  setting('trunks', 'trunks', 'numbers', 'vlans', 'VLANs that a trunk carries: 10,20-29; none: all'),
  setting('mode', 'vlanMode', 'text', 'mode', 'default: access where a tag is given, else trunk', [
    'access',
    'trunk',
    'native-tagged',
    'native-untagged',
    'dot1q-tunnel',
  ]),
  setting('cvlans', 'cvlans', 'numbers', 'vlans', 'customer VLANs that a dot1q-tunnel takes; none: all'),
  setting('bond', 'interfaces', 'texts', 'names', 'the interfaces of a bond: eth0,eth1'),
  setting('bond-mode', 'bondMode', 'text', 'mode', 'how a bond spreads traffic', [
    'active-backup',
    'balance-slb',
    'balance-tcp',
  ]),
  setting('lacp', 'lacp', 'text', 'mode', 'LACP with the partner of a bond', ['off', 'active', 'passive']),
  setting(
    'bond-updelay',
    'bondUpdelayMs',
    'number',
    'ms',
    'how long a link must be up before a bond uses it',
  ),
  setting(
    'bond-downdelay',
    'bondDowndelayMs',
    'number',
    'ms',
    'how long a link must be down before a bond gives it up',
  ),
  setting(
    'type',
    'type',
    'text',
    'type',
    'internal: an interface of this host that Weft makes; patch: one end of a cable to another bridge',
    ['system', 'internal', 'patch'],
  ),
  setting('peer', 'peer', 'text', 'port', 'of a patch port: the port at the other end'),
  setting('priority-tags', 'priorityTags', 'text', 'when', 'priority tags on untagged frames that leave', [
    'never',
    'if-nonzero',
    'always',
  ]),
  setting('qinq-ethertype', 'qinqEthertype', 'text', 'type', 'of the service tag', ['802.1ad', '802.1q']),
  setting('protected', 'protected', 'flag', 'yes|no', 'no traffic to other protected ports', yesNo),
  setting('ofport', 'ofportRequest', 'number', 'n', 'OpenFlow port number that it should have'),
  setting('mac', 'mac', 'text', 'address', 'address of an internal interface'),
  setting('mtu', 'mtuRequest', 'number', 'bytes', 'MTU that the device should have'),
];

const targets = (port: number): Setting =>
  setting('target', 'targets', 'texts', 'host:port', `collectors, by commas; without a port: ${port}`);
const datagrams = setting('datagrams-per-second', 'datagramsPerS', 'number', 'n', 'most for each collector');

export const SFLOW_SETTINGS: readonly Setting[] = [
  targets(6343),
  setting('agent', 'agent', 'text', 'interface|address', 'by which collectors know this switch'),
  setting('sampling', 'sampling', 'number', 'n', 'one frame in so many, at random; 0: none'),
  setting('polling', 'pollingS', 'number', 'seconds', 'between samples of the ports’ counters; 0: none'),
  setting('header', 'headerBytes', 'number', 'bytes', 'most of a frame that is sent'),
  datagrams,
];
export const NETFLOW_SETTINGS: readonly Setting[] = [
  targets(2055),
  setting('netflow-version', 'version', 'number', '5|9', 'of NetFlow', ['5', '9']),
  setting('active-timeout', 'activeTimeoutS', 'number', 'seconds', 'long flows are told of so often'),
  setting('engine-id', 'engineId', 'number', 'n', '0 to 255'),
  setting('engine-type', 'engineType', 'number', 'n', '0 to 255'),
  setting(
    'add-id-to-interface',
    'addIdToInterface',
    'flag',
    'yes|no',
    'the engine’s id in interface numbers',
    yesNo,
  ),
  setting('interface-numbers', 'interfaceNumbers', 'text', 'which', 'how interfaces are told', [
    'openflow',
    'ifindex',
  ]),
  setting('sampling', 'sampling', 'number', 'n', 'one packet in so many is accounted, at random'),
  datagrams,
];
export const IPFIX_SETTINGS: readonly Setting[] = [
  targets(4739),
  setting('sampling', 'sampling', 'number', 'n', 'one packet in so many is accounted, at random'),
  setting(
    'cache-active-timeout',
    'activeTimeoutS',
    'number',
    'seconds',
    'long flows are told of so often; 0: every second',
  ),
  setting('cache-max-flows', 'maxFlows', 'number', 'n', 'flows that are watched at once; 0: the usual'),
  setting('obs-domain-id', 'domainId', 'number', 'n', 'observation domain'),
  setting('obs-point-id', 'pointId', 'number', 'n', 'observation point'),
  datagrams,
];
export const MIRROR_SETTINGS: readonly Setting[] = [
  setting('select-all', 'selectAll', 'flag', 'yes|no', 'every frame that comes in', yesNo),
  setting('src', 'sourcePorts', 'texts', 'ports', 'frames that come in by these ports, by commas'),
  setting('dst', 'destinationPorts', 'texts', 'ports', 'frames that go out by these ports, by commas'),
  setting('vlans', 'vlans', 'numbers', 'vlans', 'only frames of these VLANs: 10,20-29'),
  setting('to', 'outputPort', 'text', 'port', 'the port that gets the copies, and nothing else (SPAN)'),
  setting('to-vlan', 'outputVlan', 'number', 'vlan', 'the VLAN that the copies go into (RSPAN)'),
  setting('snaplen', 'snaplen', 'number', 'bytes', 'most of a copy'),
];

/** Member of a body → option, for messages. */
export const SETTING_OF_PATH: ReadonlyMap<string, string> = new Map(
  [
    ...[...BRIDGE_SETTINGS, ...PORT_SETTINGS, ...SFLOW_SETTINGS, ...NETFLOW_SETTINGS, ...IPFIX_SETTINGS],
    ...MIRROR_SETTINGS,
  ].map(({ member, option }) => [member, option]),
);

/** The word that takes a setting back to its default. */
export const NONE = 'none';

/**
 * The body that options and `name=value` words ask for; a value of `none` becomes null, the setting's default.
 * @param options as commander gives them, in camel case
 * @throws CliError "usage"
 */
export function bodyOf(
  settings: readonly Setting[],
  options: Readonly<Record<string, unknown>>,
  words: readonly string[] = [],
): Record<string, unknown> {
  const given = new Map<string, string>();
  for (const { option } of settings) {
    const value = options[option.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())];
    if (typeof value === 'string') given.set(option, value);
  }
  for (const word of words) {
    const [, name = '', value = ''] = /^([\w-]+)=(.*)$/.exec(word) ?? [];
    const known = settings.find(
      ({ option }) => option === ALIASES[name] || option === name.replaceAll('_', '-'),
    );
    if (!known) {
      const names = settings.map(({ option }) => option).join(', ');
      throw usageError(
        name === '' ? `${word}: NAME=VALUE is wanted` : `there is no setting ${name}: ${names}`,
      );
    }
    given.set(known.option, value);
  }
  const body: Record<string, unknown> = {};
  for (const each of settings) {
    const text = given.get(each.option);
    if (text !== undefined) body[each.member] = text === NONE || text === '' ? null : readValue(each, text);
  }
  return body;
}

/** What Open vSwitch's users write. */
const ALIASES: Readonly<Record<string, string>> = {
  bond_mode: 'bond-mode',
  bond_updelay: 'bond-updelay',
  bond_downdelay: 'bond-downdelay',
  vlan_mode: 'mode',
  ofport_request: 'ofport',
  mtu_request: 'mtu',
  targets: 'target',
  select_src_port: 'src',
  select_dst_port: 'dst',
  select_vlan: 'vlans',
  output_port: 'to',
  output_vlan: 'to-vlan',
};

function readValue({ option, kind }: Setting, text: string): unknown {
  const wrong = (wanted: string) => usageError(`--${option} ${text}: ${wanted} is wanted`);
  switch (kind) {
    case 'text':
      return text;
    case 'texts':
      return text.split(/[\s,]+/).filter((each) => each !== '');
    case 'number':
      if (!/^\d{1,15}$/.test(text)) throw wrong('a number');
      return Number(text);
    case 'flag':
      if (/^(yes|true|on)$/.test(text)) return true;
      if (/^(no|false|off)$/.test(text)) return false;
      throw wrong('yes or no');
    case 'numbers':
      return readNumbers(text) ?? raise(wrong('a list such as 10,20-29'));
  }
}

function raise(error: Error): never {
  throw error;
}

/** `10,20-29` or `[10, 20]`; undefined where it is no list. VLANs have 12 bits, so no range is longer. */
export function readNumbers(text: string): number[] | undefined {
  const numbers = new Set<number>();
  for (const part of text.replace(/^\[(.*)\]$/, '$1').split(/[\s,]+/)) {
    const [, from, to = from] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part) ?? [];
    if (from === undefined || Number(to) < Number(from)) return undefined;
    for (let number = Number(from); number <= Number(to); number++) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

/** The other way round: `10,20-29`. */
export function writeNumbers(numbers: readonly number[]): string {
  const parts: string[] = [];
  const sorted = [...numbers].sort((a, b) => a - b);
  for (let i = 0; i < sorted.length;) {
    let end = i;
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end += 1;
    parts.push(end > i + 1 ? `${sorted[i]}-${sorted[end]}` : sorted.slice(i, end + 1).join(','));
    i = end + 1;
  }
  return parts.join(',');
}
