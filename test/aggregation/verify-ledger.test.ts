import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createIdentity, fingerprint, type Identity } from '../../aggregation/identity.ts';
import { type LedgerExport, ledgerExport } from '../../aggregation/ledger-export.ts';
import { hex, type Roster, taskId } from '../../aggregation/plan.ts';
import { verifyLedgerExport } from '../../aggregation/verify-ledger.ts';
import { answerDigest } from '../../aggregation/wire.ts';
import { cosigned, logKey, signedHead } from '../../aggregation/witness.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { planEvent } from '../../privacy/guarantee.ts';
import {
  appendEntry,
  EMPTY_LEDGER,
  entryText,
  type LedgerBody,
  type LedgerEntry,
  type LedgerHead,
  NO_TASK,
  verifyChain,
} from '../../privacy/ledger.ts';
import { withSignature } from '../../privacy/transparency/signed-note.ts';
import { formatVerifierKey } from '../../privacy/transparency/verifier-key.ts';
import { createFederation } from '../../simulation/federation.ts';
import { aCharge, aFinish, anAbort, aPlan, aRelease } from '../privacy/ledgers.ts';
import { smallTables, smallTask } from '../support/small-task.ts';

// ---- a ledger made by hand, with every key at hand

const NAMES = ['amber', 'blue', 'coral', 'dun', 'ebony'];
const coordinator = createIdentity();
const tenants = new Map(NAMES.map((name) => [name, createIdentity()]));
const roster: Roster = NAMES.map((tenant) => ({ tenant, key: hex(tenants.get(tenant)!.publicKey) }));
const known = {
  coordinator: fingerprint(coordinator.publicKey),
  tenants: Object.fromEntries([...tenants].map(([name, { publicKey }]) => [name, fingerprint(publicKey)])),
};
const TASK = 'a'.repeat(64);

const accept = (tenant: string, by: Identity = tenants.get(tenant)!): LedgerBody => {
  const dataset = 'd'.repeat(64);
  const signature = hex(by.sign(answerDigest(tenant, { type: 'accept', task: TASK, round: 0, dataset })));
  return { kind: 'accept', tenant, dataset, signature };
};
const plan: LedgerBody = { ...aPlan(), roster, planHash: TASK };
const bodies: LedgerBody[] = [
  { kind: 'roster', tenant: 'amber', change: 'enrolled', key: roster[0]!.key },
  plan,
  ...NAMES.map((name) => accept(name)),
  aCharge(1),
  aRelease(1),
  aCharge(2),
  anAbort(2),
  aCharge(3),
  aRelease(3),
  { ...aFinish(2), modelHash: aRelease(3).modelHash },
];
const PLAN = 1;
const CHARGE = 7;

function chain(all: readonly LedgerBody[]): { entries: LedgerEntry[]; heads: LedgerHead[] } {
  const entries: LedgerEntry[] = [];
  const heads: LedgerHead[] = [EMPTY_LEDGER];
  for (const body of all) {
    const task = body.kind === 'roster' || body.kind === 'approval-rule' ? NO_TASK : TASK;
    const appended = appendEntry(heads.at(-1)!, body, { time: 1_700_000_000_000, federation: 'f', task });
    entries.push(appended.entry);
    heads.push(appended.head);
  }
  return { entries, heads };
}

const cosignedBy = (head: LedgerHead, names: readonly string[], log: Identity = coordinator): string =>
  names.reduce(
    (note, name) => withSignature(note, cosigned(note, name, tenants.get(name)!, 1e12)),
    signedHead(head, log),
  );

/** An export of these entries, cosigned where the plan is in, and at the end. */
function exported(all: readonly LedgerBody[] = bodies, witnesses: readonly string[] = NAMES.slice(0, 4)): LedgerExport {
  const { entries, heads } = chain(all);
  return {
    format: 'parley-ledger-export-v1',
    log: formatVerifierKey(logKey(coordinator.publicKey)),
    head: signedHead(heads.at(-1)!, coordinator),
    notes: [cosignedBy(heads[PLAN + 1]!, witnesses), cosignedBy(heads.at(-1)!, witnesses)],
    entries,
  };
}

const problems = (file: LedgerExport): string[] =>
  verifyLedgerExport(file, known).findings.map(({ seq, problem }) => `entry ${seq}: ${problem}`);

test('an honest export verifies, with nothing but itself and the keys', () => {
  const verdict = verifyLedgerExport(exported(), known);
  expect(verdict).toMatchObject({ verified: true, findings: [], unknownKeys: [], signedBy: known.coordinator });
  expect(verdict.tasks).toMatchObject([{ task: TASK, charges: 3, openings: 5, witnessed: 'end' }]);
  expect(verdict.tasks[0]!.epsilon).toBeLessThan(aPlan().epsilon.coalition);
});

test('what one operator did alone where two must approve is a finding', () => {
  const key = 'e'.repeat(64);
  const alone = exported([
    ...bodies,
    { kind: 'approval-rule', approvals: 2 },
    { kind: 'roster', tenant: 'fawn', change: 'enrolled', key },
  ]);
  expect(problems(alone)).toEqual([
    `entry ${bodies.length + 1}: fawn was enrolled without the 2 approvals that the rule asks for`,
  ]);
});

test('keys the reader does not know are named', () => {
  expect(verifyLedgerExport(exported()).unknownKeys).toEqual(['coordinator', ...NAMES]);
  const some = { coordinator: known.coordinator, tenants: { blue: known.tenants.blue! } };
  expect(verifyLedgerExport(exported(), some).unknownKeys).toEqual(['amber', 'coral', 'dun', 'ebony']);
});

describe('a tenant’s earlier key, in plans from before', () => {
  const [second, third] = [createIdentity(), createIdentity()];
  const replaced = (
    by: Identity,
    of: string,
    tenant = 'amber',
    change: 're-keyed' | 'enrolled' = 're-keyed',
  ): LedgerBody => ({
    ...{ kind: 'roster', tenant, change, key: hex(by.publicKey), replaces: of },
  });
  const knowing = (amber: Identity) => ({
    ...known,
    tenants: { ...known.tenants, amber: fingerprint(amber.publicKey) },
  });
  const first = roster[0]!.key;

  test('is taken from the ledger, which says that the known one replaced it; its tenant is named', () => {
    const once = exported([...bodies, replaced(second, first)]);
    expect(verifyLedgerExport(once, knowing(second))).toMatchObject({ verified: true, unknownKeys: ['amber'] });
    const twice = exported([
      ...bodies,
      replaced(second, first),
      replaced(third, hex(second.publicKey), 'amber', 'enrolled'),
    ]);
    expect(verifyLedgerExport(twice, knowing(third))).toMatchObject({ verified: true, unknownKeys: ['amber'] });
  });

  test('is none when the ledger says nothing of the kind, or says it of another tenant, or of another key', () => {
    for (const more of [
      [],
      [replaced(second, first, 'blue')],
      [replaced(third, first)],
      [replaced(second, 'e'.repeat(64))],
    ]) {
      const { verified, findings } = verifyLedgerExport(exported([...bodies, ...more]), knowing(second));
      expect(verified).toBe(false);
      expect(findings[0]!.problem).toMatch(/^lists amber with the key/);
    }
  });

  test('does not lead in circles', () => {
    const circle = [replaced(second, first), replaced(tenants.get('amber')!, hex(second.publicKey))];
    expect(verifyLedgerExport(exported([...bodies, ...circle]), knowing(third)).verified).toBe(false);
  });
});

describe('a ledger that was', () => {
  test('tampered with is caught at the entry after the change', () => {
    const file = exported();
    const entries = (file.entries as LedgerEntry[]).with(8, { ...(file.entries[8] as LedgerEntry), time: 7 });
    expect(problems({ ...file, entries })[0]).toMatch(/^entry 9: does not follow the entry before/);
  });
  test('truncated is caught by the signed head', () => {
    const file = exported();
    const cut = problems({ ...file, entries: file.entries.slice(0, 12) });
    expect(cut).toContain('entry 12: the signed head covers 14 entries, the file holds 12: cut off');
    expect(cut).toContain('entry 11: a note was cosigned over 14 entries, the file holds 12: cut off');
  });
  test('added to is caught by the signed head', () => {
    const file = exported();
    const { entries } = chain([...bodies, anAbort(9)]);
    expect(problems({ ...file, entries })).toContain(
      'entry 14: the signed head covers 14 entries, the file holds 15: added to',
    );
  });
  test('forked, re-chained and signed again by the coordinator is caught by what tenants cosigned', () => {
    const file = exported();
    const other = chain(bodies.with(8, { ...aRelease(1), modelHash: 'e'.repeat(64) }));
    const forked = { ...file, entries: other.entries, head: signedHead(other.heads.at(-1)!, coordinator) };
    expect(problems(forked)).toContain('entry 13: the first 14 entries are not those that were cosigned: forked');
    // without the notes there is no quorum
    expect(problems({ ...forked, notes: [] })).toContain('entry 7: charged before 4 of the roster cosigned the plan');
  });
  test('re-chained without being signed again is caught by the signed head', () => {
    const other = chain(bodies.with(8, { ...aRelease(1), modelHash: 'e'.repeat(64) }));
    expect(problems({ ...exported(), entries: other.entries, notes: [] })).toContain(
      'entry 0: the signed head is over other entries than these: rewritten',
    );
  });
  test('signed by another key is caught by the one the reader knows', () => {
    const { heads } = chain(bodies);
    const thief = createIdentity();
    const file = {
      ...exported(),
      log: formatVerifierKey(logKey(thief.publicKey)),
      head: signedHead(heads.at(-1)!, thief),
      notes: [heads[PLAN + 1]!, heads.at(-1)!].map((head) => cosignedBy(head, NAMES, thief)),
    };
    expect(problems(file)).toEqual([`entry 0: signed by ${fingerprint(thief.publicKey)}, not by ${known.coordinator}`]);
    expect(problems({ ...file, log: exported().log }).join('\n')).toMatch(
      /the signed head: note: not signed by a known key/,
    );
  });
});

describe('the quorum', () => {
  test('must have cosigned the plan before its first charge', () => {
    const { heads } = chain(bodies);
    const late = { ...exported(), notes: [cosignedBy(heads[CHARGE + 1]!, NAMES), cosignedBy(heads.at(-1)!, NAMES)] };
    expect(problems(late)).toEqual([`entry ${CHARGE}: charged before 4 of the roster cosigned the plan`]);
  });
  test('is four of these five, not three; a stranger does not count, nor one tenant twice', () => {
    expect(problems(exported(bodies, NAMES.slice(0, 3)))).toHaveLength(1);
    const { heads } = chain(bodies);
    const head = heads[PLAN + 1]!;
    const three = cosignedBy(head, NAMES.slice(0, 3));
    const withStranger = withSignature(three, cosigned(three, 'zoe', createIdentity(), 1e12));
    const again = withSignature(three, cosigned(three, 'amber', tenants.get('amber')!, 2e12));
    const asBlue = withSignature(three, cosigned(three, 'dun', tenants.get('amber')!, 1e12));
    const charged = 'entry 7: charged before 4 of the roster cosigned the plan';
    expect(problems({ ...exported(), notes: [again] })).toEqual([charged]);
    const stranger = 'entry 1: the note over 2 entries has a signature by nobody in this ledger';
    for (const note of [withStranger, asBlue])
      expect(problems({ ...exported(), notes: [note] })).toEqual([stranger, charged]);
  });
  test('may be missing at the end: then the result does not count yet, and that is said', () => {
    const file = exported();
    const running = verifyLedgerExport({ ...file, notes: file.notes.slice(0, 1) }, known);
    expect(running).toMatchObject({ verified: true, tasks: [{ witnessed: 'plan' }] });
    const { entries, heads } = chain(bodies.slice(0, CHARGE));
    const fresh = { ...file, entries, head: signedHead(heads.at(-1)!, coordinator), notes: [] };
    expect(verifyLedgerExport(fresh, known)).toMatchObject({ verified: true, tasks: [{ witnessed: 'no' }] });
  });
  test('of a roster with a key that is not the one known is no quorum', () => {
    const ghost = hex(createIdentity().publicKey);
    const invented = roster.map((one) => (one.tenant === 'dun' ? { ...one, key: ghost } : one));
    const all = bodies.with(PLAN, { ...aPlan(), planHash: TASK, roster: invented });
    expect(problems(exported(all, ['amber', 'blue', 'coral', 'ebony']))).toEqual([
      `entry 1: lists dun with the key ${fingerprint(Buffer.from(ghost, 'hex'))}, not ${known.tenants.dun}`,
      'entry 5: the signature of dun does not verify',
    ]);
  });
  test('of a roster that is none is refused', () => {
    const twice = [roster[0]!, { ...roster[0]!, tenant: 'again' }, ...roster.slice(2)];
    expect(problems(exported(bodies.with(PLAN, { ...aPlan(), planHash: TASK, roster: twice }))).join('\n')).toMatch(
      /entry 1: its roster is no set of witnesses/,
    );
  });
});

test('an acceptance that its tenant did not sign, or of a stranger, is found', () => {
  const forged = bodies.with(3, accept('blue', tenants.get('amber')!));
  expect(problems(exported(forged))).toEqual(['entry 3: the signature of blue does not verify']);
  const stranger = bodies.with(3, accept('zoe', createIdentity()));
  expect(problems(exported(stranger))).toEqual(['entry 3: zoe accepts a task whose roster does not list it']);
});

test.each<[string, (all: LedgerBody[]) => LedgerBody[], string]>([
  [
    'one opener, so that one witness is a quorum',
    (all) => all.with(PLAN, { ...plan, trust: { ...aPlan().trust, threshold: 1 } } as LedgerBody),
    'entry 1: 1 openers of 5 do not withstand 1 colluders',
  ],
  [
    'a cohort larger than the roster',
    (all) => all.with(PLAN, { ...plan, trust: { ...aPlan().trust, minCohort: 6 } } as LedgerBody),
    'entry 1: a cohort of 6 is not between 4 openers and 5 tenants',
  ],
  [
    'another task’s plan',
    (all) => all.with(PLAN, { ...plan, planHash: 'b'.repeat(64) } as LedgerBody),
    'entry 1: its plan is another task’s',
  ],
  [
    'a sum over fewer than its cohort',
    (all) => all.with(7, { ...aCharge(1), contributions: 3 }),
    'entry 7: a sum of 3 contributions, where 4 are needed and 5 tenants have accepted',
  ],
  [
    'a sum over more than have accepted',
    (all) => all.with(7, { ...aCharge(1), contributions: 6 }),
    'entry 7: a sum of 6 contributions, where 4 are needed and 5 tenants have accepted',
  ],
  [
    'a result that was never released',
    (all) => all.with(13, { ...aFinish(2), modelHash: 'c'.repeat(64) }),
    'entry 13: its result is not the model that was released last',
  ],
])('a task with %s is found, however many cosigned it', (_, change, problem) => {
  expect(problems(exported(change(bodies)))).toContain(problem);
});

test('a plan whose ε is infinite cannot claim a number', () => {
  const mechanism = { ...aPlan().mechanism, shareStdDev: 1, noiseMultiplier: 1e-6 };
  const event = planEvent({ ...mechanism, tenantsPerCustomer: 1, shares: 3 });
  const free = bodies.with(PLAN, { ...plan, mechanism, event } as LedgerBody);
  expect(problems(exported(free)).join('\n')).toMatch(
    /entry 1: claims coalition epsilon [\d.]+, its mechanism costs Infinity/,
  );
});

test('entries of two federations, or two notes of one size, are found', () => {
  const file = exported();
  expect(problems({ ...file, notes: [...file.notes, file.notes[1]!] })).toContain(
    'entry 0: two notes over as many entries: one hides the other',
  );
  const { entries } = chain(bodies);
  const last = appendEntry(chain(bodies.slice(0, -1)).heads.at(-1)!, bodies.at(-1)!, {
    time: 1,
    federation: 'g',
    task: TASK,
  });
  expect(problems({ ...file, entries: entries.with(13, last.entry) }).join('\n')).toContain(
    'entry 13: belongs to another federation than the first entry',
  );
});

test('a claim that its mechanism does not bear out is found, and named', () => {
  const { epsilon } = aPlan();
  const cheaper = bodies.with(PLAN, {
    ...plan,
    epsilon: { ...epsilon, coalition: epsilon.coalition / 2 },
  } as LedgerBody);
  expect(problems(exported(cheaper))[0]).toMatch(/^entry 1: claims coalition epsilon .* its mechanism costs/);
});

test('no bit of the file can be flipped without a finding, or without its being no export any more', () => {
  const file = exported(bodies.slice(0, 9));
  const { heads } = chain(bodies.slice(0, 9));
  const whole = { ...file, notes: [cosignedBy(heads[PLAN + 1]!, NAMES)] };
  expect(problems(whole)).toEqual([]);
  const text = JSON.stringify(whole);
  let tried = 0;
  // every 7th byte, every bit in turn: all of the file in seven runs
  for (let at = Math.floor(Math.random() * 7); at < text.length; at += 7) {
    const bit = 1 << (tried++ % 7);
    const flipped = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ bit) + text.slice(at + 1);
    let parsed: unknown;
    try {
      parsed = JSON.parse(flipped);
    } catch {
      continue;
    }
    const found = ledgerExport.safeParse(parsed);
    if (!found.success) continue;
    expect(
      verifyLedgerExport(found.data, known).verified,
      `bit ${bit} of byte ${at}: ${flipped.slice(at - 30, at + 30)}`,
    ).toBe(false);
  }
  expect(tried).toBeGreaterThan(500);
});

describe('the ledger of a real federation', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await startBackend();
  });

  test('verifies as it is exported: plan and end cosigned by the quorum, acceptances signed', async () => {
    const tables = smallTables();
    const settings = smallTask('plain');
    const federation = await createFederation({ tables, schema: settings.features, backend, secureSum: ['plain'] });
    onTestFinished(() => federation.close());
    const conductor = await federation.run(settings);
    const { store, ledger, publicKey } = federation.coordinator;
    const { entries, note } = ledger.newsSince(0);
    const file: LedgerExport = {
      format: 'parley-ledger-export-v1',
      log: formatVerifierKey(logKey(publicKey)),
      head: note,
      notes: store.notes(0).map((each) => each.note),
      entries,
    };
    const verdict = verifyLedgerExport(file, { coordinator: fingerprint(publicKey) });
    expect(verdict).toMatchObject({ verified: true, tasks: [{ task: taskId(conductor.plan), witnessed: 'end' }] });
    expect(verdict.entries.filter(({ kind }) => kind === 'accept')).toHaveLength(5);
    expect(verifyChain(entries).intact).toBe(true);
    expect(entries.map((text) => entryText(JSON.parse(text)))).toEqual(entries);
  });
});
