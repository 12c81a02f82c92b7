import type { Context, Options, Result } from '../context.js';
export async function doctor(_context: Context, _options: Options): Promise<Result> {
  return { text: '' };
}
