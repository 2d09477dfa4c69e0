import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import { fingerprint, isSignedBy } from '../aggregation/identity.ts';
import { type Audit, auditLedger } from '../privacy/audit.ts';
import { type LedgerEntry, verifyChain, verifyCheckpoint } from '../privacy/ledger.ts';

/**
 * `parley ledger show` and `verify`: for auditors. Everything is recomputed from the export; the coordinator that made it
 * is trusted in nothing but its key.
 */
const exportSchema = z.object({
  entries: z.array(z.unknown()),
  checkpoint: z.strictObject({ origin: z.string(), size: z.int(), head: z.string() }),
  signature: z.string(),
  key: z.string().regex(/^[0-9a-f]{64}$/),
});
type Export = z.infer<typeof exportSchema>;

interface Source {
  readonly coordinator: string;
  readonly json?: boolean;
}

export async function showLedger(file: string | undefined, options: Source & { export?: string }): Promise<void> {
  const found = await read(file, options.coordinator);
  if (options.export !== undefined) {
    writeFileSync(options.export, `${JSON.stringify(found, null, 1)}\n`, { flag: 'wx' });
    console.log(
      options.json
        ? JSON.stringify({ export: options.export, entries: found.entries.length })
        : `${found.entries.length} entries: ${options.export}`,
    );
  } else if (options.json) console.log(JSON.stringify(found));
  else for (const entry of found.entries as LedgerEntry[]) console.log(line(entry));
}

function line(entry: LedgerEntry): string {
  const { seq, time, task, kind } = entry;
  return [String(seq).padStart(5), new Date(time).toISOString(), task.slice(0, 8), kind.padEnd(7), details(entry)].join(
    '  ',
  );
}

function details(entry: LedgerEntry): string {
  switch (entry.kind) {
    case 'plan':
      return `ε release ${short(entry.epsilon.release)} · coalition ${short(entry.epsilon.coalition)} · floor ${short(entry.epsilon.floor)}, δ ${entry.delta}, ${entry.unit}, ${entry.neighbouring}`;
    case 'charge':
      return `round ${entry.round}, ${entry.contributions} contributions, sum ${entry.sumHash.slice(0, 12)}`;
    case 'release':
      return `round ${entry.round}, model ${entry.modelHash.slice(0, 12)}`;
    case 'abort':
      return `round ${entry.round}: ${entry.reason}`;
    case 'stop':
      return entry.reason;
    case 'accept':
      return `${entry.tenant}, data ${entry.dataset.slice(0, 12)}`;
    case 'roster':
      return `${entry.tenant} ${entry.change}, key ${entry.key.slice(0, 12)}`;
    case 'erasure':
      return `${entry.tenant} no longer uses a customer it had`;
    case 'budget':
      return `${entry.tenant}: ${entry.pool} ε ${entry.epsilon} at δ ${entry.delta}`;
    case 'finish':
      return `${entry.rounds} rounds, model ${entry.modelHash.slice(0, 12)}`;
  }
}

const short = (epsilon: number | 'infinite'): string => (epsilon === 'infinite' ? '∞' : epsilon.toFixed(3));

export async function verifyLedger(
  file: string | undefined,
  options: Source & { fingerprint?: string },
): Promise<void> {
  const found = await read(file, options.coordinator);
  const key = Buffer.from(found.key, 'hex');
  const print = fingerprint(key);
  if (options.fingerprint !== undefined && options.fingerprint !== print)
    throw new CommandError(EXIT.broken, `the ledger is signed by ${print}, not by ${options.fingerprint}`);
  const verdict = check(found, key);
  if (options.json)
    console.log(
      JSON.stringify({
        verified: true,
        entries: found.entries.length,
        signedBy: print,
        pinned: options.fingerprint !== undefined,
        tasks: verdict.tasks,
      }),
    );
  else {
    console.log(`ledger verified: ${found.entries.length} entries, signed by ${print}`);
    if (options.fingerprint === undefined)
      console.log('  (the key came with the ledger; give --fingerprint to check it against the one you know)');
    for (const task of verdict.tasks)
      console.log(
        `  task ${task.task.slice(0, 8)}: ${task.charges} of ${task.openings} openings charged, coalition ε ${task.epsilon.toFixed(4)} of ${short(task.claimed)} claimed`,
      );
  }
}

/** @throws CommandError naming the entry that does not hold */
function check(found: Export, key: Uint8Array): Audit {
  const chain = verifyChain(found.entries);
  if (!chain.intact) throw new CommandError(EXIT.broken, `entry ${chain.seq}: ${chain.problem}`);
  const { checkpoint, signature } = found;
  const isValid = verifyCheckpoint({ checkpoint, signature }, (message, bytes) => isSignedBy(key, message, bytes));
  if (!isValid) throw new CommandError(EXIT.broken, 'the signature on the head does not verify');
  if (checkpoint.size !== chain.head.size || checkpoint.head !== chain.head.hash)
    throw new CommandError(
      EXIT.broken,
      `the signed head covers ${checkpoint.size} entries, the file holds ${chain.head.size}, or another one`,
    );
  const audit = auditLedger(found.entries);
  if (!audit.clean)
    throw new CommandError(
      EXIT.broken,
      audit.findings.map(({ seq, problem }) => `entry ${seq}: ${problem}`).join('\n'),
    );
  return audit;
}

async function read(file: string | undefined, coordinator: string): Promise<Export> {
  const parsed = exportSchema.safeParse(file === undefined ? await fetched(`${coordinator}/ledger`) : fromFile(file));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new CommandError(
    EXIT.input,
    `${file ?? coordinator}: not a ledger export: ${issue.path.join('.')}: ${issue.message}`,
  );
}

function fromFile(file: string): unknown {
  const text = readFileSync(file, 'utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandError(EXIT.input, `${file}: not JSON: ${(error as Error).message}`);
  }
}

async function fetched(url: string): Promise<unknown> {
  try {
    return await (await fetch(url)).json();
  } catch {
    throw new CommandError(EXIT.network, `nobody answers at ${url}; is the coordinator running?`);
  }
}
