import { CommandError, EXIT } from '../aggregation/exit.ts';
import type { PendingView } from './http/outcome.ts';
import { get, type OperatorOptions, post, put } from './operator-http.ts';
import { isPending, pendingText } from './pending-answer.ts';
import { type Invited, invitedText } from './tenant-commands.ts';

/** What an operator types: `parley approvals list | approve | reject | rule`. */
export async function listApprovals(options: OperatorOptions): Promise<void> {
  const pending = (await get('/approvals', options)) as PendingView[];
  console.log(
    options.json ? JSON.stringify(pending) : pending.map(described).join('\n') || 'nothing waits for approval',
  );
}

/** Shows what it is first: what is approved has been seen. */
export async function approve(id: string, options: OperatorOptions): Promise<void> {
  const pending = await waitingUnder(id, options);
  if (!options.json) console.log(described(pending));
  const answer = (await post(`/approvals/${pending.pending}/approve`, {}, options)) as object;
  if (isPending(answer)) return console.log(pendingText(answer, options));
  if (options.json) return console.log(JSON.stringify(answer));
  console.log(pending.act.kind === 'invitation' ? invitedText(answer as Invited) : 'approved, and done');
}

export async function reject(id: string, options: OperatorOptions): Promise<void> {
  const { pending } = await waitingUnder(id, options);
  const answer = await post(`/approvals/${pending}/reject`, {}, options);
  console.log(options.json ? JSON.stringify(answer) : 'rejected: it will not be done');
}

/** How many people must approve; another number where one is given. */
export async function approvalRule(people: number | undefined, options: OperatorOptions): Promise<void> {
  if (people !== undefined && people !== 1 && people !== 2)
    throw new CommandError(EXIT.usage, `one person or two can be asked to approve, not ${people}`);
  const answer = (
    people === undefined
      ? await get('/approval-rule', options)
      : await put('/approval-rule', { approvals: people }, options)
  ) as { approvals: number } | PendingView;
  if (isPending(answer)) return console.log(pendingText(answer, options));
  const { approvals } = answer;
  console.log(
    options.json
      ? JSON.stringify(answer)
      : `tasks, roster, raised budgets and tokens need ${approvals === 1 ? "one person's approval" : `${approvals} people's approvals`}`,
  );
}

/** @param id - or the beginning of it */
async function waitingUnder(id: string, options: OperatorOptions): Promise<PendingView> {
  const found = ((await get('/approvals', options)) as PendingView[]).filter(({ pending }) => pending.startsWith(id));
  if (found.length === 1) return found[0]!;
  throw new CommandError(
    found.length === 0 ? EXIT.refused : EXIT.usage,
    found.length === 0
      ? `nothing waits for approval under ${id}; \`parley approvals list\` shows what does`
      : `${found.length} ids begin with ${id}; give more of it`,
  );
}

function described({ pending, act, hash, expiresAt, approvedBy, needed, addsApprover }: PendingView): string {
  const until = new Date(expiresAt).toISOString().slice(0, 16);
  return `${pending}  ${actText(act)}${addsApprover ? ': ONE MORE PERSON who may approve' : ''}
    approved by ${approvedBy.join(', ') || 'nobody'} (${approvedBy.length} of ${needed}), until ${until} UTC, act ${hash.slice(0, 12)}`;
}

function actText(act: PendingView['act']): string {
  switch (act.kind) {
    case 'task': {
      const { name, work, privacy, secureSum } = act.settings;
      return `start task ${name}: ${work.kind}, coalition ε ${privacy.epsilon} at δ ${privacy.delta}, ${secureSum.protocol} (--json shows every setting)`;
    }
    case 'invitation':
      return `invite ${act.tenant}`;
    case 'revocation':
      return `take the key of ${act.tenant} away`;
    case 'budget':
      return `let ${act.tenant} have a ${act.pool} budget of ε ${act.epsilon}, δ ${act.delta}`;
    case 'token':
      return `token ${act.id} for ${act.holder}, ${act.role}, for ${act.days} days`;
    case 'approval-rule':
      return `ask ${act.approvals === 1 ? 'one person' : `${act.approvals} people`} for such acts from then on`;
  }
}
