/** Every command of `weft`, its arguments and options; what they do is in commands/, loaded when needed. */
import { Command, Option } from 'commander';
import { DEFAULT_API } from './client.js';
import { COMPLETE_COMMAND, SHELLS } from './completion/scripts.js';
import {
  BRIDGE_SETTINGS,
  IPFIX_SETTINGS,
  MIRROR_SETTINGS,
  NETFLOW_SETTINGS,
  PORT_SETTINGS,
  SFLOW_SETTINGS,
} from './settings.js';
import { flag, group, leaf, settingOptions } from './tree.js';
import { VERSION } from './version.js';

const byPort = flag('--port <port>', 'only those of this port');
const byVlan = flag('--vlan <vlan>', 'only those of this VLAN');
const byMac = flag('--mac <address>', 'only this address');
const byTable = flag('--table <n>', 'only of this table');
const byCookie = flag('--cookie <cookie[/mask]>', 'only with this cookie');
const mayExist = flag('--may-exist', 'no error where it is there: its settings are set');
const ifExists = flag('--if-exists', 'no error where it is not there');
const comment = flag('--comment <text>', 'for the history');
const dryRun = flag('--dry-run', 'only say what it would change');

const SETTINGS_NOTE =
  'Settings may also be written NAME=VALUE, as with ovs-vsctl; `none` takes one back to its default.';

export function buildProgram(): Command {
  const program = new Command('weft')
    .description('Looks at a Weft switch and changes it, over its REST API.')
    .version(VERSION, '-V, --version', 'the version of weft')
    .helpCommand(false)
    .addOption(
      new Option('--api <address>', 'where weftd is: http://HOST:PORT, https://HOST:PORT, unix:PATH')
        .env('WEFT_API')
        .default(DEFAULT_API),
    )
    .addOption(new Option('--token-file <file>', 'file with the token to send').env('WEFT_TOKEN_FILE'))
    .addOption(new Option('--ca-cert <file>', 'PEM: who signed the certificate of weftd').env('WEFT_CA_CERT'))
    .addOption(new Option('--json', 'answer as JSON, for programs'))
    .addOption(
      new Option('--color <when>', 'colours; auto: on a terminal, unless NO_COLOR is set')
        .choices(['auto', 'always', 'never'])
        .default('auto'),
    )
    .addOption(new Option('-w, --watch [seconds]', 'show it again every so many seconds (2)'));
  declareShow(program);
  declareBridges(program);
  declarePorts(program);
  declareFdb(program);
  declareTables(program);
  declareObserving(program);
  declareMirrors(program);
  declareExports(program);
  declareConfig(program);
  declareRest(program);
  return program;
}

function declareShow(program: Command): void {
  leaf(program, 'show [bridge]', {
    about: 'bridges, their ports and whether all is well',
    options: [flag('--warnings', 'settings of the database that nothing comes of')],
    load: async () => (await import('./commands/show.js')).show,
    examples: ['weft show', 'weft show --warnings'],
  });
}

function declareBridges(program: Command): void {
  const bridge = group(program, 'bridge', 'bridges: list, show, add, set, del');
  const load = () => import('./commands/bridges.js');
  leaf(bridge, 'list', { about: 'all bridges', isDefault: true, load: async () => (await load()).list });
  leaf(bridge, 'show <bridge>', {
    about: 'everything about one bridge',
    load: async () => (await load()).show,
  });
  leaf(bridge, 'add <name> [settings...]', {
    about: `make a bridge. ${SETTINGS_NOTE}`,
    options: [...settingOptions(BRIDGE_SETTINGS), mayExist],
    load: async () => (await load()).add,
    examples: [
      'weft bridge add br0',
      'weft bridge add br1 --fail-mode secure --controller tcp:192.0.2.1:6653',
    ],
  });
  leaf(bridge, 'set <bridge> [settings...]', {
    about: `change settings of a bridge; the others stay. ${SETTINGS_NOTE}`,
    options: settingOptions(BRIDGE_SETTINGS),
    load: async () => (await load()).set,
    examples: ['weft bridge set br0 --mac-ageing-time 60'],
  });
  leaf(bridge, 'del <bridges...>', {
    about: 'remove bridges with their ports',
    options: [ifExists],
    load: async () => (await load()).remove,
    examples: ['weft bridge del br0'],
  });
}

function declarePorts(program: Command): void {
  const port = group(program, 'port', 'ports: list, show, add, set, del');
  const load = () => import('./commands/ports.js');
  leaf(port, 'list [bridge]', {
    about: 'ports of a bridge, or of all',
    isDefault: true,
    load: async () => (await load()).list,
  });
  leaf(port, 'show <bridge> <port>', {
    about: 'everything about one port',
    load: async () => (await load()).show,
  });
  leaf(port, 'add <bridge> <name> [settings...]', {
    about: `add a port; its device may come later. ${SETTINGS_NOTE}`,
    options: [...settingOptions(PORT_SETTINGS), mayExist],
    load: async () => (await load()).add,
    examples: [
      'weft port add br0 tap2 --tag 10',
      'weft port add br0 eth1 trunks=10,20-29',
      'weft port add br0 bond0 --bond eth0,eth1 --lacp active --bond-mode balance-tcp',
    ],
  });
  leaf(port, 'set <bridge> <port> [settings...]', {
    about: `change settings of a port; the others stay. ${SETTINGS_NOTE}`,
    options: settingOptions(PORT_SETTINGS),
    load: async () => (await load()).set,
    examples: ['weft port set br0 tap2 --tag 20', 'weft port set br0 eth1 --trunks none'],
  });
  leaf(port, 'del <bridge> <ports...>', {
    about: 'remove ports',
    options: [ifExists],
    load: async () => (await load()).remove,
    examples: ['weft port del br0 tap2'],
  });
}

function declareFdb(program: Command): void {
  const fdb = group(program, 'fdb', 'addresses and where they are: list, flush, add, del');
  const load = () => import('./commands/fdb.js');
  leaf(fdb, 'list [bridge]', {
    about: 'learned, static and own addresses',
    isDefault: true,
    options: [byPort, byVlan, byMac],
    load: async () => (await load()).list,
    examples: ['weft fdb br0', 'weft fdb list --vlan 10'],
  });
  leaf(fdb, 'flush [bridge]', {
    about: 'forget learned addresses: all, or those that fit',
    options: [byPort, byVlan, byMac],
    load: async () => (await load()).flush,
    examples: ['weft fdb flush br0 --port tap2'],
  });
  leaf(fdb, 'add <bridge> <vlan> <mac> <port>', {
    about: 'pin an address to a port: never learned elsewhere, never aged',
    load: async () => (await load()).add,
    examples: ['weft fdb add br0 10 02:00:00:00:00:01 tap2'],
  });
  leaf(fdb, 'del <bridge> <vlan> <mac>', {
    about: 'remove a static address, or forget a learned one',
    load: async () => (await load()).remove,
    examples: ['weft fdb del br0 10 02:00:00:00:00:01'],
  });
}

function declareTables(program: Command): void {
  const load = () => import('./commands/tables.js');
  const flows = group(program, 'flows', 'the rules that forward: list, add, del');
  leaf(flows, 'list [bridge] [match]', {
    about: "flows in ovs-ofctl's words, with who wants each and why",
    isDefault: true,
    options: [
      byTable,
      byCookie,
      flag('--owner <program>', 'only of this program; `user`: only those of users'),
      flag('--ndjson', 'one JSON object a line, as they come: for large tables'),
    ],
    load: async () => (await load()).listFlows,
    examples: ['weft flows br0', 'weft flows br0 --table 64', 'weft flows list br0 in_port=tap2'],
  });
  leaf(flows, 'add <bridge> <flow>', {
    about: 'add a rule of yours to tables 0 to 63',
    load: async () => (await load()).addFlow,
    examples: ["weft flows add br0 'priority=100,tcp,tp_dst=25,actions=drop'"],
  });
  leaf(flows, 'del <bridge> [match]', {
    about: 'delete rules of yours: all, or those that fit',
    options: [byTable, byCookie, flag('--strict', 'only the very rule: same match, same priority')],
    load: async () => (await load()).removeFlows,
    examples: ['weft flows del br0 tcp'],
  });
  const groups = group(program, 'groups', 'groups of the switch: list, add, del');
  leaf(groups, 'list [bridge]', {
    about: "groups in ovs-ofctl's words",
    isDefault: true,
    load: async () => (await load()).listGroups,
  });
  leaf(groups, 'add <bridge> <group>', {
    about: 'add a group of yours',
    load: async () => (await load()).addGroup,
    examples: ["weft groups add br0 'group_id=1,type=all,bucket=output:tap2'"],
  });
  leaf(groups, 'del <bridge> <id>', {
    about: 'delete a group of yours',
    load: async () => (await load()).removeGroup,
  });
  const meters = group(program, 'meters', 'meters of the switch: list, add, del');
  leaf(meters, 'list [bridge]', {
    about: "meters in ovs-ofctl's words",
    isDefault: true,
    load: async () => (await load()).listMeters,
  });
  leaf(meters, 'add <bridge> <meter>', {
    about: 'add a meter of yours',
    load: async () => (await load()).addMeter,
    examples: ["weft meters add br0 'meter=1,kbps,band=type=drop,rate=10000'"],
  });
  leaf(meters, 'del <bridge> <id>', {
    about: 'delete a meter of yours',
    load: async () => (await load()).removeMeter,
  });
}

function declareObserving(program: Command): void {
  leaf(program, 'trace [bridge] [flow]', {
    about: 'what the tables would do with a frame, rule by rule, and why',
    options: [
      flag('--port <port>', 'by which it comes in, where FLOW has no in_port'),
      flag('--frame <hex>', 'the frame itself, from the destination address on'),
      flag('--last-dropped [reason]', 'the frame dropped last of those that came in by the port'),
    ],
    load: async () => (await import('./commands/trace.js')).trace,
    examples: [
      'weft trace br0 in_port=tap2,icmp,dl_dst=02:00:00:00:00:01',
      'weft trace br0 --port tap2 --last-dropped',
    ],
  });
  leaf(program, 'drops [bridge]', {
    about: 'frames dropped, by port and reason, and what to do about it',
    options: [byPort],
    load: async () => (await import('./commands/drops.js')).drops,
    examples: ['weft drops br0', 'weft drops -w'],
  });
  const fastPath = group(program, 'fastpath', 'what the kernel forwards by itself: show, flows, stats');
  const loadFastPath = () => import('./commands/fastpath.js');
  leaf(fastPath, 'show [bridge]', {
    about: 'whether the kernel forwards known flows, how many, and why not the others',
    isDefault: true,
    load: async () => (await loadFastPath()).show,
    examples: ['weft fastpath'],
  });
  leaf(fastPath, 'flows [bridge]', {
    about: 'megaflows, the most used first: what their frames agree on, what is done with them, and by whom',
    options: [
      byPort,
      flag('--offloaded <yes|no>', 'only those that the kernel has, or has not').choices(['yes', 'no']),
      flag('--reason <word>', 'only those that the kernel has not for this reason'),
      flag('-n, --lines <n>', 'at most so many of each bridge').default('100'),
    ],
    load: async () => (await loadFastPath()).flows,
    examples: ['weft fastpath flows br0', 'weft fastpath flows br0 --offloaded no'],
  });
  leaf(fastPath, 'stats [bridge]', {
    about: 'hits in the kernel and in user space, misses, and frames on the way between, with rates',
    load: async () => (await loadFastPath()).stats,
    examples: ['weft fastpath stats', 'weft fastpath stats -w'],
  });
  leaf(program, 'top [bridge]', {
    about: 'the busiest ports first, or flows or addresses; on a terminal again and again',
    options: [
      flag('--by <what>', 'ports, flows, or senders (macs)')
        .choices(['ports', 'flows', 'macs'])
        .default('ports'),
      flag('--sort <by>', 'busiest ports by').choices(['bits', 'packets', 'drops', 'total']).default('bits'),
      flag('-n, --lines <n>', 'at most so many lines').default('30'),
    ],
    load: async () => (await import('./commands/top.js')).top,
    examples: ['weft top', 'weft top br0 --sort drops', 'weft top br0 --by flows'],
  });
  leaf(program, 'watch [kinds...]', {
    about: 'events as they come: port, link, learn, move, age, connect, config',
    options: [
      flag('--bridge <bridge>', 'only of this bridge'),
      flag('--since <id>', 'from the event after this one on'),
    ],
    load: async () => (await import('./commands/watch.js')).watch,
    examples: ['weft watch', 'weft watch link move --json'],
  });
}

function declareMirrors(program: Command): void {
  const mirror = group(program, 'mirror', 'copies of frames (SPAN, RSPAN): list, show, add, set, del');
  const load = () => import('./commands/mirrors.js');
  leaf(mirror, 'list [bridge]', {
    about: 'mirrors of a bridge, or of all, and what they have copied',
    isDefault: true,
    load: async () => (await load()).list,
  });
  leaf(mirror, 'show <bridge> <mirror>', {
    about: 'everything about one mirror',
    load: async () => (await load()).show,
  });
  leaf(mirror, 'add <bridge> <name> [settings...]', {
    about: `copy frames to a port or into a VLAN. ${SETTINGS_NOTE}`,
    options: [...settingOptions(MIRROR_SETTINGS), mayExist],
    load: async () => (await load()).add,
    examples: [
      'weft mirror add br0 m0 --select-all yes --to tap9',
      'weft mirror add br0 m1 --src tap2 --dst tap2 --vlans 10 --to-vlan 999',
    ],
  });
  leaf(mirror, 'set <bridge> <mirror> [settings...]', {
    about: `change settings of a mirror; the others stay. ${SETTINGS_NOTE}`,
    options: settingOptions(MIRROR_SETTINGS),
    load: async () => (await load()).set,
    examples: ['weft mirror set br0 m0 --vlans 10,20'],
  });
  leaf(mirror, 'del <bridge> <mirrors...>', {
    about: 'remove mirrors; `remove` is the same',
    options: [ifExists],
    load: async () => (await load()).remove,
    examples: ['weft mirror del br0 m0'],
  }).alias('remove');
}

function declareExports(program: Command): void {
  const kinds = [
    ['sflow', 'sFlow', SFLOW_SETTINGS, '--target 192.0.2.1:6343 --sampling 400 --polling 20'],
    ['netflow', 'NetFlow', NETFLOW_SETTINGS, '--target 192.0.2.1:2055 --active-timeout 60'],
    ['ipfix', 'IPFIX', IPFIX_SETTINGS, '--target 192.0.2.1:4739 --sampling 1'],
  ] as const;
  for (const [kind, title, settings, example] of kinds) {
    const parent = group(program, kind, `telling collectors of traffic by ${title}: show, set, del`);
    const load = async () => (await import('./commands/exports.js')).exportCommands(kind, title, settings);
    leaf(parent, 'show [bridge]', {
      about: 'settings, and how the collectors are',
      isDefault: true,
      load: async () => (await load()).show,
    });
    leaf(parent, 'set <bridge> [settings...]', {
      about: `begin to tell, or change settings; the others stay. ${SETTINGS_NOTE}`,
      options: settingOptions(settings),
      load: async () => (await load()).set,
      examples: [`weft ${kind} set br0 ${example}`],
    });
    leaf(parent, 'del <bridge>', {
      about: 'tell nobody any more; what is open is told first',
      options: [ifExists],
      load: async () => (await load()).remove,
      examples: [`weft ${kind} del br0`],
    }).alias('remove');
  }
}

function declareConfig(program: Command): void {
  const config = group(
    program,
    'config',
    'the configuration as a whole: apply, export, diff, history, rollback',
  );
  const load = () => import('./commands/config.js');
  const format = flag('--format <format>', 'of the document').choices(['yaml', 'json']).default('yaml');
  leaf(config, 'apply <file>', {
    about: 'bring the switch to the state that the file says (YAML or JSON; - is standard input)',
    options: [dryRun, comment],
    load: async () => (await load()).apply,
    examples: ['weft config apply network.yaml --dry-run', 'weft config apply network.yaml'],
  });
  leaf(config, 'export', {
    about: 'the configuration as a document that apply takes',
    options: [format, flag('--revision <n>', 'a former one')],
    load: async () => (await load()).exportConfig,
    examples: ['weft config export > network.yaml'],
  });
  leaf(config, 'diff [file]', {
    about:
      'what applying the file would change, or what differs between two revisions; ends with 1 where that is anything',
    options: [
      flag('--from <revision>', 'compare with this revision, not with what is running'),
      flag('--to <revision>', 'instead of a file: this revision'),
    ],
    load: async () => (await load()).diff,
    examples: ['weft config diff network.yaml', 'weft config diff --from 41'],
  });
  leaf(config, 'history', { about: 'former configurations', load: async () => (await load()).history });
  leaf(config, 'rollback <revision>', {
    about: 'back to a former configuration',
    options: [dryRun, comment],
    load: async () => (await load()).rollback,
    examples: ['weft config rollback 41'],
  });
}

function declareRest(program: Command): void {
  leaf(program, 'doctor', {
    about: 'check this host: kernel, rights, offloads, MTUs, conflicts, leftovers; and say what to do',
    options: [
      new Option('--rundir <dir>', 'of the Weft to look at').env('OVS_RUNDIR').default('/run/openvswitch'),
    ],
    load: async () => (await import('./commands/doctor.js')).doctor,
    examples: ['weft doctor', 'weft doctor --json'],
  });
  leaf(program, 'completion <shell>', {
    about: 'a script that completes commands and names: bash, zsh, fish',
    load: async () => (await import('./commands/completion.js')).script,
    examples: [
      'source <(weft completion bash)',
      'weft completion fish > ~/.config/fish/completions/weft.fish',
    ],
  });
  const [shell] = program.commands.find((each) => each.name() === 'completion')?.registeredArguments ?? [];
  shell?.choices(SHELLS);
  leaf(program, 'version', {
    about: 'versions of weft, weftd and the datapath',
    load: async () => (await import('./commands/version.js')).version,
  });
  leaf(program, `${COMPLETE_COMMAND} [words...]`, {
    about: 'what can come next',
    isHidden: true,
    load: async () => {
      const { complete } = await import('./commands/completion.js');
      return (context, words: string[]) => complete(context, program, words);
    },
  });
}
