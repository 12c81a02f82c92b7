/**
 * Field values as big-endian byte strings, and the notations ovs-ofctl reads and writes them in (ovs-fields(7)):
 * numbers, Ethernet, IPv4 and IPv6 addresses. Everything here is text ↔ bytes; nothing knows of fields.
 */

/** Big-endian bytes of `value`, `size` of them. */
export function bytesOf(value: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = size - 1, rest = value; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

export function numberOf(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

/** `a:b:c:d:e:f`, one or two hex digits each; undefined when it is not that. */
export function readMac(text: string): Uint8Array | undefined {
  const parts = text.split(':');
  if (parts.length !== 6 || !parts.every((part) => /^[0-9a-f]{1,2}$/i.test(part))) return undefined;
  return Uint8Array.from(parts, (part) => parseInt(part, 16));
}

export function writeMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

export function readIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255))
    return undefined;
  return Uint8Array.from(parts, Number);
}

export function writeIpv4(bytes: Uint8Array): string {
  return bytes.join('.');
}

/** Any RFC 4291 §2.2 form, with `::` and a dotted quad at the end. */
export function readIpv6(text: string): Uint8Array | undefined {
  let body = text;
  const tail: number[] = [];
  const lastColon = body.lastIndexOf(':');
  if (body.includes('.')) {
    const quad = readIpv4(body.slice(lastColon + 1));
    if (quad === undefined || lastColon < 0) return undefined;
    for (let i = 0; i < 4; i += 2) tail.push(((quad[i] ?? 0) << 8) | (quad[i + 1] ?? 0));
    // "::1.2.3.4" must keep both colons, "a:1.2.3.4" loses its one.
    body = body.slice(0, lastColon);
    if (body.endsWith(':')) body += ':';
    if (body === '') return undefined;
  }
  const halves = body.split('::');
  if (halves.length > 2) return undefined;
  const read = (half: string): number[] | undefined => {
    if (half === '') return [];
    const groups = half.split(':');
    return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))
      ? groups.map((g) => parseInt(g, 16))
      : undefined;
  };
  const head = read(halves[0] ?? '');
  const rest = read(halves[1] ?? '');
  if (head === undefined || rest === undefined) return undefined;
  const groups = halves.length === 1 ? [...head, ...tail] : spread(head, [...rest, ...tail]);
  if (groups?.length !== 8) return undefined;
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

function spread(head: number[], rest: number[]): number[] | undefined {
  const gap = 8 - head.length - rest.length;
  return gap < 1 ? undefined : [...head, ...new Array<number>(gap).fill(0), ...rest];
}

/** RFC 5952, as inet_ntop writes it: the longest run of two or more zero groups becomes `::`. */
export function writeIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0));
  let best = { from: -1, size: 1 };
  for (let i = 0; i < 8; i++) {
    let size = 0;
    while (groups[i + size] === 0) size += 1;
    if (size > best.size) best = { from: i, size };
    if (size > 0) i += size;
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  // An IPv4-compatible or -mapped address ends in a dotted quad (inet_ntop of glibc).
  if (best.from === 0 && (best.size === 6 || (best.size === 5 && groups[5] === 0xffff))) {
    return `${best.size === 6 ? '::' : '::ffff:'}${writeIpv4(bytes.subarray(12))}`;
  }
  if (best.from < 0) return hex(groups);
  return `${hex(groups.slice(0, best.from))}::${hex(groups.slice(best.from + best.size))}`;
}

/** The mask whose first `prefix` bits of `size` bytes are set. */
export function prefixMask(prefix: number, size: number): Uint8Array {
  return Uint8Array.from(
    { length: size },
    (_, i) => (0xff00 >> Math.min(8, Math.max(0, prefix - i * 8))) & 0xff,
  );
}

/** How many leading bits a mask sets when they are all it sets; undefined for any other mask. */
export function prefixOf(mask: Uint8Array): number | undefined {
  let prefix = 0;
  for (const byte of mask) prefix += Math.clz32(~(byte << 24));
  // clz32 of a byte's complement counts its leading ones; a mask with gaps counts wrong, so compare.
  const expected = prefixMask(Math.min(prefix, mask.length * 8), mask.length);
  return expected.every((byte, i) => byte === mask[i]) ? prefix : undefined;
}
