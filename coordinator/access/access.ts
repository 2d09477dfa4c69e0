import { join } from 'node:path';
import type { Identity } from '../../aggregation/identity.ts';
import type { Coordinator } from '../coordinator.ts';
import { type Approvals, openApprovals } from './approvals.ts';
import { type Callers, openCallers } from './callers.ts';
import { firstToken } from './first-token.ts';
import { openPeople, readOidc } from './oidc.ts';
import { check, perform } from './perform.ts';
import { openTokens, type Tokens } from './tokens.ts';

/** Who may do what with a coordinator over HTTP: who asks, which tokens there are, what waits for a second person. */
export interface AccessControl {
  readonly callers: Callers;
  readonly tokens: Tokens;
  readonly approvals: Approvals;
}

export interface AccessOptions {
  readonly coordinator: Coordinator;
  readonly identity: Identity;
  /** holds `operator.token`, and `oidc.json` where people sign in elsewhere */
  readonly folder: string;
  /** makes another operator's token in the folder, for this person */
  readonly newOperator?: string | undefined;
  /** Unix ms: what other machines' clocks are compared with. What is kept here expires by the coordinator's own, which never runs back */
  readonly clock: () => number;
}

/** @throws CommandError when `oidc.json` cannot be read as what it should be */
export function openAccess({ coordinator, identity, folder, newOperator, clock }: AccessOptions): AccessControl {
  const { store, ledger, enrolment } = coordinator;
  const settings = readOidc(join(folder, 'oidc.json'));
  const people = settings && openPeople(settings, clock);
  const tokens = openTokens(store, ledger.commit, coordinator.clock);
  firstToken(folder, tokens, newOperator);
  return {
    tokens,
    callers: openCallers({ tokens, members: enrolment, identity, people, clock }),
    approvals: openApprovals({
      ...{ store, ledger, tokens, clock: coordinator.clock, hasPeople: people !== undefined },
      check: (act) => check(act, coordinator),
      perform: (act, also) => perform(act, also, { coordinator, tokens }),
    }),
  };
}
