import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { hex, taskId } from '../../aggregation/plan.ts';
import { planEntry } from '../../aggregation/plan-entry.ts';
import type { FromCoordinator } from '../../aggregation/wire.ts';
import { cosigned, signedHead } from '../../aggregation/witness.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { EMPTY_LEDGER, type LedgerBody, type LedgerHead, type PlanEntry } from '../../privacy/ledger.ts';
import { withSignature } from '../../privacy/transparency/signed-note.ts';
import {
  bodiesOf,
  forgedNews,
  headAfter,
  type LyingCoordinator,
  startLying,
  type Victim,
} from '../support-client/lying-coordinator.ts';
import { toySettings } from '../support-client/toy-task.ts';

/** A coordinator that would rather not have its ledger witnessed. Four tenants, three of which are the quorum. */
let backend: Backend;
beforeAll(async () => {
  backend = await startBackend();
});

type LieToAda = (message: FromCoordinator, ada: Victim, federation: LyingCoordinator) => FromCoordinator[] | undefined;

/** Runs the toy task, lies to ada, and waits for her to go. */
async function untilAdaGoes(lie: LieToAda): Promise<{ ada: Victim; reason: string }> {
  let federation: LyingCoordinator | undefined;
  federation = await startLying({
    backend,
    lie: (to, message) => (to.name === 'ada' ? lie(message, to, federation!) : undefined),
  });
  onTestFinished(() => federation.close());
  federation.run(toySettings());
  const ada = federation.tenant('ada');
  const end = () => ada.events.find(({ type }) => type === 'declined' || type === 'left');
  await federation.until(() => end() !== undefined, 'her going');
  await ada.participant.idle();
  return { ada, reason: (end() as { reason: string }).reason };
}

const onWitnessed =
  (
    change: (message: Extract<FromCoordinator, { type: 'witnessed' }>, federation: LyingCoordinator) => string,
  ): LieToAda =>
  (message, _, federation) =>
    message.type === 'witnessed' ? [{ ...message, note: change(message, federation) }] : undefined;

const spoken = ({ said }: Victim): string[] =>
  said.map(({ type }) => type).filter((type) => type === 'say' || type === 'part');

test('a tenant says nothing in a task whose plan the quorum has not cosigned', async () => {
  // she gets the news, and not the note
  const { ada, reason } = await untilAdaGoes((message) =>
    message.type === 'witnessed' ? [{ type: 'witness', ledger: message.ledger }] : undefined,
  );
  expect(reason).toBe('the task begins before the quorum has cosigned its plan');
  expect(spoken(ada)).toEqual([]);
});

describe('a note is no quorum’s', () => {
  test('with two cosignatures where three are needed', async () => {
    const { ada, reason } = await untilAdaGoes(
      onWitnessed((_, { coordinator, identity, tenant }) =>
        noteBy({ identity, tenant }, coordinator.ledger.head, ['bob', 'dan']),
      ),
    );
    expect(reason).toMatch(/^checkpoint: cosigned by bob, dan, which is not the quorum/);
    expect(spoken(ada)).toEqual([]);
  });
  test('without the coordinator’s own signature', async () => {
    const { reason } = await untilAdaGoes(onWitnessed(({ note }) => note.replace(/\n\n— parley:[^\n]*\n/, '\n\n')));
    expect(reason).toMatch(/not signed by a known key/);
  });
  test('over a tree that she has not seen, however many cosigned it', async () => {
    const elsewhere = { ...EMPTY_LEDGER, size: 1, subtrees: ['ab'.repeat(32)] };
    const { ada, reason } = await untilAdaGoes(
      onWitnessed((_, { identity, tenant }) => noteBy({ identity, tenant }, elsewhere, ['bob', 'cleo', 'dan'])),
    );
    expect(reason).toBe('a checkpoint over 1 entries was cosigned that are not those this tenant has seen');
    expect(spoken(ada)).toEqual([]);
  });
});

test('ghosts that the coordinator invents make no quorum: only pinned tenants count as witnesses', async () => {
  let federation: LyingCoordinator | undefined;
  federation = await startLying({
    backend,
    // she pins everybody but dan: bob, cleo and she herself would be three
    policy: (policy) => {
      const { dan: _, ...peers } = policy.peers;
      return policy.tenant === 'ada' ? { ...policy, peers } : policy;
    },
    lie: (to, message) =>
      to.name === 'ada' && message.type === 'witnessed'
        ? [{ ...message, note: noteBy(federation!, federation!.coordinator.ledger.head, ['bob', 'cleo', 'dan']) }]
        : undefined,
  });
  onTestFinished(() => federation.close());
  federation.run(toySettings());
  const ada = federation.tenant('ada');
  await federation.until(() => ada.events.some(({ type }) => type === 'left'), 'her going');
  expect(ada.events.at(-1)).toMatchObject({ reason: 'fewer than 3 pinned tenants have cosigned the ledger' });
});

test('a plan of which the ledger says something else is not answered, though a quorum of colluders cosigned it', async () => {
  let head = EMPTY_LEDGER; // of the branch that is shown to her alone
  const { ada, reason } = await untilAdaGoes((message, _, { identity, tenant }) => {
    if (!('ledger' in message)) return undefined;
    const [before, bodies] = [head, bodiesOf(message.ledger).map(cheaper)];
    const context = { federation: 'f'.repeat(64), task: taskIn(message.ledger.entries), time: 1 };
    const ledger = forgedNews(before, bodies, context, identity);
    head = headAfter(before, ledger);
    if (message.type !== 'witnessed') return [{ ...message, ledger } as FromCoordinator];
    return [{ ...message, ledger, note: noteBy({ identity, tenant }, head, ['bob', 'cleo', 'dan']) }];
  });
  expect(reason).toMatch(/the ledger does not hold the plan, or says something else of it/);
  expect(spoken(ada)).toEqual([]);
});

test('a result is not taken before the quorum has cosigned the end', async () => {
  let notes = 0;
  // the plan's note reaches her, the end's does not
  const { ada, reason } = await untilAdaGoes(({ type }) => (type === 'witnessed' && ++notes > 1 ? [] : undefined));
  expect(reason).toBe('a task is finished, and the quorum has not cosigned a ledger with its end');
  expect(ada.events.some(({ type }) => type === 'finished')).toBe(false);
});

test('an end with another model than she has computed is not hers, whoever cosigned it', async () => {
  let head = EMPTY_LEDGER; // of a branch in which the task ends with another model
  const { ada, reason } = await untilAdaGoes((message, _, { identity, tenant, coordinator }) => {
    if (!('ledger' in message)) return undefined;
    const bodies = bodiesOf(message.ledger);
    if (!bodies.some(({ kind }) => kind === 'finish') && head === EMPTY_LEDGER) return undefined;
    if (head === EMPTY_LEDGER)
      head = headOf(coordinator.ledger.newsSince(0).entries.length - bodies.length, coordinator);
    const forged = bodies.map(
      (body): LedgerBody => (body.kind === 'finish' ? { ...body, modelHash: 'c'.repeat(64) } : body),
    );
    const { federation, task, time } = JSON.parse(coordinator.ledger.newsSince(0).entries.at(-1)!);
    const ledger = forgedNews(head, forged, { federation, task, time }, identity);
    head = headAfter(head, ledger);
    if (message.type !== 'witnessed') return [{ ...message, ledger } as FromCoordinator];
    return [{ ...message, ledger, note: noteBy({ identity, tenant }, head, ['bob', 'cleo', 'dan']) }];
  });
  expect(reason).toMatch(/the task ends with another model than this tenant has computed/);
  expect(ada.events.some(({ type }) => type === 'finished')).toBe(false);
});

test('an honest end: the plan’s entry is the plan’s, and the store knows every root', async () => {
  const federation = await startLying({ backend });
  onTestFinished(() => federation.close());
  const conductor = federation.run(toySettings());
  await federation.over(conductor);
  const { store } = federation.tenant('ada');
  expect(store.planEntry(conductor.id)).toMatchObject({
    ...planEntry(conductor.plan),
    planHash: taskId(conductor.plan),
  });
  expect(store.ledgerRootAt(3)).not.toEqual(store.ledgerRootAt(4));
  expect(store.ledgerRootAt(store.ledgerHead().size + 1)).toBeUndefined();
  expect(hex(store.ledgerRootAt(0)!)).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

/** The ledger's head after so many of its entries. */
function headOf(size: number, { ledger }: LyingCoordinator['coordinator']): LedgerHead {
  return headAfter(EMPTY_LEDGER, { entries: ledger.newsSince(0).entries.slice(0, size), note: '' });
}

type Keys = Pick<LyingCoordinator, 'identity' | 'tenant'>;

/** What a note over this head looks like with these tenants under it. */
const noteBy = ({ identity, tenant }: Keys, head: LedgerHead, names: readonly string[]): string =>
  names.reduce(
    (note, name) => withSignature(note, cosigned(note, name, tenant(name).identity, Date.now())),
    signedHead(head, identity),
  );

const cheaper = (body: LedgerBody): LedgerBody =>
  body.kind === 'plan' ? { ...(body as PlanEntry), epsilon: { release: 0.1, coalition: 0.1, floor: 0.1 } } : body;

const taskIn = (entries: readonly string[]): string =>
  entries.map((text) => (JSON.parse(text) as { task: string }).task).find((task) => task !== '-') ?? '-';
