/**
 * Why the kernel does not forward packets of a flow: the words of the datapath (datapath/fastpath, datapath/pipeline), what
 * each means and what to do about it. Such packets are forwarded all the same, in user space.
 */
export interface OffloadReasonText {
  /** What keeps the flow in user space, in one sentence. */
  readonly meaning: string;
  /** What to look at or to change; empty where there is nothing to do. */
  readonly remedy: string;
}

const HEADERS = 'Write the field with a match on its protocol, so that the headers are known.';

export const OFFLOAD_REASONS = {
  'no fast path': {
    meaning: 'There is no fast path: weft-datapath forwards everything itself.',
    remedy: '`weft show` says why; `weft doctor` checks kernel and rights.',
  },
  'not cacheable': {
    meaning:
      'What becomes of such a packet depends on more than its headers (what a rule learns from it, or what lies below ' +
      'a header that is taken off), so each is walked through the tables.',
    remedy: '',
  },
  'no Ethernet header': { meaning: 'It is too short to be a frame.', remedy: '' },
  'headers too deep': {
    meaning:
      'The program in the kernel does not read such headers to the end: MPLS, a third tag, IPv6 extension headers, ' +
      'IPv4 options, neighbour discovery, 802.3 lengths.',
    remedy: '',
  },
  'port without a device': {
    meaning: 'It comes in or goes out by a port that has no device in the kernel now.',
    remedy: '`weft port list` shows which port waits for its device.',
  },
  'port without the program': {
    meaning:
      'The port it comes in by does not have the program (yet): just added, or the device does not take it.',
    remedy: 'The log of weft-datapath has the reason where it is more than a moment.',
  },
  'ingress policing': {
    meaning: 'What comes in by the port is policed (ingress_policing_rate), which user space does.',
    remedy: 'A meter or a queue at the egress of the port that it leaves by limits it as well.',
  },
  'match field': {
    meaning:
      'A rule looks at a field that the kernel does not have keys for (MPLS, ARP hardware addresses, and others).',
    remedy: '`weft trace` names the rule.',
  },
  'packet-in': { meaning: 'A copy goes to a controller.', remedy: '' },
  'output with max_len': {
    meaning: 'A copy of it is cut to a length (`output(port=…,max_len=…)`, the `snaplen` of a mirror).',
    remedy: '',
  },
  'too many observers': {
    meaning: 'It is sampled or accounted for by more observers at once than the program has room for.',
    remedy: 'Several collectors can be the targets of one sFlow, NetFlow or IPFIX row.',
  },
  'observer not known': {
    meaning:
      'It is shown to an observer that the program does not have: there are more than it has room for.',
    remedy: 'Several collectors can be the targets of one sFlow, NetFlow or IPFIX row.',
  },
  'too many watches': {
    meaning: 'Too many different combinations of observers are in use at once.',
    remedy: '',
  },
  'meter that remarks': {
    meaning:
      'It passes a meter with a band that rewrites its DSCP, by which later tables may treat it otherwise.',
    remedy: 'Meters of which all bands drop are the kernel’s.',
  },
  'meter with many bands': {
    meaning: 'It passes a meter with more than four bands.',
    remedy: '',
  },
  'meter of a copy': {
    meaning: 'Only a copy of it passes a meter, and the rest goes on without.',
    remedy: 'A meter in the rule that comes before the copies are made is the kernel’s.',
  },
  'meter after a pop': {
    meaning: 'It passes a meter after a copy has left without a tag that it came with.',
    remedy: 'Pass the meter first.',
  },
  'observed behind a meter': {
    meaning: 'It is sampled or accounted for after a meter; the kernel shows to observers what comes in.',
    remedy: '',
  },
  'too many meters': {
    meaning: 'There are more meters in use than the kernel’s table has room for.',
    remedy: '',
  },
  'too many metered flows': {
    meaning: 'The kernel’s table of flows that pass a meter is full.',
    remedy: 'What has been idle for some seconds makes room.',
  },
  'header edit': {
    meaning: 'It is edited in a way that the kernel cannot: MPLS, PBB, TTL copies.',
    remedy: '',
  },
  'set-field': { meaning: 'A field is written that the kernel cannot write.', remedy: '' },
  'part of a field': { meaning: 'A part of a field is written.', remedy: 'Write all of it.' },
  'part of an address': { meaning: 'A part of an Ethernet address is written.', remedy: 'Write all of it.' },
  'headers not looked at': {
    meaning: 'A header is written that no rule has looked at, so the kernel cannot know that it is there.',
    remedy: HEADERS,
  },
  'tags not looked at': {
    meaning: 'Tags are edited without a rule that has looked at them.',
    remedy: 'Match on vlan_vid in the rule that edits.',
  },
  'field to bring back': {
    meaning:
      'A copy of the packet needs a field as it came, after another copy was written, and no rule has looked at it.',
    remedy: 'Send the unchanged copy first.',
  },
  'address to bring back': {
    meaning:
      'A copy needs an Ethernet address as it came, after another copy was written, and no rule has looked at it.',
    remedy: 'Send the unchanged copy first.',
  },
  'DEI of an inner tag': {
    meaning: 'An inner tag is moved whose drop eligible bit keys do not have.',
    remedy: '',
  },
  'no tag': { meaning: 'A tag is taken off that is not there.', remedy: '' },
  'too many operations': {
    meaning: 'It does more than a program of the kernel’s holds (it goes out by very many ports, say).',
    remedy: '',
  },
  'too many long programs': { meaning: 'Too many flows do much each, and all of it different.', remedy: '' },
  'too many masks': {
    meaning: 'The rules look at headers in so many different ways that the kernel’s list of masks is full.',
    remedy: 'Rules of one table that match on the same fields share a mask.',
  },
  'no room in the fast path': {
    meaning:
      'The kernel’s tables of flows, masks or programs are full; it is tried again when there is room.',
    remedy: '`weft fastpath` shows how full they are; rules that match on the same fields share a mask.',
  },
  'too many flows': { meaning: 'The kernel’s table of flows is full.', remedy: '' },
  'records in use': { meaning: 'The kernel’s table of flows is full.', remedy: '' },
  'no place for the key': { meaning: 'The kernel’s table of flows is full.', remedy: '' },
} as const satisfies Record<string, OffloadReasonText>;

/** What a word means; of a newer datapath's, the word itself. */
export function explainOffload(reason: string): OffloadReasonText {
  const known = Object.hasOwn(OFFLOAD_REASONS, reason)
    ? OFFLOAD_REASONS[reason as keyof typeof OFFLOAD_REASONS]
    : undefined;
  return known ?? { meaning: `The datapath says “${reason}”.`, remedy: '' };
}
