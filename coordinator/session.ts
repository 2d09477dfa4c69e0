import { randomBytes } from 'node:crypto';
import { Channel } from '../aggregation/channel.ts';
import type { Link } from '../aggregation/link.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';

/** One connection: a stranger's until it has said who it is, then a tenant's. */
export interface Session {
  readonly link: Link;
  readonly channel: Channel;
  readonly since: number;
  readonly nonce: Uint8Array;
  tenant: TenantId | undefined;
  /** ledger entries the client has */
  ledger: number;
  /** what it has stated of its budget over this connection: each thing once */
  readonly stated: Set<string>;
  /** it is being closed: what still arrives is not looked at */
  isOver: boolean;
}

/** @param since - Unix milliseconds */
export const openSession = (link: Link, since: number): Session => ({
  ...{ link, channel: new Channel('coordinator'), since, nonce: randomBytes(32) },
  ...{ tenant: undefined, ledger: 0, stated: new Set<string>(), isOver: false },
});
