import { z } from 'zod';
import { CommandError, EXIT } from '../../aggregation/exit.ts';
import type { LedgerVerdict } from '../../aggregation/verify-ledger.ts';

/** What an attack on this software found: the JSON of `parley audit`, as far as a report repeats it. */
export interface AuditFinding {
  readonly verdict: string;
  readonly reasons: readonly string[];
  /** the task of this ledger it was made for; undefined when its plan is none of them */
  readonly task: string | undefined;
  /** hash of the plan that was attacked */
  readonly plan: string | undefined;
  /** ε is at least this, by each kind of attack, with `confidence`; a claim below one of them is refuted */
  readonly lowerBounds: Readonly<Record<string, number>>;
  readonly confidence: number | undefined;
  readonly canaries: number | undefined;
}

/** Loose: fields may be added, and those that only inform may be missing. */
const summary = z.looseObject({
  verdict: z.string().min(1).max(40),
  reasons: z.array(z.string().max(2000)).default([]),
  plan: z.string().max(200).optional(),
  lowerBounds: z.record(z.string().max(40), z.unknown()).default({}),
  confidence: z.number().optional(),
  canaries: z.number().optional(),
});

/**
 * @param text - of the file
 * @param file - its name, for the message
 * @throws CommandError when it is not JSON, or has no verdict
 */
export function readAudit(text: string, file: string, { entries }: Pick<LedgerVerdict, 'entries'>): AuditFinding {
  const parsed = summary.safeParse(parse(text, file));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new CommandError(
      EXIT.input,
      `${file}: not the JSON of \`parley audit --json\`: ${issue!.path.join('.')}: ${issue!.message}`,
    );
  }
  const { verdict, reasons, plan, lowerBounds, confidence, canaries } = parsed.data;
  const audited = entries.find((entry) => entry.kind === 'plan' && entry.planHash === plan);
  const bounds = Object.entries(lowerBounds).filter((one): one is [string, number] => typeof one[1] === 'number');
  return {
    ...{ verdict, reasons, plan, confidence, canaries },
    task: audited?.task,
    lowerBounds: Object.fromEntries(bounds),
  };
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandError(EXIT.input, `${file}: not JSON: ${(error as Error).message}`);
  }
}
