/** `weft version`: of the client and, where it answers, of weftd and the datapath. */
import type { Context, Result } from '../context.js';
import { messageOf } from '../errors.js';
import { VERSION } from '../version.js';

export async function version(context: Context): Promise<Result> {
  const lines = [`weft ${VERSION}`];
  let server: { weftd: string; datapath: string | null } | null = null;
  try {
    const [root, health] = await Promise.all([
      context.client.get<{ version: string }>('/v1'),
      context.client.ask('GET', '/healthz', { alsoStatus: [503] }),
    ]);
    const { datapath } = health.body as { datapath: { version: string | null } };
    server = { weftd: root.version, datapath: datapath.version };
    lines.push(`weftd ${root.version} at ${context.client.address}`);
    lines.push(`weft-datapath ${datapath.version ?? '(not connected)'}`);
  } catch (error) {
    lines.push(messageOf(error));
  }
  return { json: { weft: VERSION, server }, text: lines.join('\n') };
}
