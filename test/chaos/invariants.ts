import { hex, type Plan, taskId } from '../../aggregation/plan.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import type { CoordinatorEpoch, TenantId } from '../../aggregation/secure-sum.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import type { Books, RoundBook, TenantBooks } from './books.ts';
import { type Statements, sumHashOf } from './statements.ts';

/*
 * What must hold when a task is over, whoever was killed and whenever. Everything is read from disks and from what others saw;
 * the code that wrote it is asked nothing. Each says what is wrong, in a line of its own.
 */
export interface Evidence {
  readonly books: Books;
  readonly tenants: ReadonlyMap<TenantId, TenantBooks>;
  readonly statements: Statements;
  /** facts that dying coordinators had on disk, in order */
  readonly before: readonly (readonly string[])[];
}

/** What is wrong, in lines. */
export interface Broken {
  /** something that was acknowledged is not there, or not in what was opened */
  readonly lost: readonly string[];
  /** something was opened, said or used twice, or not paid for */
  readonly counted: readonly string[];
  readonly other: readonly string[];
}

export async function broken(evidence: Evidence): Promise<Broken> {
  const { books, tenants } = evidence;
  return {
    lost: [...nothingLost(evidence), ...(await exactlyWhatWasAcknowledged(evidence)), ...released(books)],
    counted: [
      ...books.rounds.flatMap((round) => ledgerOfRound(round, books.entries)),
      ...nothingTwice(evidence),
      ...[...tenants].flatMap(([tenant, own]) => paid(tenant, own, books)),
      ...[...books.agreed].flatMap(([tenant, agrees]) => (agrees ? [] : [`${tenant}’s budget is counted in two ways`])),
    ],
    other: ending(books),
  };
}

/** Reasons for which a task may end early when processes die again and again: what was paid for, or patience, is used up. */
const WORN_OUT = [
  'openings-exhausted',
  'budget-exhausted',
  'tenants-declined',
  'too-many-failures',
  'too-few-connected',
];

function ending({ facts, entries }: Books): string[] {
  const last = facts.at(-1);
  const ends = entries.filter(({ kind }) => kind === 'finish' || kind === 'stop').length;
  const isOver = last?.type === 'finished' || (last?.type === 'stopped' && WORN_OUT.includes(last.reason));
  return [
    ...(isOver ? [] : [`the task ended with ${JSON.stringify(last)}`]),
    ...(ends === 1 ? [] : [`${ends} entries end the task`]),
  ];
}

/** What was a fact when a coordinator died is one ever after, in the same place. */
function nothingLost({ books, before }: Evidence): string[] {
  const after = books.facts.map((fact) => JSON.stringify(fact));
  return before.flatMap((facts, i) => {
    const at = facts.findIndex((fact, n) => JSON.stringify(JSON.parse(fact)) !== after[n]);
    return at < 0 ? [] : [`fact ${at} was lost with death ${i + 1}: ${facts[at]}`];
  });
}

type Entry<Kind> = Extract<LedgerEntry, { kind: Kind }>;

const ofRound = <Kind extends 'charge' | 'release' | 'abort'>(
  entries: readonly LedgerEntry[],
  kind: Kind,
  round: number,
): Entry<Kind>[] => entries.filter((entry): entry is Entry<Kind> => entry.kind === kind && entry.round === round);

/** One charge at most, before one release at most, of that very sum; or the ledger says that the round gave nothing. */
function ledgerOfRound({ round, charged, opened, abandoned }: RoundBook, entries: readonly LedgerEntry[]): string[] {
  const [charges, releases, aborts] = [
    ofRound(entries, 'charge', round),
    ofRound(entries, 'release', round),
    ofRound(entries, 'abort', round),
  ];
  const problems: string[] = [];
  if (charges.length > 1) problems.push(`round ${round} was charged ${charges.length} times`);
  if (releases.length > 1) problems.push(`round ${round} was released ${releases.length} times`);
  if (releases.length + aborts.length !== 1)
    problems.push(`round ${round} has ${releases.length} releases and ${aborts.length} aborts, not one of them`);
  if (charges[0]?.sumHash !== charged) problems.push(`round ${round}: facts and ledger charge two sums`);
  if (aborts[0]?.reason !== abandoned) problems.push(`round ${round}: the ledger gives another reason than the facts`);
  const [release] = releases;
  if (release === undefined) return problems;
  const [charge] = charges;
  if (charge === undefined || charge.seq > release.seq || charge.sumHash !== release.sumHash)
    problems.push(`round ${round} was released without its charge before it`);
  if (opened?.sumHash !== release.sumHash || opened.model !== release.modelHash)
    problems.push(`round ${round}: facts and ledger release two things`);
  return problems;
}

/** The sum that was charged is that of the statements which the coordinator had acknowledged, all of them and no other. */
async function exactlyWhatWasAcknowledged({ books, statements }: Evidence): Promise<string[]> {
  const { summing } = protocolNamed(books.plan.settings.secureSum.protocol);
  const contribute = summing.findIndex(({ gate }) => gate === 'contribute');
  const epochs = new Map<number, CoordinatorEpoch>();
  const problems: string[] = [];
  for (const round of books.rounds) {
    if (round.charged === undefined) continue;
    const said = round.said.get(contribute)?.size ?? 0;
    const [charge] = ofRound(books.entries, 'charge', round.round);
    if (charge?.contributions !== said)
      problems.push(`round ${round.round}: ${said} contributions acknowledged, ${charge?.contributions} charged`);
    if ((await sumHashOf(round, books, statements, epochs)) !== round.charged)
      problems.push(`round ${round.round}: the charge names another sum than that of what was acknowledged`);
  }
  for (const epoch of epochs.values()) epoch.forget();
  return problems;
}

/** A contribution was made for one round: no vector, and nothing said beside one, is ever seen in another. */
function nothingTwice({ books, statements }: Evidence): string[] {
  const task = taskId(books.plan);
  const gates = protocolNamed(books.plan.settings.secureSum.protocol).summing;
  const seen = new Map<string, string>();
  const problems: string[] = [];
  const note = (what: string, where: string, problem: string): void => {
    if ((seen.get(what) ?? where) !== where) problems.push(problem);
    seen.set(what, where);
  };
  for (const [hash, { task: of, place, tenant, received }] of statements.byHash) {
    const gate = gates.find(({ name }) => name === place.stage)?.gate;
    if (of !== task || place.round === 0 || gate === undefined) continue;
    const here = `${place.epoch}/${place.round}`;
    const who = `${tenant} in round ${place.round}`;
    if (received.vector)
      note(`vector ${hex(received.vector.hash)}`, `${here} ${place.stage}`, `${who}: a vector again`);
    if (gate !== 'agree' && received.open.length >= 16)
      note(`open ${place.stage} ${hex(received.open)}`, here, `${who}: its “${place.stage}” again`);
    // from the contribution on a tenant has said one thing, or nothing
    if (gate === 'contribute' || gate === 'agree')
      note(`${tenant} ${here} ${place.stage}`, hash, `${who}: two different answers to “${place.stage}”`);
  }
  return problems;
}

/** What the store hands out is what the ledger releases, once for each round that was opened. */
function released({ rounds, sums, parameters, entries, facts }: Books): string[] {
  const opened = rounds.filter((round) => round.opened !== undefined);
  const problems: string[] = [];
  if (sums.map(({ round }) => round).join() !== opened.map(({ round }) => round).join())
    problems.push(
      `sums of rounds ${sums.map(({ round }) => round)} are kept, rounds ${opened.map((one) => one.round)} opened`,
    );
  for (const { round, model, contributions } of sums) {
    if (ofRound(entries, 'release', round)[0]?.modelHash !== model)
      problems.push(`round ${round}: another model is kept`);
    if (ofRound(entries, 'charge', round)[0]?.contributions !== contributions)
      problems.push(`round ${round}: another number of contributions is kept`);
    if (!parameters.has(model)) problems.push(`round ${round}: its model is not kept`);
  }
  const finish = entries.find((entry) => entry.kind === 'finish');
  if (facts.at(-1)?.type === 'finished' && finish?.modelHash !== sums.at(-1)?.model)
    problems.push('the task ends with another model than was released last');
  return problems;
}

/** It has paid for every opening of the plan, for some whose round was given up, and declined when it was asked for one more. */
export const isWornOut = (own: TenantBooks, { derived }: Plan): boolean =>
  own.declined === 'budget' && own.committed === derived.openings;

/** By its own books a tenant has paid for everything it is in; of one round it gave shares for one sum, to two sets at most. */
function paid(tenant: TenantId, own: TenantBooks, { rounds, plan, ledger, facts }: Books): string[] {
  const { summing } = protocolNamed(plan.settings.secureSum.protocol);
  const contribute = summing.findIndex(({ gate }) => gate === 'contribute');
  const problems: string[] = [];
  const contributed = rounds.filter(({ said }) => said.get(contribute)?.has(tenant) === true);
  if (own.committed < contributed.length)
    problems.push(`${tenant} is in ${contributed.length} rounds, and has paid for ${own.committed}`);
  if (own.committed !== own.rounds.size)
    problems.push(`${tenant} has paid for ${own.committed} rounds, and knows of ${own.rounds.size}`);
  if (own.committed > plan.derived.openings) problems.push(`${tenant} has paid for more than the plan has`);
  for (const { round, charged } of contributed) {
    const answered = own.rounds.get(round);
    if (answered === undefined) problems.push(`${tenant} has no record of round ${round}`);
    else if (answered.sumHash !== '' && answered.sumHash !== charged && charged !== undefined)
      problems.push(`${tenant} answered for another sum of round ${round} than was charged`);
  }
  for (const [round, { openerSets }] of own.rounds)
    if (openerSets.length > 2 || new Set(openerSets).size < openerSets.length)
      problems.push(`${tenant} was asked too often to open round ${round}`);
  if (own.ledger.some((entry, i) => entry !== ledger[i])) problems.push(`${tenant} was shown another ledger`);
  if (facts.at(-1)?.type === 'finished' && !isWornOut(own, plan)) {
    if (own.declined !== undefined) problems.push(`${tenant} has declined: ${own.declined}`);
    if (own.over !== 'finished') problems.push(`${tenant} has not heard that the task is finished`);
    if (own.reserved !== 0) problems.push(`${tenant} did not get back what was not used`);
  }
  return problems;
}
