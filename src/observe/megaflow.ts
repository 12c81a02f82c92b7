/** Megaflows in the words of ovs-ofctl: the datapath tells fields by OXM's names with values in hexadecimal. */
import { Match, OpenFlowDecodeError, decodeAs, fieldByName, formatMatch } from 'node-openflow';
import type { PortNames } from 'node-openflow';

interface Field {
  readonly name: string;
  readonly value: bigint;
  /** Undefined: every bit counts. */
  readonly mask: bigint | undefined;
}

function fieldOf(text: string): Field | undefined {
  const found = /^(\w+)=(0x[0-9a-f]+)(?:\/(0x[0-9a-f]+))?$/.exec(text);
  const [, name, value, mask] = found ?? [];
  if (name === undefined || value === undefined) return undefined;
  return { name, value: BigInt(value), mask: mask === undefined ? undefined : BigInt(mask) };
}

/** As a match, where OpenFlow can say it: it cannot where a part of a field counts that takes no mask. */
function matchOf({ name, value, mask }: Field): Match | undefined {
  const field = fieldByName(name);
  if (field === undefined || field.experimenter !== undefined) return undefined;
  if (mask !== undefined && !field.maskable) return undefined;
  const bytes = (bits: bigint) =>
    Buffer.from(
      bits
        .toString(16)
        .padStart(2 * field.bytes, '0')
        .slice(-2 * field.bytes),
      'hex',
    );
  const payload = Buffer.concat([bytes(value), ...(mask === undefined ? [] : [bytes(mask)])]);
  const length = 4 + 4 + payload.length;
  const oxm = Buffer.alloc(Math.ceil(length / 8) * 8);
  oxm.writeUInt16BE(1, 0);
  oxm.writeUInt16BE(length, 2);
  // oxm_class, oxm_field and oxm_hasmask, oxm_length (OF 1.3.5 §7.2.3.2).
  oxm.writeUInt16BE(field.oxmClass, 4);
  oxm.writeUInt8((field.field << 1) | Number(mask !== undefined), 6);
  oxm.writeUInt8(payload.length, 7);
  payload.copy(oxm, 8);
  try {
    return decodeAs(Match, oxm);
  } catch (error) {
    if (error instanceof OpenFlowDecodeError) return undefined;
    throw error;
  }
}

/** What packets of a megaflow agree on; fields that OpenFlow has no words for stay as they are told. */
export function megaflowMatch(fields: readonly string[], names?: PortNames): string {
  const [said, rest]: [Match[], string[]] = [[], []];
  for (const text of fields) {
    const field = fieldOf(text);
    const match = field && matchOf(field);
    if (match === undefined) rest.push(text);
    else said.push(match);
  }
  const text = formatMatch(Object.assign({}, ...said) as Match, names);
  return [...(text === '' ? [] : [text]), ...rest].join(',');
}

/** Actions with ports by name, and values as in ovs-ofctl. */
export function megaflowActions(actions: readonly string[], names?: PortNames): string {
  return actions
    .map((action) =>
      action
        .replace(/(?<=\boutput:|\benqueue:)\d+/g, (port) => portText(Number(port), names))
        .replace(
          /set_field:(0x[0-9a-f]+(?:\/0x[0-9a-f]+)?)->(\w+)/g,
          (whole, value: string, name: string) => {
            const field = fieldOf(`${name}=${value}`);
            const match = field && matchOf(field);
            const said = match === undefined ? undefined : valueText(match);
            return said === undefined ? whole : `set_field:${said}->${name}`;
          },
        ),
    )
    .join(',');
}

function portText(port: number, names: PortNames | undefined): string {
  if (port === 0xfffffffe) return names?.byNumber(port) ?? 'LOCAL';
  return names?.byNumber(port) ?? String(port);
}

/** The value of a match of one field. */
function valueText(match: Match): string | undefined {
  const [value] = Object.values(match) as unknown[];
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  return undefined;
}
