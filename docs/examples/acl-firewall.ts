/**
 * A stateless firewall in front of the bridge. Its rules stand in the bridge's `other_config`, so that they are changed
 * while traffic flows, and are kept with the rest of the configuration:
 *
 *     ovs-vsctl set bridge br0 other_config:acl-200='allow tcp,nw_dst=10.0.0.2,tp_dst=80' \
 *                              other_config:acl-100='deny ip,nw_dst=10.0.0.2' \
 *                              other_config:acl-default=allow
 *
 * `acl-N` has the priority N (2 … 65535) and a match in ovs-ofctl's words; the rule of the highest N that fits a frame
 * decides. `acl-default` (allow when it is left out) is for frames that no rule fits.
 */
import { OfctlSyntaxError, parseMatch } from 'node-openflow';
import { defineProgram, NEXT_PROGRAM, ProgramError, type Bridge, type Flow, type Match } from 'weft/program';

interface Rule {
  readonly priority: number;
  readonly verdict: 'allow' | 'deny';
  readonly match: Match;
  readonly text: string;
}

/** @throws ProgramError when a rule cannot be read: the switch then keeps the rules that it has. */
export function readRules({ otherConfig }: Pick<Bridge, 'otherConfig'>): Rule[] {
  return Object.entries(otherConfig).flatMap(([key, text]) => {
    if (!key.startsWith('acl-') || key === 'acl-default') return [];
    const priority = Number(key.slice(4));
    const { verdict, match = '' } =
      /^(?<verdict>allow|deny)(?:\s+(?<match>\S+))?\s*$/.exec(text)?.groups ?? {};
    if (!Number.isInteger(priority) || priority < 2 || priority > 0xffff)
      throw new ProgramError(`${key}: the priority is 2 … 65535`);
    if (verdict !== 'allow' && verdict !== 'deny')
      throw new ProgramError(`${key}: "allow MATCH" or "deny MATCH" is wanted, not "${text}"`);
    try {
      return [{ priority, verdict, match: parseMatch(match) as Match, text }];
    } catch (error) {
      if (error instanceof OfctlSyntaxError) throw new ProgramError(`${key}: ${error.message}`);
      throw error;
    }
  });
}

const PASS: Flow['instructions'] = [{ type: 'GOTO_TABLE', table: NEXT_PROGRAM }];

export default defineProgram<null>({
  name: 'acl-firewall',
  id: 100,
  kinds: ['rule', 'default'],
  tables: [
    {
      name: 'rules',
      does: 'allows or denies by the rules in other_config:acl-*',
      match: {
        in_port: 'exact',
        eth_src: 'maskable',
        eth_dst: 'maskable',
        eth_type: 'exact',
        vlan_vid: 'maskable',
        ip_proto: 'exact',
        ip_dscp: 'exact',
        ipv4_src: 'maskable',
        ipv4_dst: 'maskable',
        ipv6_src: 'maskable',
        ipv6_dst: 'maskable',
        tcp_src: 'maskable',
        tcp_dst: 'maskable',
        udp_src: 'maskable',
        udp_dst: 'maskable',
        icmpv4_type: 'exact',
        icmpv6_type: 'exact',
        arp_op: 'exact',
        arp_spa: 'maskable',
        arp_tpa: 'maskable',
      },
      miss: { kind: 'next', table: NEXT_PROGRAM, reason: 'no rule of the firewall fits' },
      next: [NEXT_PROGRAM],
    },
  ],
  init: () => null,
  flows({ bridge }) {
    const rules = readRules(bridge);
    const flows: Flow[] = rules.map(({ priority, verdict, match, text }) => ({
      table: 'rules',
      priority,
      match,
      instructions: verdict === 'allow' ? PASS : [],
      kind: 'rule',
      detail: priority,
      reason: `acl-${priority}: ${text}`,
    }));
    const fallback = bridge.otherConfig['acl-default'] ?? 'allow';
    if (fallback !== 'allow' && fallback !== 'deny')
      throw new ProgramError(`acl-default: allow or deny is wanted, not "${fallback}"`);
    // The miss rule allows; what is denied by default needs a rule that says so.
    if (fallback === 'deny') {
      const reason = 'acl-default: deny';
      flows.push({ table: 'rules', priority: 1, match: {}, instructions: [], kind: 'default', reason });
    }
    return { flows };
  },
});
