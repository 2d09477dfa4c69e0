import { Channel } from '../aggregation/channel.ts';
import type { AgreementKey } from '../aggregation/key-agreement.ts';
import type { Link } from '../aggregation/link.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import type { Unsent } from './world.ts';

/** One connection: a stranger's until it has said who it is, then a tenant's. */
export interface Session {
  readonly link: Link;
  readonly channel: Channel;
  readonly since: number;
  tenant: TenantId | undefined;
  /** ledger entries the client has */
  ledger: number;
  /** what it has stated of its budget over this connection: each thing once */
  readonly stated: Set<string>;
  /** tasks that it has accepted by its own word: over this connection, or before */
  readonly accepted: Set<string>;
  /** plans of evaluations, each as long as its model: the next is made when the first has left */
  readonly long: (() => Unsent | undefined)[];
  /** it is being closed: what still arrives is not looked at */
  isOver: boolean;
}

/** @param since - Unix milliseconds @param agreement - of this connection alone */
export const openSession = (link: Link, since: number, agreement?: AgreementKey): Session => ({
  ...{ link, channel: new Channel('coordinator', agreement), since },
  ...{ tenant: undefined, ledger: 0, stated: new Set<string>(), accepted: new Set<string>(), long: [], isOver: false },
});
