export async function main(_argv: readonly string[]): Promise<number> {
  await Promise.resolve();
  return 1;
}
