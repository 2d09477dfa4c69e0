import { readFileSync, writeFileSync } from 'node:fs';
import { readyAt } from '../aggregation/address.ts';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import { keysIn, protectionOf } from '../aggregation/folder-keys.ts';
import { fingerprint, isSignedBy } from '../aggregation/identity.ts';
import { type LedgerExport, ledgerExport } from '../aggregation/ledger-export.ts';
import { type Known, type LedgerVerdict, verifyLedgerExport } from '../aggregation/verify-ledger.ts';
import { witnessKey } from '../aggregation/witness.ts';
import { entryText, type LedgerEntry, type PlanEntry } from '../privacy/ledger.ts';
import { TransparencyRefused } from '../privacy/transparency/canonical-text.ts';
import { inclusionProof, leafHash } from '../privacy/transparency/merkle.ts';
import { formatProof, parseProof, verifyProof } from '../privacy/transparency/tlog-proof.ts';
import { formatPolicy, parsePolicy, type TrustPolicy, thresholdPolicy } from '../privacy/transparency/trust-policy.ts';
import { verifyTrusted } from '../privacy/transparency/trusted-checkpoint.ts';
import { parseVerifierKey } from '../privacy/transparency/verifier-key.ts';
import { actInWords, approvals } from './approvals-in-words.ts';
import { refusal, request } from './coordinator-http.ts';
import { policyFile } from './folder.ts';
import { readPolicy } from './policy.ts';
import { type Reader, type ReaderOptions, readerOf } from './reader.ts';

/**
 * `parley ledger show | export | verify | prove | roster`: for auditors. Everything is recomputed from an export; whoever made
 * it is trusted in nothing but the keys that the reader knows.
 */
export interface Source extends ReaderOptions {
  readonly coordinator: string;
  readonly json?: boolean;
}

export async function showLedger(file: string | undefined, options: Source): Promise<void> {
  const found = await exportOf(file, options);
  if (options.json) console.log(JSON.stringify(found));
  else for (const entry of found.entries as LedgerEntry[]) console.log(line(entry));
}

/** Never over a file that is there. */
export async function exportLedger(to: string, options: Source): Promise<void> {
  const found = await exportOf(undefined, options);
  writeNew(to, `${JSON.stringify(found, null, 1)}\n`);
  const entries = found.entries.length;
  console.log(options.json ? JSON.stringify({ export: to, entries }) : `${entries} entries: ${to}`);
}

export interface Trust {
  /** the coordinator's */
  readonly fingerprint?: string;
  /** a client's folder: the fingerprints its policy pins */
  readonly folder?: string;
  /** a trust policy as `ledger roster` writes it */
  readonly roster?: string;
}

export async function verifyLedger(file: string | undefined, options: Source & Trust): Promise<void> {
  if (file !== undefined && isProof(file)) return verifyEntry(file, options);
  const found = await exportOf(file, options);
  const verdict = verifyLedgerExport(found, knownKeys(options));
  if (!verdict.verified)
    throw new CommandError(
      EXIT.broken,
      verdict.findings.map(({ seq, problem }) => `entry ${seq}: ${problem}`).join('\n'),
    );
  const { signedBy, tasks, unknownKeys } = verdict;
  if (options.json)
    return console.log(
      JSON.stringify({
        ...{ verified: true, entries: verdict.entries.length, signedBy, unknownKeys },
        ...{ pinned: !unknownKeys.includes('coordinator'), tasks },
      }),
    );
  console.log(`ledger verified: ${verdict.entries.length} entries, signed by ${signedBy}`);
  if (unknownKeys.length > 0)
    console.log(
      `  (keys that came with the ledger, of ${unknownKeys.join(', ')}: give --fingerprint, --folder or --roster to check them against those you know)`,
    );
  for (const task of tasks) console.log(taskLine(task, verdict));
}

const WITNESSED = {
  end: 'plan and end cosigned by the quorum',
  plan: 'plan cosigned by the quorum, its end not (yet): its result does not count',
  no: 'not cosigned by the quorum: nothing of it counts',
} as const;

function taskLine(
  { task, charges, openings, epsilon, witnessed }: LedgerVerdict['tasks'][number],
  { entries }: LedgerVerdict,
): string {
  const plan = entries.find((entry): entry is LedgerEntry & PlanEntry => entry.kind === 'plan' && entry.task === task)!;
  const { release, coalition, floor } = plan.epsilon;
  return `  task ${task.slice(0, 8)}: ${charges} of ${openings} openings charged, coalition ε ${epsilon.toFixed(4)} so far
    claimed and recomputed: ε release ${short(release)} · coalition ${short(coalition)} · floor ${short(floor)} at δ ${plan.delta}, one ${plan.unit} (${plan.neighbouring}) of ${plan.tenantsPerCustomer} tenant${plan.tenantsPerCustomer > 1 ? 's' : ''}
    ${WITNESSED[witnessed]}`;
}

/** A proof that one entry is in the ledger, which verifies without the others. The entry itself is in it. */
export async function proveEntry(seq: number, options: Source & { file?: string; to?: string }): Promise<void> {
  const found = await exportOf(options.file, options);
  const verdict = verifyLedgerExport(found);
  if (!verdict.verified) throw new CommandError(EXIT.broken, 'this ledger does not verify: see `parley ledger verify`');
  const entry = verdict.entries[seq];
  if (entry === undefined)
    throw new CommandError(EXIT.input, `there is no entry ${seq}: the ledger has ${verdict.entries.length}`);
  const checkpoint = found.notes
    .map((note) => ({ note, size: Number(note.split('\n')[1]) }))
    .find(({ note, size }) => size > seq && isTrusted(note, newestPolicy(found, verdict)));
  if (checkpoint === undefined)
    throw new CommandError(
      EXIT.refused,
      `no quorum has cosigned a ledger with entry ${seq} in it yet; try again later`,
    );
  const texts = verdict.entries.slice(0, checkpoint.size).map((each) => Buffer.from(entryText(each)));
  const path = inclusionProof(seq, texts.map(leafHash));
  const proof = formatProof({ index: seq, path, checkpoint: checkpoint.note, extra: texts[seq]! });
  if (options.to === undefined) process.stdout.write(proof);
  else {
    writeNew(options.to, proof);
    console.log(
      options.json ? JSON.stringify({ proof: options.to, entry: seq, size: checkpoint.size }) : `proof: ${options.to}`,
    );
  }
}

const isProof = (file: string): boolean => readText(file).startsWith('c2sp.org/tlog-proof@v1\n');

function verifyEntry(file: string, { roster, json }: Trust & Source): void {
  if (roster === undefined)
    throw new CommandError(
      EXIT.usage,
      'a proof is verified against keys you know: give --roster, from `parley ledger roster`',
    );
  const text = readText(file);
  try {
    const { extra } = parseProof(text);
    if (extra === undefined) throw new TransparencyRefused('the proof holds no entry');
    const { index, checkpoint, cosignedBy } = verifyProof(
      text,
      leafHash(extra),
      parsePolicy(readText(roster)),
      isSignedBy,
    );
    const entry = JSON.parse(Buffer.from(extra).toString()) as LedgerEntry;
    const witnesses = cosignedBy.map(({ name }) => name);
    if (json) console.log(JSON.stringify({ verified: true, index, size: checkpoint.size, witnesses, entry }));
    else console.log(`entry ${index} of ${checkpoint.size}, cosigned by ${witnesses.join(', ')}:\n${line(entry)}`);
  } catch (error) {
    if (error instanceof TransparencyRefused) throw new CommandError(EXIT.broken, `${file}: ${error.message}`);
    throw error;
  }
}

/** The keys of the newest plan's roster as a C2SP trust policy: compare fingerprints aloud, then keep the file. */
export async function showRoster(file: string | undefined, options: Source & { to?: string }): Promise<void> {
  const found = await exportOf(file, options);
  const verdict = verifyLedgerExport(found);
  if (!verdict.verified) throw new CommandError(EXIT.broken, 'this ledger does not verify: see `parley ledger verify`');
  const policy = newestPolicy(found, verdict);
  const prints = policy.witnesses.map(({ name, key }) => `# ${name}: ${fingerprint(key.publicKey)}`);
  const text = `# coordinator: ${verdict.signedBy}\n${prints.join('\n')}\n${formatPolicy(policy)}`;
  if (options.to === undefined) process.stdout.write(text);
  else writeNew(options.to, text);
}

/** Whom the newest plan takes as witnesses, and how many of them. */
function newestPolicy({ log }: LedgerExport, { entries }: LedgerVerdict): TrustPolicy {
  const plan = entries.findLast((entry): entry is LedgerEntry & PlanEntry => entry.kind === 'plan');
  if (plan === undefined) throw new CommandError(EXIT.refused, 'no task was planned yet: there is no roster');
  return thresholdPolicy(parseVerifierKey(log), plan.roster.map(witnessKey), plan.trust.threshold);
}

function isTrusted(note: string, policy: TrustPolicy): boolean {
  try {
    verifyTrusted(note, policy, isSignedBy);
    return true;
  } catch (error) {
    if (error instanceof TransparencyRefused) return false;
    throw error;
  }
}

/** The keys to hold a ledger against. @throws CommandError when the file or folder cannot be read */
export function knownKeys({ fingerprint: coordinator, folder, roster }: Trust): Known {
  if (roster !== undefined) return inRoster(roster);
  if (folder === undefined) return coordinator === undefined ? {} : { coordinator };
  const policy = readPolicy(policyFile(folder));
  // its own key is known where no passphrase stands before it
  const own = protectionOf(folder) === 'plain' ? fingerprint(keysIn(folder).identity.publicKey) : undefined;
  const tenants = own === undefined ? policy.peers : { ...policy.peers, [policy.tenant]: own };
  return { coordinator: policy.coordinator.fingerprint, tenants };
}

function inRoster(file: string): Known {
  try {
    const { logs, witnesses } = parsePolicy(readText(file));
    const tenants = Object.fromEntries(witnesses.map(({ name, key }) => [name, fingerprint(key.publicKey)]));
    const [log] = logs;
    return log === undefined ? { tenants } : { coordinator: fingerprint(log.key.publicKey), tenants };
  } catch (error) {
    if (error instanceof TransparencyRefused) throw new CommandError(EXIT.input, `${file}: ${error.message}`);
    throw error;
  }
}

function line(entry: LedgerEntry): string {
  const { seq, time, task, kind } = entry;
  return [
    String(seq).padStart(5),
    new Date(time).toISOString(),
    task.slice(0, 8).padEnd(8),
    kind.padEnd(7),
    details(entry),
  ].join('  ');
}

function details(entry: LedgerEntry): string {
  switch (entry.kind) {
    case 'plan':
      return `ε release ${short(entry.epsilon.release)} · coalition ${short(entry.epsilon.coalition)} · floor ${short(entry.epsilon.floor)}, δ ${entry.delta}, ${entry.unit}, ${entry.neighbouring}, for ${entry.use.purpose}`;
    case 'accept':
      return `${entry.tenant}, data ${entry.dataset.slice(0, 12)}`;
    case 'charge':
      return `round ${entry.round}, ${entry.contributions} contributions, sum ${entry.sumHash.slice(0, 12)}`;
    case 'release':
      return `round ${entry.round}, model ${entry.modelHash.slice(0, 12)}`;
    case 'abort':
      return `round ${entry.round}: ${entry.reason}`;
    case 'stop':
      return entry.reason;
    case 'finish':
      return `${entry.rounds} rounds, model ${entry.modelHash.slice(0, 12)}`;
    case 'roster':
      return `${entry.tenant} ${entry.change}, key ${entry.key.slice(0, 12)}`;
    case 'erasure':
      return `${entry.tenant} no longer uses a customer it had`;
    case 'budget':
      return `${entry.tenant}: ${entry.pool} ε ${entry.epsilon} at δ ${entry.delta}`;
    case 'approval-rule':
      return `sensitive acts need ${approvals(entry.approvals)} from here on`;
    case 'approved':
      return `${actInWords(entry.act)}, act ${entry.hash.slice(0, 12)}, by ${entry.by.join(' and ')}`;
  }
}

const short = (epsilon: number | 'infinite'): string => (epsilon === 'infinite' ? '∞' : epsilon.toFixed(3));

/** As the command's options say. @param file - read from the coordinator when undefined @throws CommandError as `readExport` */
export const exportOf = async (file: string | undefined, options: Source): Promise<LedgerExport> =>
  readExport(file, options.coordinator, file === undefined ? await readerOf(options) : undefined);

/** @throws CommandError when nobody answers, when the reader may not read it, or it is no export */
export async function readExport(
  file: string | undefined,
  coordinator: string | readonly string[],
  reader?: Reader,
): Promise<LedgerExport> {
  const value = file === undefined ? await fetched(await readyAt([coordinator].flat()), reader) : fromFile(file);
  const parsed = ledgerExport.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new CommandError(
    EXIT.input,
    `${file ?? coordinator}: not a ledger export: ${issue.path.join('.')}: ${issue.message}`,
  );
}

function fromFile(file: string): unknown {
  try {
    return JSON.parse(readText(file));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new CommandError(EXIT.input, `${file}: not JSON: ${error.message}`);
  }
}

/** @throws CommandError when it cannot be read */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(EXIT.input, `${file}: ${(error as Error).message}`);
  }
}

/** @throws CommandError when the file is there already */
export function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new CommandError(EXIT.input, `${file} is there already: name another file`);
  }
}

async function fetched(url: string, reader: Reader | undefined): Promise<unknown> {
  const { status, body } = await request(`${url}/ledger`, undefined, reader?.('/ledger'));
  if (status !== 200) throw refusal(url, status, body);
  return body;
}
