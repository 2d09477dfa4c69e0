import type { Act } from '../../aggregation/act.ts';
import { fingerprint } from '../../aggregation/identity.ts';
import { makePlan } from '../../aggregation/plan.ts';
import type { Coordinator } from '../coordinator.ts';
import type { Raise } from '../counting.ts';
import { EnrolmentRefused } from '../enrolment.ts';
import { viewOf } from '../task-view.ts';
import { AccessRefused } from './access-refused.ts';
import type { PerformedAct } from './approvals.ts';
import type { Tokens } from './tokens.ts';

/**
 * Does what was approved, and says what came of it.
 *
 * @param also - done in the same transaction, before the act's own entry
 * @throws PlanRefused, EnrolmentRefused or AccessRefused; nothing was recorded then
 */
export function perform(
  act: PerformedAct,
  also: () => void,
  { coordinator, tokens }: { readonly coordinator: Coordinator; readonly tokens: Tokens },
): unknown {
  switch (act.kind) {
    case 'task':
      return viewOf(coordinator.propose(act.settings, also), coordinator.present());
    case 'invitation': {
      const code = coordinator.enrolment.invite(act.tenant, undefined, also);
      return { tenant: act.tenant, code, coordinator: fingerprint(coordinator.publicKey) };
    }
    case 'revocation':
      coordinator.revoke(act.tenant, also);
      return { tenant: act.tenant };
    case 'budget':
      coordinator.allow(raiseOf(act, coordinator), also);
      return { tenant: act.tenant, pool: act.pool };
    case 'token': {
      const { id, role, holder, expiresAt } = tokens.add(act, also);
      return { id, role, holder, expiresAt };
    }
  }
}

/** Nobody should be asked to approve what cannot be, or text that is no name. @throws PlanRefused, EnrolmentRefused or AccessRefused */
export function check(act: PerformedAct, coordinator: Coordinator): void {
  const { enrolment, federation } = coordinator;
  if (act.kind === 'task') makePlan(act.settings, enrolment.roster(), federation, 0);
  if (act.kind === 'invitation') enrolment.checkInvitation(act.tenant);
  if (act.kind === 'revocation' && enrolment.keyOf(act.tenant) === undefined)
    throw new EnrolmentRefused(`"${act.tenant}" is not enrolled`);
  if (act.kind === 'budget') raiseOf(act, coordinator);
}

/** What this act allows. @throws AccessRefused when the tenant does not ask for that, or not any more */
function raiseOf(act: Extract<Act, { kind: 'budget' }>, { raises }: Coordinator): Raise {
  const { tenant, pool, epsilon, delta } = act;
  const found = raises().find((raise) => raise.tenant === tenant && raise.pool === pool);
  if (found !== undefined && found.to.epsilon === epsilon && found.to.delta === delta) return found;
  throw new AccessRefused(409, `${tenant} does not ask for a ${pool} budget of ε ${epsilon}, δ ${delta}`);
}
