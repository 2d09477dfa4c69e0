import type { LedgerVerdict } from '../../aggregation/verify-ledger.ts';
import type { AuditFinding } from './audit-finding.ts';
import { figuresOf, type ReportFigures, shortTask } from './figures.ts';
import { dayOf, type Period } from './period.ts';
import { type PlainWords, plainWords } from './sentence.ts';
import { assumptions, NOT_COVERED, type Statement, UNPROTECTED } from './statements.ts';

/**
 * Everything a compliance officer hands on about a period: figures, what they mean in plain words, what they rest on, and how
 * anyone can compute them again. Pages, tables and `--json` show this and nothing else.
 */
export interface Report {
  readonly words: PlainWords;
  /** what a reader must know before believing the figures */
  readonly caveats: readonly string[];
  readonly figures: ReportFigures;
  readonly assumptions: readonly Statement[];
  readonly unprotected: readonly Statement[];
  readonly notCovered: readonly Statement[];
  readonly audit: AuditFinding | 'not audited';
  /** commands that compute this report again from nothing but the export */
  readonly verifyWith: readonly string[];
  /** Unix ms, by the clock of whoever made it */
  readonly madeAt: number;
}

export interface ReportSource {
  /** of an export that verifies */
  readonly verdict: LedgerVerdict;
  readonly root: Uint8Array;
  readonly period: Period;
  readonly audit?: AuditFinding;
  /** file of the export, or undefined when it was read from the coordinator */
  readonly file?: string | undefined;
  readonly madeAt: number;
}

/** @throws RangeError when the export does not verify */
export function reportOf({ verdict, root, period, audit, file, madeAt }: ReportSource): Report {
  const figures = figuresOf(verdict, root, period);
  return {
    words: plainWords(figures),
    caveats: caveats(figures, file, madeAt),
    figures,
    assumptions: assumptions(figures),
    unprotected: UNPROTECTED,
    notCovered: NOT_COVERED,
    audit: audit ?? 'not audited',
    verifyWith: verifyWith(figures, file),
    madeAt,
  };
}

function caveats({ ledger, period, tasks }: ReportFigures, file: string | undefined, madeAt: number): string[] {
  const { span, unknownKeys } = ledger;
  const unsecured = tasks.filter(({ plan }) => plan.trust.secureSum === 'plain');
  const unlimited = tasks.filter(({ plan }) => plan.event.type === 'NonPrivate');
  return [
    ...(unknownKeys.length === 0
      ? []
      : [
          `The ledger is consistent, but keys of ${unknownKeys.join(', ')} were taken from it and not compared: compare the fingerprints below with those that their owners read out.`,
        ]),
    ...(file !== undefined && span !== undefined && span.last + DAY_MS < Math.min(period.to, madeAt)
      ? [`The ledger ends on ${dayOf(span.last)}. What happened later is not in it, and not in this report.`]
      : []),
    ...(madeAt < period.to && Number.isFinite(period.to)
      ? [`The period ends on ${dayOf(period.to - 1)}; this report was made before, on ${dayOf(madeAt)}.`]
      : []),
    ...unsecured.map(
      ({ task }) =>
        `Task ${shortTask(task)} used the secure sum "plain", which secures nothing: the coordinator saw every contribution. Its figures against a coalition count one unit's noise, whatever its plan claims.`,
    ),
    ...unlimited.map(({ task }) => `Task ${shortTask(task)} was released without protection: its ε is infinite.`),
  ];
}

function verifyWith({ ledger, period }: ReportFigures, file: string | undefined): string[] {
  const name = file === undefined ? 'ledger.json' : quoted(file);
  return [
    ...(file === undefined ? [`parley ledger export ${name}`] : []),
    `parley ledger verify ${name} --fingerprint ${ledger.signedBy}`,
    `parley ledger roster ${name} --to roster.txt # compare its fingerprints with their owners`,
    `parley report ${name} --period ${period.name} --roster roster.txt`,
  ];
}

const DAY_MS = 86_400_000;

/** For a shell. */
const quoted = (file: string): string => (/^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`);
