import { writeFileSync } from 'node:fs';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import type { LedgerExport } from '../aggregation/ledger-export.ts';
import { PlanRefused } from '../aggregation/plan-refused.ts';
import type { SecureSumName } from '../aggregation/secure-sum.ts';
import { readExport } from '../client/ledger-commands.ts';
import { readSettings } from '../coordinator/settings-file.ts';
import { type BackendName, startBackend } from '../models/backend.ts';
import { type PlanEntry, readEntry } from '../privacy/ledger.ts';
import { secureRandom } from '../privacy/random.ts';
import { audit } from './audit/audit.ts';
import { FEWEST_CANARIES, MOST_CANARIES } from './audit/canaries.ts';
import { checkLedger } from './audit/claim.ts';
import { curveSvg } from './audit/curve-svg.ts';
import { describeAudit, summaryOf } from './audit/report.ts';
import { type Subject, subjectInLedger, subjectOf } from './audit/subject.ts';
import { progressLine } from './progress-line.ts';
import { secureSumNamed } from './secure-sum-option.ts';

/** `parley audit`: attacks this installation's own code with the privacy settings of a task, and says what it found. */
export interface AuditCommandOptions {
  /** an export of `parley ledger export` */
  readonly ledger?: string;
  readonly canaries: number;
  readonly confidence: number;
  readonly rounds?: number;
  readonly secureSum: string;
  readonly backend?: BackendName;
  /** file for the curve */
  readonly svg?: string;
  readonly json?: boolean;
}

/**
 * @param file - task settings; the newest plan of the ledger when left out
 * @throws CommandError with the code of the verdict, unless it is PASS
 */
export async function auditTask(file: string | undefined, options: AuditCommandOptions): Promise<void> {
  const secureSum = checked(options);
  const ledger = options.ledger === undefined ? undefined : await readExport(options.ledger, 'no coordinator');
  const progress = progressLine(options.json === true);
  const startedAt = performance.now();
  const report = await refusing(async () =>
    audit(subjectFrom(file, ledger, options), {
      backend: await startBackend(options.backend),
      ...{ canaries: options.canaries, confidence: options.confidence, secureSum, random: secureRandom() },
      ...(ledger === undefined ? {} : { ledger }),
      onRound: (conductor) => progress.changed(conductor),
      onStep: (step) => {
        progress.done();
        if (!options.json) process.stderr.write(`${step}\n`);
      },
    }),
  );
  const summary = summaryOf(report);
  if (options.svg !== undefined) writeFileSync(options.svg, curveSvg(report));
  const seconds = Number(((performance.now() - startedAt) / 1000).toFixed(2));
  if (options.json) console.log(JSON.stringify({ ...summary, seconds }));
  else console.log(describeAudit(summary));
  const [reason] = report.reasons;
  if (report.verdict === 'VIOLATION') throw new CommandError(EXIT.broken, `VIOLATION: ${reason}`);
  if (report.verdict === 'INCONCLUSIVE') throw new CommandError(EXIT.inconclusive, `INCONCLUSIVE: ${reason}`);
}

function checked({ canaries, confidence, rounds, secureSum }: AuditCommandOptions): SecureSumName {
  if (canaries < FEWEST_CANARIES || canaries > MOST_CANARIES)
    throw new CommandError(
      EXIT.usage,
      `--canaries must be ${FEWEST_CANARIES} to ${MOST_CANARIES}, as many as a feature may have categories`,
    );
  if (!(confidence > 0 && confidence < 1)) throw new CommandError(EXIT.usage, '--confidence must lie between 0 and 1');
  if (rounds !== undefined && rounds < 1) throw new CommandError(EXIT.usage, '--rounds must be 1 or more');
  return secureSumNamed(secureSum);
}

function subjectFrom(
  file: string | undefined,
  ledger: LedgerExport | undefined,
  { rounds }: AuditCommandOptions,
): Subject {
  if (file !== undefined) return subjectOf(readSettings(file), rounds);
  if (ledger === undefined)
    throw new CommandError(EXIT.usage, 'name the settings of a task, or a ledger with --ledger');
  const plan = ledger.entries.map(readEntry).findLast((entry) => typeof entry !== 'string' && entry.kind === 'plan');
  if (plan !== undefined) return subjectInLedger(plan as PlanEntry, rounds);
  const [problem] = checkLedger(ledger).problems;
  if (problem !== undefined) throw new CommandError(EXIT.broken, problem);
  throw new CommandError(EXIT.input, 'the ledger holds no plan: there is nothing to audit');
}

async function refusing<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PlanRefused) throw new CommandError(EXIT.refused, error.message);
    throw error;
  }
}
