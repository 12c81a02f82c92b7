/** Ethernet addresses as validated, canonical text. Text keeps them usable as map keys and in JSON. */

/** An EUI-48 address, always six lower-case hex bytes joined by colons. */
export type MacAddress = string & { readonly __brand: 'MacAddress' };

const PATTERN = /^[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}$/i;

/** The address written in `text` (colons or hyphens, any case), or undefined where it is none. */
export function parseMacAddress(text: string): MacAddress | undefined {
  return PATTERN.test(text) ? (text.toLowerCase().replaceAll('-', ':') as MacAddress) : undefined;
}

/** Like `parseMacAddress`, for constants and tests. @throws TypeError when `text` is no address. */
export function macAddress(text: string): MacAddress {
  const mac = parseMacAddress(text);
  if (mac === undefined) throw new TypeError(`"${text}" is not an Ethernet address`);
  return mac;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** The address in the six bytes at `offset`; the caller has checked that they are there. */
export function macAddressAt(bytes: Uint8Array, offset: number): MacAddress {
  let text = HEX[bytes[offset] ?? 0] ?? '';
  for (let i = 1; i < 6; i++) text += `:${HEX[bytes[offset + i] ?? 0] ?? ''}`;
  return text as MacAddress;
}

/** Whether the I/G bit is set (IEEE 802 §8.2.2): multicast and broadcast addresses. */
export function isMulticast(mac: MacAddress): boolean {
  // The low bit of the second hex digit: of '1' … '9' that of its character code, of 'a' … 'f' the opposite.
  const code = mac.charCodeAt(1);
  return (code & 1) !== (code > 0x39 ? 1 : 0);
}

/** Six bytes, in transmission order. */
export function macAddressBytes(mac: MacAddress): Uint8Array {
  return Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16));
}
