/** Faults of a body that a schema cannot say: fields that do not go together. Never trusts the types of what it reads. */
import { isNamedKey } from '../config/index.js';
import type { BodyFault } from './problems.js';
import { VLAN_MODES } from './schemas.js';

type Body = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Body => typeof value === 'object' && value !== null;
const isGiven = (value: unknown) =>
  value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);

export function portFaults(body: unknown): BodyFault[] {
  if (!isObject(body)) return [];
  return [...vlanFaults(body), ...bondFaults(body), ...patchFaults(body), ...keyFaults('Port', body)];
}

export function interfaceFaults(body: unknown): BodyFault[] {
  return isObject(body) ? [...patchFaults(body), ...keyFaults('Interface', body)] : [];
}

export function bridgeFaults(body: unknown): BodyFault[] {
  return keyFaults('Bridge', body);
}

function vlanFaults({ vlanMode, tag, trunks, cvlans }: Body): BodyFault[] {
  const given = vlanMode ?? (isGiven(tag) ? 'access' : 'trunk');
  // Of a mode that there is not, the schema tells.
  const mode = VLAN_MODES.find((known) => known === given);
  if (mode === undefined) return [];
  const faults: BodyFault[] = [];
  const fault = (path: string, message: string) => faults.push({ path, message });
  if (mode === 'trunk' && isGiven(tag))
    fault('/tag', 'a trunk has none; native-tagged and native-untagged do');
  if (mode !== 'trunk' && !isGiven(tag)) fault('/tag', `is required in mode ${mode}`);
  if ((mode === 'access' || mode === 'dot1q-tunnel') && isGiven(trunks))
    fault('/trunks', `a port of mode ${mode} carries no list of VLANs`);
  if (mode !== 'dot1q-tunnel' && isGiven(cvlans))
    fault('/cvlans', `only mode dot1q-tunnel has them, this is ${mode}`);
  return faults;
}

/** What is said of "the" interface must have one to be said of. */
function bondFaults(body: Body): BodyFault[] {
  const { interfaces } = body;
  if (!Array.isArray(interfaces) || interfaces.length < 2) return [];
  const members = ['peer', 'mac', 'ofportRequest', 'mtuRequest'].filter((key) => isGiven(body[key]));
  if (isGiven(body['type']) && body['type'] !== 'system') members.push('type');
  return members.map((key) => ({ path: `/${key}`, message: 'a bond has none: set it at its interfaces' }));
}

function patchFaults({ type, peer }: Body): BodyFault[] {
  if (type === 'patch' && !isGiven(peer)) return [{ path: '/peer', message: 'is required of a patch port' }];
  if (type !== 'patch' && isGiven(peer)) return [{ path: '/peer', message: 'only a patch port has one' }];
  return [];
}

/** Keys of `other_config` that have a name in the API are set by that name alone. */
export function keyFaults(table: 'Bridge' | 'Port' | 'Interface', body: unknown): BodyFault[] {
  const given = isObject(body) ? body['otherConfig'] : undefined;
  return (isObject(given) ? Object.keys(given) : [])
    .filter((key) => isNamedKey(table, key))
    .map((key) => ({ path: `/otherConfig/${escapePointer(key)}`, message: 'has a field of its own' }));
}

/** A body that names itself must name what the path names. */
export function nameFaults(body: unknown, name: string): BodyFault[] {
  if (!isObject(body)) return [];
  const given = body['name'];
  return given === undefined || given === name
    ? []
    : [{ path: '/name', message: `is not "${name}" as in the path` }];
}

/** RFC 6901 §3. */
export function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
