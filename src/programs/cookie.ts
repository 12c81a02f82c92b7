/**
 * Cookies say whose a flow is and why it is there, so that a dump explains itself and a reconcile leaves
 * everybody else's flows alone:
 *
 * ```
 *  63            48 47     40 39     32 31              0
 * +----------------+---------+---------+-----------------+
 * | 0x5745  ("WE") | program |  kind   |     detail      |
 * +----------------+---------+---------+-----------------+
 * ```
 */

const MAGIC = 0x5745;

/** Matches every flow of every program: `cookie & mask === value`. */
export const OWN_COOKIES = { value: BigInt(MAGIC) << 48n, mask: 0xffff_0000_0000_0000n } as const;

/** Rule kind 0 of every program: the miss rule of a table. */
export const MISS_KIND = 0;

export interface CookieParts {
  readonly program: number;
  readonly kind: number;
  readonly detail: number;
}

export function packCookie({ program, kind, detail }: CookieParts): bigint {
  const upper = MAGIC * 0x10000 + (program & 0xff) * 0x100 + (kind & 0xff);
  return (BigInt(upper) << 32n) | BigInt(detail >>> 0);
}

/** Matches the flows of one kind of a program's rules, undefined where it has no such kind. */
export function cookiesOf(
  program: { readonly id: number; readonly kinds: readonly string[] },
  kind: string,
): { value: bigint; mask: bigint } | undefined {
  const number = program.kinds.indexOf(kind) + 1;
  if (number === 0) return undefined;
  return {
    value: packCookie({ program: program.id, kind: number, detail: 0 }),
    mask: 0xffff_ffff_0000_0000n,
  };
}

/** The parts of a cookie made by `packCookie`, or undefined for anybody else's. */
export function unpackCookie(cookie: bigint): CookieParts | undefined {
  if (cookie >> 48n !== BigInt(MAGIC)) return undefined;
  return {
    program: Number((cookie >> 40n) & 0xffn),
    kind: Number((cookie >> 32n) & 0xffn),
    detail: Number(cookie & 0xffff_ffffn),
  };
}
