/**
 * Why a frame is dropped: the words that the datapath counts and traces (`DropReason` in datapath/pipeline, which a test
 * compares), what each means and what to do about it. The CLI, the API and docs/troubleshooting.md all say it from here.
 */
export interface DropReasonText {
  /** What happened to the frame, in one sentence. */
  readonly meaning: string;
  /** What to look at or to change, in one or two sentences. */
  readonly remedy: string;
}

export const DROP_REASONS = {
  rule: {
    meaning: 'A rule matched that forwards nowhere.',
    remedy:
      'Often meant so: a VLAN that the port does not take, a reserved address, traffic between protected ports. ' +
      '`weft trace` names the rule and why it is there.',
  },
  'table-miss': {
    meaning: 'No rule matched in some table, not even a table-miss entry.',
    remedy:
      'A bridge whose flow `priority=0,actions=NORMAL` was deleted, or one with fail mode secure that waits for its ' +
      'controller, drops so. Put it back: `weft flows add BRIDGE priority=0,actions=NORMAL`.',
  },
  'unknown-in-port': {
    meaning: 'The frame came in by a port that the bridge does not have.',
    remedy:
      'A trace was asked with a wrong in_port; frames of a wire cannot meet it. `weft port list` shows the numbers.',
  },
  'no-such-port': {
    meaning: 'The only outputs were to ports that the bridge does not have.',
    remedy:
      'A rule or a group names a port that is gone or has another number now. Fix the number with `--ofport` where ' +
      'rules of yours rely on it.',
  },
  'port-down': {
    meaning:
      'The only outputs were to ports that are set down (OFPPC_PORT_DOWN), or the frame came in by one.',
    remedy: 'Set it up again: `ip link set DEVICE up`, or `ovs-ofctl mod-port BRIDGE PORT up`.',
  },
  'no-receive': {
    meaning: 'The port takes no frames (OFPPC_NO_RECV).',
    remedy:
      'A controller or `ovs-ofctl mod-port BRIDGE PORT no-receive` asked for it; `receive` takes it back.',
  },
  'no-forward': {
    meaning: 'The only outputs were to ports that send no frames (OFPPC_NO_FWD).',
    remedy:
      'A controller, a spanning tree or `ovs-ofctl mod-port BRIDGE PORT no-forward` asked for it; `forward` takes it back.',
  },
  'in-port': {
    meaning: 'The only output was to the port that the frame came in by.',
    remedy:
      'Normal where both stations are behind one port (a switch or a bridge there). A rule that means it must output to IN_PORT.',
  },
  meter: {
    meaning: 'A meter’s drop band: more than its rate allows.',
    remedy: '`weft meters` shows the rates and what they dropped; raise the band’s rate or burst.',
  },
  'ttl-expired': {
    meaning: 'The TTL of an IP or MPLS header ran out at a rule that decrements it.',
    remedy: 'One from traceroute is meant so. Many mean a routing loop.',
  },
  malformed: {
    meaning: 'The frame is too short to be one.',
    remedy: 'Look for what sends it: `tcpdump -e -i DEVICE`.',
  },
  fragment: {
    meaning: 'An IP fragment, and the switch was told to drop fragments (OFPC_FRAG_DROP).',
    remedy:
      'Take it back (`ovs-ofctl set-frags BRIDGE normal`), or find the MTU mismatch that makes fragments.',
  },
  'group-empty': {
    meaning: 'The group has no live bucket, or does not exist.',
    remedy:
      'All ports that its buckets watch are down, or it has no buckets: `weft groups BRIDGE`, `weft port list`.',
  },
  recursion: {
    meaning: 'Resubmits or groups are nested too deeply, or there are too many of them.',
    remedy: 'A rule resubmits to itself, perhaps through others: `weft trace` shows the circle.',
  },
  'bad-action': {
    meaning: 'An action could not be applied to such a frame, such as popping a tag that is not there.',
    remedy: 'Match what the action needs, such as `vlan_tci=0x1000/0x1000` before `pop_vlan`.',
  },
  'no-packet-in': {
    meaning: 'The controller was the only output, and the port sends it nothing (OFPPC_NO_PACKET_IN).',
    remedy: '`ovs-ofctl mod-port BRIDGE PORT packet-in` takes it back.',
  },
} as const satisfies Record<string, DropReasonText>;

export type DropReason = keyof typeof DROP_REASONS;

/** The text of a reason; undefined for a word that this weftd does not know, as from a newer datapath. */
export function explainDrop(reason: string): DropReasonText | undefined {
  return Object.hasOwn(DROP_REASONS, reason) ? DROP_REASONS[reason as DropReason] : undefined;
}
