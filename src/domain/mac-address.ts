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

/** Character codes of the hex digits. */
const DIGITS = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));
const COLON = 0x3a;

/** The address in the six bytes at `offset`; the caller has checked that they are there. */
export function macAddressAt(bytes: Uint8Array, offset: number): MacAddress {
  const high = (i: number): number => DIGITS[(bytes[offset + i] ?? 0) >> 4] ?? 0;
  const low = (i: number): number => DIGITS[(bytes[offset + i] ?? 0) & 15] ?? 0;
  // In one piece: of text that is put together from parts, the parts are kept until somebody looks into it.
  return String.fromCharCode(
    high(0),
    low(0),
    COLON,
    high(1),
    low(1),
    COLON,
    high(2),
    low(2),
    COLON,
    high(3),
    low(3),
    COLON,
    high(4),
    low(4),
    COLON,
    high(5),
    low(5),
  ) as MacAddress;
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
