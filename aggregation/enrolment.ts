import { digest } from './transcript.ts';

/** What a tenant signs when it enrols: whoever offers a key shows that it holds it, for this name and this code. */
export const enrolmentDigest = ({ tenant, code, key }: { tenant: string; code: string; key: string }): Uint8Array =>
  digest('parley/enrol/v1', tenant, code, key);
