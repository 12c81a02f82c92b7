/** The program cannot go on: one line on stderr and an exit status. */
export class Fatal extends Error {
  override readonly name = 'Fatal';

  constructor(
    message: string,
    readonly status = 1,
  ) {
    super(message);
  }
}
