import { fingerprint } from '../../aggregation/identity.ts';
import { makePlan } from '../../aggregation/plan.ts';
import type { Coordinator } from '../coordinator.ts';
import { EnrolmentRefused } from '../enrolment.ts';
import { viewOf } from '../task-view.ts';
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
    case 'token': {
      const { id, role, holder, expiresAt } = tokens.add(act, also);
      return { id, role, holder, expiresAt };
    }
  }
}

/** Nobody should be asked to approve what cannot be, or text that is no name. @throws PlanRefused or EnrolmentRefused */
export function check(act: PerformedAct, { enrolment, federation }: Coordinator): void {
  if (act.kind === 'task') makePlan(act.settings, enrolment.roster(), federation, 0);
  if (act.kind === 'invitation') enrolment.checkInvitation(act.tenant);
  if (act.kind === 'revocation' && enrolment.keyOf(act.tenant) === undefined)
    throw new EnrolmentRefused(`"${act.tenant}" is not enrolled`);
}
