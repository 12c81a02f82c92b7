/**
 * OFPT_HELLO, read and written byte by byte, and version negotiation (OF 1.3.5 §6.3.1, §7.5.1).
 *
 * HELLO is the one message that arrives before a version is agreed, with any version in its header and
 * possibly elements of later standards. So it is read here, leniently, and not by the 1.3 codec: what is not
 * a version bitmap is passed over, as §7.5.1 demands.
 */

/** Wire versions this library speaks: OpenFlow 1.3 is 0x04. */
export const OPENFLOW_13 = 0x04;

const OFPT_HELLO = 0;
const OFPT_ERROR = 1;
const OFPHET_VERSIONBITMAP = 1;
const HEADER_BYTES = 8;

export interface Hello {
  /** The header's version: the highest the sender supports. */
  version: number;
  xid: number;
  /** Versions in the bitmap element, ascending; undefined when there is none. */
  bitmap: readonly number[] | undefined;
}

/** True for a whole message that is a HELLO, of whatever version. */
export function isHello(message: Uint8Array): boolean {
  return message[1] === OFPT_HELLO;
}

/** Reads a whole HELLO message. An element that does not fit ends the reading; what came before counts. */
export function readHello(message: Uint8Array): Hello {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let bitmap: number[] | undefined;
  for (let offset = HEADER_BYTES; offset + 4 <= message.length;) {
    const type = view.getUint16(offset);
    const length = view.getUint16(offset + 2);
    if (length < 4 || offset + length > message.length) break;
    if (type === OFPHET_VERSIONBITMAP && bitmap === undefined) {
      bitmap = [];
      for (let word = 0; 4 + (word + 1) * 4 <= length && word < 8; word++) {
        const bits = view.getUint32(offset + 4 + word * 4);
        for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) bitmap.push(word * 32 + bit);
      }
    }
    // Elements are padded to 8 bytes; the padding is not part of their length.
    offset += (length + 7) & ~7;
  }
  return { version: message[0] ?? 0, xid: message.length >= 8 ? view.getUint32(4) : 0, bitmap };
}

/** Writes a HELLO that offers `versions` in its bitmap (all below 32) and the highest of them in its header. */
export function writeHello(versions: readonly number[], xid: number): Uint8Array {
  const message = new Uint8Array(HEADER_BYTES + 8);
  const view = new DataView(message.buffer);
  message[0] = Math.max(...versions);
  message[1] = OFPT_HELLO;
  view.setUint16(2, message.length);
  view.setUint32(4, xid);
  view.setUint16(8, OFPHET_VERSIONBITMAP);
  view.setUint16(10, 8);
  view.setUint32(12, versions.reduce((bits, version) => bits | (1 << version), 0) >>> 0);
  return message;
}

/**
 * The version both sides arrive at, or undefined when there is none we speak.
 *
 * §6.3.1: where both HELLOs carry a bitmap, the highest version set in both; otherwise the smaller of the two
 * header versions, if we support that.
 */
export function negotiate(
  ours: readonly number[],
  theirs: Pick<Hello, 'version' | 'bitmap'>,
): number | undefined {
  if (theirs.bitmap !== undefined) {
    const offered = theirs.bitmap;
    const common = ours.filter((version) => offered.includes(version));
    return common.length === 0 ? undefined : Math.max(...common);
  }
  const version = Math.min(Math.max(...ours), theirs.version);
  return ours.includes(version) ? version : undefined;
}

/**
 * OFPT_ERROR (OFPET_HELLO_FAILED 0, OFPHFC_INCOMPATIBLE 0) with an explanation in ASCII. Its layout is the same
 * in every version, so it goes out in a version the peer can read: the smaller of the two headers'.
 */
export function writeHelloFailed(ours: readonly number[], theirs: Hello): Uint8Array {
  const name = (version: number): string =>
    version >= 1 && version <= 6 ? `1.${version - 1}` : `0x${version.toString(16)}`;
  const offered =
    theirs.bitmap === undefined ? `up to ${name(theirs.version)}` : theirs.bitmap.map(name).join(', ');
  const text = `We support OpenFlow ${ours.map(name).join(', ')}, you support ${offered || 'none'}: no common version.`;
  const bytes = new TextEncoder().encode(text.slice(0, 512));
  const message = new Uint8Array(HEADER_BYTES + 4 + bytes.length);
  const view = new DataView(message.buffer);
  message[0] = Math.max(1, Math.min(Math.max(...ours), theirs.version));
  message[1] = OFPT_ERROR;
  view.setUint16(2, message.length);
  view.setUint32(4, theirs.xid);
  message.set(bytes, HEADER_BYTES + 4);
  return message;
}
