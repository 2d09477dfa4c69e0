import { fingerprint, type Identity } from '../../aggregation/identity.ts';
import { taskId } from '../../aggregation/plan.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import { verifyLedgerExport } from '../../aggregation/verify-ledger.ts';
import { logKey, signedHead } from '../../aggregation/witness.ts';
import type { Backend } from '../../models/backend.ts';
import { EMPTY_LEDGER, verifyChain } from '../../privacy/ledger.ts';
import { formatVerifierKey } from '../../privacy/transparency/verifier-key.ts';
import { type Books, readBooks, readFacts, readTenantBooks, type TenantBooks } from './books.ts';
import type { Course } from './course.ts';
import { broken, type Evidence } from './invariants.ts';
import { wrongSums } from './recomputed.ts';
import { statementsOf } from './statements.ts';

/** What became of a course. */
export interface Verdict {
  /** nothing, when all that must hold does */
  readonly problems: readonly string[];
  readonly books: Books;
  /** the whole task was done; or what was paid for was used up before */
  readonly isFinished: boolean;
}

export async function verdictOn(course: Course, backend: Backend): Promise<Verdict> {
  const evidence = evidenceOf(course);
  const { books, tenants } = evidence;
  const { lost, counted, other } = await broken(evidence);
  const problems = [
    ...[...lost, ...counted, ...other],
    ...course.failures.map((failure) => `nobody expected: ${String(failure)}`),
    ...(await wrongSums(books, backend)),
    ...ledgerFindings(course.identity, books),
    ...unpaid(course, books, tenants),
    ...otherModels(course, books),
  ];
  return { problems, books, isFinished: books.facts.at(-1)?.type === 'finished' };
}

/** What its processes have left, and what was seen of them. */
export function evidenceOf({ task, coordinatorDatabase, clientDatabases, between, kept }: Course): Evidence {
  return {
    books: readBooks(coordinatorDatabase, task),
    tenants: new Map([...clientDatabases].map(([name, database]) => [name, readTenantBooks(database, task)])),
    before: between.map((database) => readFacts(database, task)),
    statements: statementsOf(kept),
  };
}

/** What an auditor would find in the ledger's export. */
export function ledgerFindings(identity: Identity, { ledger, notes, facts, plan }: Books): string[] {
  const chain = verifyChain(ledger, EMPTY_LEDGER);
  if (!chain.intact) return [`the ledger breaks at entry ${chain.seq}: ${chain.problem}`];
  const file = {
    format: 'parley-ledger-export-v1' as const,
    log: formatVerifierKey(logKey(identity.publicKey)),
    head: signedHead(chain.head, identity),
    notes: [...notes],
    entries: ledger.map((entry) => JSON.parse(entry) as unknown),
  };
  const { findings, tasks } = verifyLedgerExport(file, { coordinator: fingerprint(identity.publicKey) });
  const isCosigned =
    facts.at(-1)?.type !== 'finished' || tasks.find(({ task }) => task === taskId(plan))?.witnessed === 'end';
  return [
    ...findings.map(({ seq, problem }) => `ledger entry ${seq}: ${problem}`),
    ...(isCosigned ? [] : ['the end of the task is not cosigned']),
  ];
}

/** Whatever left a tenant, arrived or not, it had paid for. */
function unpaid({ said, task }: Course, { plan }: Books, tenants: ReadonlyMap<string, TenantBooks>): string[] {
  const stages = protocolNamed(plan.settings.secureSum.protocol).summing;
  const { name } = stages.find(({ gate }) => gate === 'contribute')!;
  return [...tenants].flatMap(([tenant, { rounds }]) => {
    const left = said.flatMap((message) =>
      message.by === tenant && message.type === 'say' && message.task === task && message.stage === name
        ? [message.round]
        : [],
    );
    const free = [...new Set(left)].filter((round) => !rounds.has(round));
    return free.length === 0 ? [] : [`${tenant} contributed to rounds ${free} and did not pay`];
  });
}

/** Whoever took part has the model that was released, and no other. */
function otherModels({ models }: Course, { entries, parameters, plan }: Books): string[] {
  const finish = entries.find((entry) => entry.kind === 'finish');
  if (finish?.kind !== 'finish') return [];
  const released = parameters.get(finish.modelHash);
  return plan.roster.flatMap(({ tenant }) => {
    const own = models.filter((model) => model.tenant === tenant);
    if (own.length === 0) return [`${tenant} has no model`];
    const isReleased = own.every((model) => released?.every((byte, i) => byte === bytesOf(model.parameters)[i]));
    return isReleased ? [] : [`${tenant} has another model than was released`];
  });
}

const bytesOf = (values: Float64Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
