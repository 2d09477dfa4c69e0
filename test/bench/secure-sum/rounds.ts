import { protocolNamed } from '../../../aggregation/protocols.ts';
import { PROTECTING_SUMS, type SecureSumName } from '../../../aggregation/secure-sum.ts';
import { type Federation, federation, type Round } from './conversation.ts';
import { equal, expectedSum, shapeOf, vectorsOf } from './shapes.ts';

/** A whole round: one client, and the coordinator without the network. */
export type RoundRow = {
  readonly protocol: SecureSumName;
  readonly tenants: number;
  /** lost when contributions were asked for */
  readonly lost: number;
} & (Measured | { readonly unopened: string });

interface Measured {
  /** what a client computes, keys that last for many rounds not included; of both tries where a round had to be held again */
  readonly clientMs: number;
  readonly coordinatorMs: number;
  readonly bytesUp: number;
  /** without the opened sum, which is the same for all protocols */
  readonly bytesDown: number;
  /** once for many rounds */
  readonly keyingMs: number;
  readonly keyingBytes: number;
}

const DIMENSION = 100_000;

export async function roundRows(options: { smoke: boolean; progress(text: string): void }): Promise<RoundRow[]> {
  const sizes = options.smoke ? [5, 20] : [5, 20, 100, 200];
  const dimension = options.smoke ? 500 : DIMENSION;
  const rows: RoundRow[] = [];
  for (const protocol of PROTECTING_SUMS) {
    for (const tenants of sizes) {
      const counts = new Set([0, 0.1, 0.3].map((share) => Math.floor(share * tenants + 1e-9)));
      for (const lost of counts) {
        const shape = shapeOf(tenants, dimension, '16 bits', fewest(tenants, lost));
        const { needed, among } = protocolNamed(protocol).opening(shape);
        const cell = { protocol, tenants, lost };
        if (needed > among) {
          rows.push({ ...cell, unopened: `refused: ${needed} openers are needed, a committee has ${among}` });
          continue;
        }
        options.progress(`${protocol}, ${tenants} tenants, ${lost} lost`);
        const parties = await federation(protocolNamed(protocol), shape);
        const unopened = `of a committee of ${among} too few are left: ${needed} open`;
        rows.push({ ...cell, ...((await measured(parties, lost, vectorsOf(shape, '16 bits'))) ?? { unopened }) });
      }
    }
  }
  return rows;
}

/** n_min: nine of ten, or six where three of ten are lost. */
const fewest = (tenants: number, lost: number): number =>
  tenants < 10 ? tenants - 1 : Math.ceil((lost > 0.2 * tenants ? 0.6 : 0.9) * tenants);

async function measured(
  parties: Federation,
  lost: number,
  vectorOf: ReturnType<typeof vectorsOf>,
): Promise<Measured | undefined> {
  const gone = lost === 0 ? [] : parties.members.slice(-lost);
  if (parties.coordinator.openers(parties.members.slice(0, parties.members.length - lost)).length === 0)
    return undefined;
  const first = await parties.round(vectorOf, gone);
  const rounds: Round[] = [first];
  let opened = await first.open();
  if (opened === undefined) {
    // lost between ready and contribute: nothing can be opened, and the round is held again with those left
    const again = await parties.round(vectorOf, gone, 'before the round');
    rounds.push(again);
    opened = await again.open();
  }
  if (opened === undefined || !equal(opened.sum, expectedSum(vectorOf, rounds.at(-1)!.contributions.keys())))
    throw new Error('the sum is wrong');
  const spent = rounds.map((round) => round.spent);
  const checks = rounds.reduce((sum, { checkMs, contributions }) => sum + checkMs * contributions.size, 0);
  return {
    clientMs: total(spent.flatMap(({ ms }) => [...ms.values()])),
    coordinatorMs: opened.openMs + checks,
    bytesUp: total(spent.map(({ up }) => up)),
    bytesDown: total(spent.map(({ down }) => down)),
    keyingMs: total([...parties.keying.ms.values()]),
    keyingBytes: parties.keying.up,
  };
}

const total = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0);

export function roundTable(rows: readonly RoundRow[]): string {
  const head = `A round of ${DIMENSION.toLocaleString('en')} values of 16 bits, n_min = 90 % of the tenants, 60 % where 30 % are lost (4 of 5)`;
  const lines = rows.map(({ protocol, tenants, lost, ...row }) => {
    const cell = [protocol.padEnd(13), String(tenants).padStart(7), String(lost).padStart(5)];
    if ('unopened' in row) return [...cell, `  ${row.unopened}`].join(' ');
    return [
      ...cell,
      row.clientMs.toFixed(0).padStart(10),
      row.coordinatorMs.toFixed(0).padStart(15),
      (row.bytesUp / 1e3).toFixed(0).padStart(9),
      (row.bytesDown / 1e3).toFixed(0).padStart(9),
      row.keyingMs === 0 ? '' : `${row.keyingMs.toFixed(0)} ms, ${(row.keyingBytes / 1e3).toFixed(0)} kB`.padStart(18),
    ]
      .join(' ')
      .trimEnd();
  });
  const columns = `${'protocol'.padEnd(13)} tenants  lost  client ms  coordinator ms  kB up    kB down   keys, once for many`;
  return [head, columns, ...lines].join('\n');
}
