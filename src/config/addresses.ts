/** Addresses in columns, and how a column that makes no sense is reported. */
import { isMulticast, parseMacAddress, type MacAddress } from '../domain/index.js';

/** Takes the fault of a column, for maps with the key: `other_config:lacp-time`. */
export type Report = (column: string, message: string) => void;

/** The address of one station, or undefined, with the reason told, where `text` is none. */
export function unicast(text: string | undefined, fault: (message: string) => void): MacAddress | undefined {
  if (text === undefined) return undefined;
  const mac = parseMacAddress(text);
  if (!mac) fault(`"${text}" is no Ethernet address`);
  else if (isMulticast(mac) || mac === '00:00:00:00:00:00')
    fault(`${text} is not the address of one station`);
  else return mac;
  return undefined;
}
