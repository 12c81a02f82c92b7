/** What a bond says about itself: a snapshot for `bond/show`, `bond/list` and the database's columns. */
import type { BondMode, MacAddress } from '../../../domain/index.js';

export interface BondMemberStatus {
  /** Name of the interface. */
  readonly name: string;
  /** Null while the switch has no such port. */
  readonly ofport: number | null;
  readonly mac: MacAddress | null;
  /** Carries traffic. */
  readonly isEnabled: boolean;
  readonly isActive: boolean;
  /** Link, LACP and the administrator (`bond/enable-member`) allow it. */
  readonly mayEnable: boolean;
  /** Milliseconds until it is enabled or disabled, while updelay or downdelay runs. */
  readonly pendingMs: number | null;
  /** Hashes of which frames leave here, with the load that the last count found in one rebalance interval. */
  readonly hashes: readonly { readonly hash: number; readonly bytes: number }[];
}

/** Of one port of a bridge that has several interfaces. */
export interface BondStatus {
  /** Name of the port: `bond0`. */
  readonly name: string;
  readonly mode: BondMode;
  readonly hashBasis: number;
  readonly allMembersActive: boolean;
  readonly updelayMs: number;
  readonly downdelayMs: number;
  /** Milliseconds until the next rebalance; null where the mode or the interval has none. */
  readonly nextRebalanceMs: number | null;
  readonly lacpStatus: 'off' | 'configured' | 'negotiated';
  readonly lacpFallbackAb: boolean;
  /** `other_config:bond-primary`. */
  readonly primary: string | null;
  readonly members: readonly BondMemberStatus[];
}

/** What an administrator can have a bond do at once (`ovs-appctl bond/…`). */
export type BondCommand =
  /** Send frames of a hash (0 … 255) by that member; balance-slb and balance-tcp. */
  | { readonly kind: 'migrate'; readonly bond: string; readonly hash: number; readonly member: string }
  | { readonly kind: 'set-active-member'; readonly bond: string; readonly member: string }
  /** Until the member's link changes. */
  | { readonly kind: 'enable-member' | 'disable-member'; readonly bond: string; readonly member: string };

/** A command that a bond cannot carry out, in one sentence. */
export class BondError extends Error {
  override readonly name = 'BondError';
}
