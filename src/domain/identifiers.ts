/** Numbers and names that OpenFlow, 802.1Q and the configuration give things. */

/** A datapath id: 16 lower-case hex digits. */
export type Dpid = string & { readonly __brand: 'Dpid' };

/** The datapath id in `text` (1 to 16 hex digits, colons and `0x` allowed), or undefined where it is none. */
export function parseDpid(text: string): Dpid | undefined {
  const digits = text.toLowerCase().replace(/^0x/, '').replaceAll(':', '');
  return /^[0-9a-f]{1,16}$/.test(digits) ? (digits.padStart(16, '0') as Dpid) : undefined;
}

/** An OpenFlow port number (OF 1.3.5 §7.2.1): 1 … `MAX_PORT_NUMBER`, or `LOCAL_PORT`. */
export type PortNumber = number;

/** OFPP_LOCAL: the bridge's own interface. */
export const LOCAL_PORT: PortNumber = 0xfffffffe;

/** The highest number `ofport_request` may ask for, as in Open vSwitch. */
export const MAX_REQUESTABLE_PORT = 65279;

/** A VLAN identifier as the configuration knows it: 0 … 4095, where 0 is "untagged". */
export type Vid = number;

/** Whether `value` is a VLAN identifier. */
export function isVid(value: number): value is Vid {
  return Number.isInteger(value) && value >= 0 && value <= 4095;
}
