import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { askPython, namedPython } from '../python.ts';
import { peersPython } from './install.ts';

/**
 * `node test/bench/peers/peers.ts`: what others' secure sums cost on this machine, 1,000,000 values, one thread.
 *
 *   TenSEAL    CKKS with the parameters and calls of NVFlare (tenseal-ckks.py)
 *   Flower     its own SecAgg+ functions (flower-secagg.py)
 *
 * Both are the packages of requirements.txt, run by PARLEY_PYTHON or python3. Where that cannot be, the rows are those of
 * recorded.json, marked "not run here".
 *
 *   --install    fetch the packages when they are not in node_modules/.cache; without it nothing reaches for the network
 *   --smoke      20,000 values
 *   --json       the rows as one document
 *   --record     write what was measured to recorded.json
 */
export const PEERS = ['tenseal-ckks', 'flower-secagg'] as const;
const VALUES = 1_000_000;
const RECORDED = join(import.meta.dirname, 'recorded.json');
const CACHE = join(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'parley', 'peers');

const ms = z.number().positive();

/** What a peer's script prints. Milliseconds are CPU time. */
const figures = z.strictObject({
  peer: z.string().min(1),
  /** of the packages and of Python */
  versions: z.record(z.string(), z.string()),
  threads: z.literal(1),
  values: z.int().positive(),
  /** all that a client computes before it uploads */
  clientMs: ms,
  /** what each further client costs the server: read its upload, add it */
  serverMsPerClient: ms,
  /** once a round: decrypting (each client does it) or taking the masks off (the server does it) */
  openMs: ms,
  /** of one client's upload */
  bytesPerValue: ms,
  /** where the time goes, in milliseconds */
  parts: z.record(z.string(), ms),
  /** in one line: what was run, and what a reader must know to compare */
  note: z.string(),
});
const measured = figures.extend({ where: z.string(), date: z.iso.date() });

/** A peer's figures, where and when they were measured; `reason` says in one line why that is not here and now. */
export type PeerRow = z.infer<typeof measured> & ({ readonly ran: true } | { readonly ran: false; reason: string });

export interface PeerOptions {
  /** whether packages that are not in the cache may be fetched; without it nothing reaches for the network */
  readonly install: boolean;
  /** fewer values, once: the figures mean nothing */
  readonly smoke?: boolean;
  /** path or name of an interpreter; without it PARLEY_PYTHON, or python3 */
  readonly python?: string;
  readonly cache?: string;
  /** the longest that each step of fetching may take */
  readonly installTimeoutMs?: number;
  /** the longest that each peer may take */
  readonly runTimeoutMs?: number;
}

/**
 * Each peer measured here, one after the other; a peer that cannot be, as it was recorded. Never throws for want of a
 * Python, a network or a package.
 */
export async function runPeers(options: PeerOptions): Promise<readonly PeerRow[]> {
  const { install, smoke = false, cache = CACHE, runTimeoutMs = 300_000, installTimeoutMs = 300_000 } = options;
  const python = options.python ?? namedPython() ?? 'python3';
  const installed = peersPython({ python, cache, install, timeoutMs: installTimeoutMs });
  const rows: PeerRow[] = [];
  for (const peer of PEERS) {
    try {
      rows.push({ ...(await measure(await installed, peer, smoke, runTimeoutMs)), ran: true });
    } catch (error) {
      rows.push({
        ...recordedPeers()[peer],
        ran: false,
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
  return rows;
}

/** What was measured elsewhere, earlier. */
export function recordedPeers(): Record<(typeof PEERS)[number], z.infer<typeof measured>> {
  return z.record(z.enum(PEERS), measured).parse(JSON.parse(readFileSync(RECORDED, 'utf8')));
}

/** The rows for a terminal. */
export function peerTable(rows: readonly PeerRow[]): string {
  const line = (name: string, columns: readonly string[]): string =>
    name.padEnd(28) + columns.map((column) => column.padStart(18)).join('');
  const lines = [line('1 thread, CPU time', ['client ms', 'server ms/client', 'open ms', 'bytes/value'])];
  for (const row of rows) {
    const { clientMs, serverMsPerClient, openMs, bytesPerValue } = row;
    const columns = [clientMs, serverMsPerClient, openMs, bytesPerValue].map((figure) => figure.toFixed(1));
    const versions = Object.entries(row.versions).map(([name, version]) => `${name} ${version}`);
    const parts = Object.entries(row.parts).map(([name, part]) => `${name} ${part.toFixed(1)} ms`);
    lines.push(line(row.peer, columns), `  ${row.values.toLocaleString('en')} values; ${parts.join(', ')}`);
    lines.push(`  ${row.note}`, `  ${versions.join(', ')}; ${row.where}, ${row.date}`);
    if (!row.ran) lines.push(`  not run here: ${row.reason}`);
  }
  return lines.join('\n');
}

async function measure(python: string, peer: string, smoke: boolean, timeoutMs: number) {
  const script = join(import.meta.dirname, `${peer}.py`);
  const size = smoke ? ['20000', '1'] : [String(VALUES), '5'];
  const env = { OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' };
  const printed = figures.safeParse(await askPython(python, ['-I', script, ...size], { timeoutMs, env }));
  if (!printed.success) {
    const [issue] = printed.error.issues;
    throw new Error(`${peer}.py printed other figures than expected: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const where = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}`;
  return { ...printed.data, where, date: new Date().toISOString().slice(0, 10) };
}

if (process.argv[1] === import.meta.filename) {
  const flags = { install: false, smoke: false, json: false, record: false };
  const options = Object.fromEntries(Object.keys(flags).map((name) => [name, { type: 'boolean' as const }]));
  const { install, smoke, json, record } = { ...flags, ...parseArgs({ options }).values };
  const rows = await runPeers({ install, smoke });
  console.log(json ? JSON.stringify(rows, undefined, 2) : peerTable(rows));
  if (record) {
    if (smoke || !rows.every(({ ran }) => ran)) throw new Error('only a full run of all peers is recorded');
    const found = PEERS.map((peer, i) => [peer, measured.strip().parse(rows[i])]);
    writeFileSync(RECORDED, `${JSON.stringify(Object.fromEntries(found), undefined, 2)}\n`);
  }
}
