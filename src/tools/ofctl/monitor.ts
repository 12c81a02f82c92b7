/** `monitor`: what the switch says of its own accord, until interrupted. */
import { formatMatch } from 'node-openflow';
import type { Message } from 'node-openflow';
import { Fatal } from '../fatal.js';
import { commit } from './call.js';
import type { Call } from './call.js';
import { portText } from './print.js';

export async function monitor({ connection, args, options, io }: Call): Promise<void> {
  const [lengthText = '128'] = args.filter((word) => word !== 'invalid_ttl');
  const missSendLength = Number(lengthText);
  if (!Number.isInteger(missSendLength) || missSendLength < 0 || missSendLength > 0xffff) {
    throw new Fatal(`${lengthText}: a number of bytes up to 65535 is wanted`);
  }
  await commit({ connection, options: new Map() }, [
    { type: 'SET_CONFIG', flags: 'FRAG_NORMAL', missSendLength },
  ]);
  const stamp = () => (options.has('timestamp') ? `${new Date().toISOString()} ` : '');
  connection.on('message', (message) => io.out(`${stamp()}${textOf(message)}`));
  await new Promise<void>((resolve) => connection.once('close', () => resolve()));
}

function textOf(message: Message): string {
  const head = `OFPT_${message.type} (OF1.3) (xid=0x${message.xid.toString(16)}):`;
  switch (message.type) {
    case 'PACKET_IN': {
      const { tableId, cookie, totalLength, reason, data, match } = message;
      const via = String(reason).toLowerCase();
      return `${head} table_id=${tableId} cookie=0x${cookie.toString(16)} total_len=${totalLength} ${formatMatch(match)} (via ${via}) data_len=${data.length} (unbuffered)\n${Buffer.from(data).toString('hex')}\n`;
    }
    case 'FLOW_REMOVED': {
      const { priority, match, reason, tableId, cookie, durationSec, packetCount, byteCount } = message;
      const matching = formatMatch(match);
      return `${head} priority=${priority}${matching === '' ? '' : `,${matching}`} reason=${String(reason).toLowerCase()} table_id=${tableId} cookie:0x${cookie.toString(16)} duration${durationSec}s pkts${packetCount} bytes${byteCount}\n`;
    }
    case 'PORT_STATUS':
      return `${head} ${String(message.reason)}:${portText(message.desc)}`;
    default:
      return `${head}\n`;
  }
}
