/** Asked for by someone who may, and refused all the same: `status` is the HTTP answer, the message says what to do. */
export class AccessRefused extends Error {
  override readonly name = 'AccessRefused';
  readonly status: 404 | 409;
  constructor(status: 404 | 409, message: string) {
    super(message);
    this.status = status;
  }
}
