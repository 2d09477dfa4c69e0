import { existsSync } from 'node:fs';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import { verifyLedgerExport } from '../aggregation/verify-ledger.ts';
import { checkpointIn } from '../aggregation/witness.ts';
import { parseVerifierKey } from '../privacy/transparency/verifier-key.ts';
import { exportOf, knownKeys, readText, type Source, type Trust, writeNew } from './ledger-commands.ts';
import { readAudit } from './report/audit-finding.ts';
import { chartsOf } from './report/charts.ts';
import { reportPage } from './report/page.ts';
import { periodNamed } from './report/period.ts';
import { registryRecords, registryText } from './report/registry.ts';
import { reportOf } from './report/report.ts';
import { reportText } from './report/text.ts';

/** `parley report`: what was spent in a period and ever, for whoever has to answer for it. Only of a ledger that verifies. */
export interface ReportOptions extends Source, Omit<Trust, 'folder'> {
  /** `2026`, `2026-Q4`, `2026-11` or `all` */
  readonly period: string;
  /** file for the page; must not be there */
  readonly html?: string;
  /** file for the registry's records; must not be there */
  readonly registry?: string;
  /** file with what `parley audit --json` printed */
  readonly audit?: string;
}

/**
 * @param file - an export; read from the coordinator when left out
 * @param now - Unix ms
 * @throws CommandError with code 6 when the ledger does not verify: it gets no report, and nothing is written
 */
export async function report(file: string | undefined, options: ReportOptions, now = Date.now()): Promise<void> {
  const period = periodNamed(options.period);
  const { html, registry, audit } = options;
  requireNew(html, registry);
  const found = await exportOf(file, options);
  const verdict = verifyLedgerExport(found, knownKeys(options));
  if (!verdict.verified)
    throw new CommandError(
      EXIT.broken,
      [
        'no report: the ledger does not verify',
        ...verdict.findings.map((one) => `entry ${one.seq}: ${one.problem}`),
      ].join('\n'),
    );
  const { root } = checkpointIn(found.head, parseVerifierKey(found.log).publicKey);
  const audited = audit === undefined ? {} : { audit: readAudit(readText(audit), audit, verdict) };
  const made = reportOf({ verdict, root, period, ...audited, file, madeAt: now });
  const records = registry === undefined ? [] : registryRecords(made.figures);
  if (registry !== undefined && records.length === 0)
    throw new CommandError(
      EXIT.refused,
      `no task finished in ${period.name}: there is no record to write to ${registry}`,
    );

  if (html !== undefined)
    writeNew(
      html,
      reportPage(
        made,
        made.figures.pools.map((pool) => chartsOf(pool, verdict.entries, period)),
      ),
    );
  if (registry !== undefined) writeNew(registry, registryText(records));
  const written = { ...(html === undefined ? {} : { html }), ...(registry === undefined ? {} : { registry }) };
  if (options.json) return console.log(JSON.stringify({ ...made, written }, withoutInfinity));
  console.log(html === undefined ? reportText(made) : made.words.sentence);
  for (const [what, to] of Object.entries(written)) console.log(`${what}: ${to}`);
}

/** Before anything is computed; `writeNew` makes sure. */
function requireNew(...files: readonly (string | undefined)[]): void {
  const [first, second] = files;
  if (first !== undefined && first === second) throw new CommandError(EXIT.usage, `${first} cannot be two files`);
  for (const file of files)
    if (file !== undefined && existsSync(file))
      throw new CommandError(EXIT.input, `${file} is there already: name another file`);
}

/** JSON has no ∞: an ε says so in a word, as in the ledger; the period `all` has no ends. */
const withoutInfinity = (key: string, value: unknown): unknown =>
  typeof value !== 'number' || Number.isFinite(value) ? value : key === 'from' || key === 'to' ? null : 'infinite';
