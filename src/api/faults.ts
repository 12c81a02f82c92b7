/** Faults of a body that a schema cannot say: fields that do not go together. Never trusts the types of what it reads. */
import type { BodyFault } from './problems.js';
import { VLAN_MODES } from './schemas.js';

type Body = Readonly<Record<string, unknown>>;

const isGiven = (value: unknown) =>
  value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);

export function portFaults(body: unknown): BodyFault[] {
  if (typeof body !== 'object' || body === null) return [];
  const { vlanMode, tag, trunks, cvlans } = body as Body;
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

/** A body that names itself must name what the path names. */
export function nameFaults(body: unknown, name: string): BodyFault[] {
  if (typeof body !== 'object' || body === null) return [];
  const given = (body as Body)['name'];
  return given === undefined || given === name
    ? []
    : [{ path: '/name', message: `is not "${name}" as in the path` }];
}
