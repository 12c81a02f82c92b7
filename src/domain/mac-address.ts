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
  const byte = (i: number): number => bytes[offset + i] ?? 0;
  return macAddressOf((byte(0) << 8) | byte(1), (byte(2) << 24) | (byte(3) << 16) | (byte(4) << 8) | byte(5));
}

/** The address whose first 16 bits are `high` and whose other 32 are `low`. */
export function macAddressOf(high: number, low: number): MacAddress {
  const digit = (number: number, shift: number): number => DIGITS[(number >>> shift) & 15] ?? 0;
  // In one piece: of text that is put together from parts, the parts are kept until somebody looks into it.
  return String.fromCharCode(
    digit(high, 12),
    digit(high, 8),
    COLON,
    digit(high, 4),
    digit(high, 0),
    COLON,
    digit(low, 28),
    digit(low, 24),
    COLON,
    digit(low, 20),
    digit(low, 16),
    COLON,
    digit(low, 12),
    digit(low, 8),
    COLON,
    digit(low, 4),
    digit(low, 0),
  ) as MacAddress;
}

/** The first 16 bits of an address and the other 32, unsigned. */
export function macNumbers(mac: MacAddress): { high: number; low: number } {
  const digit = (at: number): number => {
    const code = mac.charCodeAt(at);
    return code > 0x39 ? code - 0x57 : code - 0x30;
  };
  const byte = (i: number): number => (digit(3 * i) << 4) | digit(3 * i + 1);
  return {
    high: (byte(0) << 8) | byte(1),
    low: ((byte(2) << 24) | (byte(3) << 16) | (byte(4) << 8) | byte(5)) >>> 0,
  };
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
