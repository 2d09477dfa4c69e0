import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { identityIn, storeFile } from '../../client/folder.ts';
import { readBooks, readFacts, readTenantBooks } from './books.ts';
import { type Broken, broken, isWornOut } from './invariants.ts';
import { modelOf, type RealFederation } from './real-federation.ts';
import { statementsOf } from './statements.ts';
import { ledgerFindings } from './verdict.ts';
import type { Kept } from './writes.ts';

/** What became of a task. */
export interface RealVerdict extends Broken {
  readonly isFinished: boolean;
  readonly opened: number;
  readonly abandoned: number;
  readonly releases: number;
}

/** Looks at what the processes have left on their disks. After `stop`. */
export async function realVerdict(federation: RealFederation, task: string): Promise<RealVerdict> {
  const { units, coordinatorFolder, unitFolder, journal, left } = federation;
  const books = readBooks(join(coordinatorFolder, 'events.db'), task);
  const tenants = new Map(units.map((unit) => [unit, readTenantBooks(storeFile(unitFolder(unit)), task)]));
  const statements = statementsOf(await keptIn(journal, task));
  const found = await broken({ books, tenants, statements, before: left.map((file) => readFacts(file, task)) });
  const isFinished = books.facts.at(-1)?.type === 'finished';
  return {
    ...found,
    other: [...found.other, ...ledgerFindings(identityIn(coordinatorFolder), books), ...(isFinished ? models() : [])],
    isFinished,
    opened: books.rounds.filter(({ opened }) => opened !== undefined).length,
    abandoned: books.rounds.filter(({ abandoned }) => abandoned !== undefined).length,
    releases: books.entries.filter(({ kind }) => kind === 'release').length,
  };

  function models(): string[] {
    const released = books.parameters.get(books.sums.at(-1)!.model);
    return units.flatMap((unit) => {
      if (isWornOut(tenants.get(unit)!, books.plan)) return [];
      const file = modelOf(unitFolder(unit), books.plan.settings, task);
      const isSame = existsSync(file) && released !== undefined && readFileSync(file).equals(released);
      return isSame ? [] : [`${unit} does not have the model that was released`];
    });
  }
}

/** Line by line: a task's statements may be longer than a text may be. */
async function keptIn(journal: string, task: string): Promise<Kept[]> {
  const file = join(journal, task);
  if (!existsSync(file)) return [];
  const kept: Kept[] = [];
  for await (const line of createInterface({ input: createReadStream(file) })) {
    // a write that the kill has cut: nothing of it was committed
    if (!line.endsWith('}')) continue;
    const one = JSON.parse(line) as Kept & { body: string };
    kept.push({ ...one, body: Buffer.from(one.body, 'base64') });
  }
  return kept;
}
